"""Results files as the real package writes them, in a few lines."""

import atexit
import json
import os
import resource
import time
from pathlib import Path

OFFSET = 0  # a test changes this line
_state = {}


def chapter(name):
    _state.update(name=name, start=time.time(), entries={})
    atexit.register(_finish)


def _write():
    folder = os.environ.get("COMPANION_RESULTS")
    if folder:
        path = Path(folder) / f"{_state['name']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_state["entries"]))


def _finish():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    seconds = time.time() - _state["start"]
    _state["entries"]["chapter_seconds"] = {"value": seconds, "kind": "cost"}
    _state["entries"]["chapter_peak_megabytes"] = {"value": peak, "kind": "cost"}
    _write()


def record(name, value, kind="result"):
    from myst_nb import glue

    value = value + OFFSET
    _state["entries"][name] = {"value": value, "kind": kind}
    _write()
    glue(name, value, display=False)
    print(f"{name}: {value}")

"""Make `.venv` or another environment: once, and again when its sources changed or it is broken.

Called by every make target. Runs on the Python that make finds, before any package is there:
standard library only, and no syntax that Python 2.7 does not read, so that a Python that is too old
gets a sentence and not a syntax error.

    python3 tools/setup.py --extras book,language,test
    python3 tools/setup.py --extras yolo --venv .venv-yolo
"""

from __future__ import print_function

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time

OLDEST_PYTHON = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = ("pyproject.toml", "constraints.txt")
STAMP = "companion-setup.json"
LOG = "setup.log"
VENV_OPTIONS = []

# Runs inside the environment: its Python version, and each file of each installed package that is
# missing or has another size than the one written down when it was installed.
PROBE = r"""
import csv, importlib.metadata, json, os, sys
versions, damaged = {}, []
for dist in importlib.metadata.distributions():
    versions[dist.metadata["Name"]] = dist.version
    folder = str(dist.locate_file(""))
    for row in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        path, size = row[0], row[2]
        if path.endswith(".pyc"):
            continue
        try:
            found = os.stat(os.path.join(folder, path)).st_size
        except OSError:
            found = None
        if found is None or (size and int(size) != found):
            damaged.append(path)
python = "%d.%d" % sys.version_info[:2]
print(json.dumps({"python": python, "versions": versions, "damaged": damaged}))
"""


class SetupError(Exception):
    """Something the reader has to mend; its text is one sentence."""


def too_old_sentence(version):
    """Return the sentence for a Python below `OLDEST_PYTHON`, or None when it is new enough."""
    if tuple(version[:2]) >= OLDEST_PYTHON:
        return None
    oldest = "%d.%d" % OLDEST_PYTHON
    found = "%d.%d.%d" % tuple(version[:3])
    return "Python %s or newer is needed, this is %s: install it or run make PYTHON=python3.12" % (
        oldest,
        found,
    )


def inputs_hash(root):
    """Return the SHA-256 of the files that an environment is made from, as hexadecimal text."""
    digest = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(root, name), "rb") as file:
            content = file.read()
        digest.update(("%s %d\n" % (name, len(content))).encode())
        digest.update(content)
    return digest.hexdigest()


def venv_python(venv):
    """Return the path of the environment's Python."""
    if os.name == "nt":
        return os.path.join(venv, "Scripts", "python.exe")
    return os.path.join(venv, "bin", "python")


def probe(venv):
    """Return what `PROBE` finds in the environment, or None where its Python does not run."""
    try:
        done = subprocess.run(
            [venv_python(venv), "-I", "-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )
        return json.loads(done.stdout.decode()) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def read_stamp(venv):
    """Return the stamp that a finished set-up left, or None."""
    try:
        with open(os.path.join(venv, STAMP)) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return None
    complete = isinstance(stamp, dict) and {"inputs", "root", "extras", "found"} <= set(stamp)
    return stamp if complete else None


def write_stamp(venv, root, extras):
    """Write down what was installed; the last act of a set-up.

    Raises:
        SetupError: The environment that was just made does not run or lacks files.
    """
    found = probe(venv)
    if found is None or found["damaged"]:
        raise SetupError(
            "The environment was made but does not run: see %s." % os.path.join(venv, LOG)
        )
    stamp = {
        "inputs": inputs_hash(root),
        "root": root,
        "extras": sorted(extras),
        "found": {"python": found["python"], "versions": found["versions"]},
    }
    path = os.path.join(venv, STAMP)
    with open(path + ".part", "w") as file:
        json.dump(stamp, file, indent=1, sort_keys=True)
    os.replace(path + ".part", path)


def why_rebuild(venv, root):
    """Return in a few words why the environment must be made afresh, or None if it is sound."""
    if not os.path.lexists(venv):
        return "there is none yet"
    stamp = read_stamp(venv)
    if stamp is None:
        return "the one that is there was never finished"
    if stamp["root"] != root:
        return "the folder was moved"
    if stamp["inputs"] != inputs_hash(root):
        return "%s changed" % " or ".join(SOURCES)
    found = probe(venv)
    if found is None:
        return "its Python does not run"
    if found["python"] != stamp["found"]["python"]:
        return "its Python is another one now"
    for name, version in sorted(stamp["found"]["versions"].items()):
        if found["versions"].get(name) != version:
            return "%s %s is no longer in it" % (name, version)
    if found["damaged"]:
        return "files are missing or damaged (%s)" % found["damaged"][0]
    return None


def remove(path):
    """Remove a folder, a file or a link, if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


@contextlib.contextmanager
def locked(root):
    """Let one set-up run at a time; a second one waits and then finds the work done."""
    try:
        import fcntl
    except ImportError:  # Windows has no make either
        yield
        return
    with open(os.path.join(root, ".venv.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("Another make is setting up .venv; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def say(text):
    """Print a line at once, also into a pipe."""
    print(text)
    sys.stdout.flush()


@contextlib.contextmanager
def heartbeat(seconds=20):
    """Say every so often that work goes on."""
    stop = threading.Event()
    start = time.time()

    def beat():
        while not stop.wait(seconds):
            say("  still at it after %d s" % (time.time() - start))

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run_logged(command, log, root):
    """Run a command with its output in the log.

    Raises:
        SetupError: The command failed; the end of its output is printed first.
    """
    with open(log, "ab") as file:
        file.write(("\n$ %s\n" % " ".join(command)).encode())
        file.flush()
        start = file.tell()
        code = subprocess.call(command, cwd=root, stdout=file, stderr=subprocess.STDOUT)
    if code == 0:
        return
    with open(log, "rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    say("\n".join(["  | " + line for line in lines[-15:]]))
    raise SetupError(
        "`%s ...` failed: mend what the lines above say and run make again (all of it is in %s)."
        % (" ".join(command[1:4]), os.path.relpath(log, root))
    )


def install(venv, root, extras):
    """Install the package with its extras into the environment, in the exact versions."""
    package = ".[%s]" % ",".join(sorted(extras)) if extras else "."
    options = ["install", "--disable-pip-version-check", "-c", "constraints.txt", "-e", package]
    with heartbeat():
        run_logged([venv_python(venv), "-m", "pip"] + options, os.path.join(venv, LOG), root)


def create(venv, root):
    """Make an empty environment from the Python that runs this.

    Raises:
        SetupError: The Python comes without the module venv.
    """
    remove(venv)
    os.makedirs(venv)
    command = [sys.executable, "-m", "venv"] + VENV_OPTIONS + [venv]
    try:
        run_logged(command, os.path.join(venv, LOG), root)
        return
    except SetupError:
        pass  # its words are pip's; ours follow
    raise SetupError(
        "This Python cannot make environments: "
        "install its venv module (on Debian and Ubuntu: apt install python3-venv)."
    )


def set_up(root, extras, name=".venv"):
    """Make, repair or extend the environment `root/name` so that it holds the package and extras.

    Raises:
        SetupError: The Python is too old, or something could not be made or installed.
    """
    venv = os.path.join(root, name)
    names = " and ".join(sorted(extras))
    start = time.time()
    reason = why_rebuild(venv, root)
    if reason:
        sentence = too_old_sentence(sys.version_info)
        if sentence:
            raise SetupError(sentence)
        say("Making %s with the package and its extras %s, because %s." % (name, names, reason))
        say("  2 to 3 minutes on a fast line, and 6 GB on disk.")
        create(venv, root)
        wanted = set(extras)
    else:
        present = set(read_stamp(venv)["extras"])
        wanted = present | set(extras)
        if wanted == present:
            return
        say("Adding the extras %s to %s: about a minute." % (names, name))
        os.remove(os.path.join(venv, STAMP))
    install(venv, root, wanted)
    write_stamp(venv, root, wanted)
    say("  %s is ready after %d s." % (name, time.time() - start))


def main(arguments=None):
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Make, repair or extend an environment.")
    parser.add_argument("--extras", default="book,language,test", help="names from pyproject.toml")
    parser.add_argument("--venv", default=".venv", help="name of the environment's folder")
    given = parser.parse_args(arguments)
    extras = [name for name in given.extras.split(",") if name]
    try:
        with locked(ROOT):
            set_up(ROOT, extras, given.venv)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the next make begins this again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

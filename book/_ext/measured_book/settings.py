"""Settings that depend on the code, the versions and the address rather than on `_config.yml`."""

from __future__ import annotations

import os
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from booktools.execution import cache_path, chapter_environment
from booktools.layout import chapters
from booktools.public_address import theme_options_for

RESULTS = Path("_build") / "results"
ONLY = "COMPANION_CHAPTERS"


def setup(app: Sphinx) -> None:
    """Register the two events that change settings."""
    app.connect("config-inited", _set_execution, priority=100)
    app.connect("config-inited", _set_buttons, priority=100)


def _set_execution(app: Sphinx, config: Config) -> None:
    """Name the cache after code and versions; give kernels their environment.

    Results go to COMPANION_RESULTS if the caller set it, else to `_build/results`.
    """
    root = Path(app.srcdir)
    config["nb_execution_cache_path"] = str(cache_path(root))
    results = Path(os.environ.get("COMPANION_RESULTS") or root / RESULTS)
    os.environ.update(chapter_environment(results))
    if os.environ["COMPANION_SCALE"] == "laptop":
        os.environ.pop("COMPANION_DATA", None)
    wanted = [name for name in os.environ.get(ONLY, "").split(",") if name]
    if wanted:
        others = [page for page in chapters(root) if page.name not in wanted]
        config["nb_execution_excludepatterns"] = [f"{page.docname}.md" for page in others]


def _set_buttons(app: Sphinx, config: Config) -> None:
    """Leave out every link to the repository while its address is undecided."""
    config["html_theme_options"] = theme_options_for(dict(config.html_theme_options))

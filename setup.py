"""Puts the recorded studies into the package as it is built; all else is in pyproject.toml.

Chapters draw them. They lie beside the chapters in `book/studies`, where a checkout finds them; a
reader who installs the package alone, on Colab for one, needs them too.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

STUDIES = Path(__file__).resolve().parent / "book" / "studies"


class BuildWithStudies(build_py):
    """Build the package and copy the recorded studies to `companion/recorded`."""

    def run(self) -> None:
        """Build, then copy; an editable installation reads them where they lie."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "companion", "recorded")
            shutil.copytree(
                STUDIES, target, ignore=shutil.ignore_patterns("*.toml"), dirs_exist_ok=True
            )


setup(cmdclass={"build_py": BuildWithStudies})

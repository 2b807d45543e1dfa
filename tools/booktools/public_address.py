"""What follows from the repository's public address: launch buttons and links, or none yet."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

BRANCH = "main"
COLAB = "https://colab.research.google.com"


@dataclass(frozen=True)
class Address:
    """The public repository on a code host, decided or not."""

    url: str
    branch: str = BRANCH

    @property
    def is_decided(self) -> bool:
        """Whether the address can be linked to (the reserved domain `.invalid` cannot)."""
        host = urlparse(self.url).hostname or ""
        return bool(host) and host != "invalid" and not host.endswith(".invalid")

    @property
    def repository(self) -> str:
        """Owner and name, as code hosts write it."""
        return urlparse(self.url).path.strip("/").removesuffix(".git")

    def colab(self, path: str) -> str:
        """Return the address under which Colab opens the file at `path`."""
        return f"{COLAB}/github/{self.repository}/blob/{self.branch}/{path}"

    def page(self, path: str) -> str:
        """Return the address under which the code host shows the file at `path`."""
        return f"{self.url.rstrip('/').removesuffix('.git')}/blob/{self.branch}/{path}"

    def raw(self, path: str) -> str:
        """Return the address of the bytes of the file at `path`."""
        return f"{self.url.rstrip('/').removesuffix('.git')}/raw/{self.branch}/{path}"


def address(root: Path) -> Address:
    """Read the address from `[project.urls]` of pyproject.toml; undecided where it is absent."""
    path = root / "pyproject.toml"
    if not path.is_file():
        return Address("")
    project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    return Address(project.get("urls", {}).get("Repository", ""))


def theme_options_for(options: dict[str, Any]) -> dict[str, Any]:
    """Return the theme's options without repository and launch links if the address is undecided.

    Args:
        options: `html_theme_options` as `_config.yml` gives them.
    """
    if Address(options.get("repository_url", "")).is_decided:
        return options
    return options | {"repository_url": "", "launch_buttons": {}}


def launch_sentence(place: Address) -> str:
    """Say, in Markdown, how a chapter is opened as a notebook."""
    if place.is_decided:
        return (
            "Every chapter opens as a notebook: the rocket at the top right of its page starts "
            "it on Colab or Binder, the download button beside it saves it."
        )
    return (
        "Every chapter opens as a notebook: the download button at the top right of its page "
        "saves it. The public address of this book's repository is not decided yet, so pages "
        "have no Colab and Binder buttons; they appear once `pyproject.toml` names it."
    )

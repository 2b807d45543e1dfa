"""Language models as folders that transformers' `from_pretrained` reads, and public ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion import assets, checks, runtime
from companion.assets import RemoteFile
from companion.language_models.model import GPTShape, LanguageModel, build_gpt
from companion.language_models.vocabulary import (
    END,
    PADDING,
    load_vocabulary,
    tiny_vocabulary,
)

__all__ = ["PUBLIC", "load_language_model", "save_language_model"]

TINYGPT = "tinygpt"
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"

HUB = "https://huggingface.co/openai-community/gpt2/resolve"
REVISION = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


def _file(name: str, sha256: str, size_bytes: int) -> RemoteFile:
    """Return one of the files of the public GPT-2."""
    return RemoteFile(
        f"language/gpt2/{name}", f"{HUB}/{REVISION}/{name}", sha256, size_bytes, "MIT"
    )


PUBLIC: dict[str, tuple[RemoteFile, ...]] = {
    "gpt2": (
        _file(
            WEIGHTS,
            "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707",
            548_105_171,
        ),
        _file(CONFIG, "0daed7749b4f02b8f76240d5444551d7b08712dab4d0adb8239c56ba823bb7b4", 665),
        _file(
            TOKENIZER,
            "8414cab924d8b9b33013f0d221c5862f365ee9be39c5c2bfae8a5a9e970478a6",
            1_355_256,
        ),
    )
}
"""Files of each public language model: weights, architecture, vocabulary."""

TINY = GPTShape(258, width=32, num_layers=2, num_heads=2, num_positions=64)
"""What stands for a public model where none can be had."""


def load_language_model(name: str | Path = TINYGPT, *, seed: int = 0) -> LanguageModel:
    """Load a language model, in evaluation mode on the CPU.

    Args:
        name: `"tinygpt"`, which ships with the package; `"gpt2"`, the public one of 124 million
            parameters; or a folder that `save_language_model` or transformers wrote.
        seed: of the random weights that stand for a public model at the scale `rehearsal`.

    Raises:
        CompanionError: an unknown name that is no folder either, a folder without the files, or
            weights that do not fit.

    Reference: radford2019language
    """
    if name in PUBLIC:
        if runtime.scale() == "rehearsal":
            vocabulary = tiny_vocabulary()
            network = build_gpt(TINY, end=vocabulary.end, padding=vocabulary.padding, seed=seed)
            return LanguageModel(network, vocabulary)
        weights, config, tokenizer = (assets.fetch(file) for file in PUBLIC[str(name)])
        return _load(weights, config, tokenizer)
    folder = assets.BUNDLED / TINYGPT if name == TINYGPT else Path(name).expanduser()
    if not folder.is_dir():
        checks.fail(
            "language model",
            got=f"{str(name)!r}, which is no folder",
            expected=f"{TINYGPT!r}, {', '.join(map(repr, PUBLIC))} or a folder",
            do="check the path, or make tinygpt with recipes/tinygpt.py",
        )
    files = [
        checks.existing_file(f"language model {folder.name}", folder / file)
        for file in (WEIGHTS, CONFIG, TOKENIZER)
    ]
    return _load(*files)


def _load(weights: Path, config: Path, tokenizer: Path) -> LanguageModel:
    """Return the model of three files."""
    from transformers import GPT2Config, GPT2LMHeadModel

    fields = json.loads(config.read_text(encoding="utf-8"))
    if fields.get("model_type") != "gpt2":
        checks.fail(
            f"language model {config.parent}",
            got=f"the architecture {fields.get('model_type')!r}",
            expected="'gpt2'",
            do="take a model of the GPT-2 kind",
        )
    config_only = {name: value for name, value in fields.items() if not name.endswith("dtype")}
    with runtime.fork_seed(0, "overwritten"):
        network: Any = GPT2LMHeadModel(GPT2Config(**config_only))
    state = {_full_name(k): v.float() for k, v in assets.load_weights(weights).items()}
    wanted = {name for name in network.state_dict() if name != "lm_head.weight"}
    given = {name for name in state if not name.endswith((".attn.bias", ".attn.masked_bias"))}
    if wanted != given - {"lm_head.weight"}:
        different = sorted(wanted ^ (given - {"lm_head.weight"}))
        _refuse(weights, f"{different[0]} that is missing or too many")
    try:
        network.load_state_dict({name: state[name] for name in wanted}, strict=False)
    except RuntimeError as error:
        _refuse(weights, str(error).splitlines()[-1].strip())
    return LanguageModel(network.eval(), load_vocabulary(tokenizer))


def _full_name(name: str) -> str:
    """Return a weight's name within `GPT2LMHeadModel`; the public file names the trunk alone."""
    return name if name.startswith(("transformer.", "lm_head.")) else f"transformer.{name}"


def _refuse(path: Path, got: str) -> None:
    """Raise the error for weights of another network."""
    checks.fail(
        f"language model {path.parent}",
        got=got,
        expected=f"the weights that {CONFIG} describes",
        do="take all files from the same folder",
    )


def save_language_model(model: LanguageModel, folder: str | Path) -> Path:
    """Write a language model as a folder that `from_pretrained` of transformers reads.

    The weights are stored in 16 bits; the tied last layer is stored once.

    Args:
        model: the model; LoRA factors must be merged first. It stays as it is.
        folder: where to; a folder that is there is replaced as a whole.

    Returns:
        The folder.

    Raises:
        CompanionError: LoRA factors that are not merged, a weight that 16 bits cannot hold, no
            permission, or no room.
    """
    from safetensors.torch import save

    content = save(_stored_weights(model.network), metadata={"format": "pt"})
    with runtime.atomic_directory(folder) as temporary:
        (temporary / WEIGHTS).write_bytes(content)
        model.vocabulary.save(temporary / TOKENIZER)
        config = model.network.config.to_dict() | {"dtype": "float16"}
        _write_json(temporary / CONFIG, config)
        _write_json(temporary / "tokenizer_config.json", _tokenizer_config(model))
    return Path(folder).expanduser()


def _stored_weights(network: Any) -> dict[str, Tensor]:
    """Return what is stored of a network: 16 bits, without the tied last layer."""
    found = {}
    for name, tensor in network.state_dict().items():
        if ".lora_" in name:
            checks.fail(
                "model",
                got="LoRA factors",
                expected="plain weights",
                do="call merge_attention_ first",
            )
        half = tensor.detach().cpu().half().contiguous()
        if not torch.isfinite(half).all():
            checks.fail(
                f"weight {name}",
                got=f"{float(tensor.abs().max()):.3g}",
                expected="at most 65504, what 16 bits hold",
                do="look for a training that diverged",
            )
        found[name] = half
    return {name: tensor for name, tensor in found.items() if name != "lm_head.weight"}


def _tokenizer_config(model: LanguageModel) -> dict[str, Any]:
    """Return what `AutoTokenizer` reads beside the vocabulary."""
    has_padding = model.vocabulary.padding != model.vocabulary.end
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "unk_token": END,
        "pad_token": PADDING if has_padding else END,
        "model_max_length": model.num_positions,
        "clean_up_tokenization_spaces": False,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dictionary, its keys sorted."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")

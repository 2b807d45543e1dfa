"""What an outcome rests on: hashes of values, code and assets; the machine in words."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion import runtime
from companion.layer_groups import HEAD
from companion.strategies import Adaptation, plan

__all__ = [
    "describe_machine",
    "hash_dependencies",
    "hash_files",
    "hash_values",
    "normalised_source",
]

PACKAGE = Path(__file__).resolve().parents[1]

CORE = (
    "runtime",
    "splits",
    "batches",
    "backbones.base",
    "heads",
    "layer_groups",
    "adapters",
    "evaluation.detection",
    "evaluation.scores",
    "evaluation.main_intervals",
    "evaluation.metrics",
    "evaluation.spans",
    "training",
    "study.comparing",
)
"""Modules that every training goes through. The strategies enter as the plans they make, and of
`datasets` and `backbones` only what the study loads, so that a new strategy, dataset or backbone
leaves recorded studies fresh."""


def hash_values(values: Mapping[str, Any]) -> str:
    """Return a SHA-256 of plain values, whatever the order of their keys.

    Args:
        values: strings, numbers, lists and dictionaries of such.
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def normalised_source(source: str) -> str:
    r"""Return what Python code does, without comments, docstrings and layout.

    Args:
        source: the text of a module.

    Example:
        >>> normalised_source("x = 1  # one") == normalised_source("'A module.'\nx  =  1")
        True
        >>> normalised_source("x = 1") == normalised_source("x = 2")
        False
    """
    return _dump(ast.parse(source))


def _dump(node: object) -> str:
    """Return a syntax tree as text that is the same under every Python version."""
    if isinstance(node, list):
        kept = [_dump(item) for item in node if not _is_docstring(item)]
        return f"[{','.join(kept)}]" if kept else ""
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind")]
    texts = [(name, _dump(value)) for name, value in fields if value is not None]
    return f"{type(node).__name__}({','.join(f'{n}={t}' for n, t in texts if t)})"


def _is_docstring(node: object) -> bool:
    """Return whether a statement is nothing but a text."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def hash_dependencies(
    *,
    backbone: str,
    dataset: str,
    strategies: Mapping[str, Adaptation],
) -> str:
    """Return a hash of the code and assets that a study's outcome rests on.

    Comments, docstrings and layout do not count.

    Args:
        backbone: its name.
        dataset: its name.
        strategies: the plans that are carried out, by name.

    Returns:
        64 hexadecimal digits.
    """
    loaded = _loader_modules("backbones", backbone) | _loader_modules("datasets", dataset)
    facts = hash_files({*CORE, *loaded}, {backbone, dataset})
    facts["strategies"] = {name: dataclasses.asdict(value) for name, value in strategies.items()}
    return hash_values(facts)


def hash_files(modules: Iterable[str], assets: Iterable[str] = ()) -> dict[str, Any]:
    """Return what code and bundled files hold, by their path: what a hash is made of.

    Args:
        modules: modules below `companion`, such as `"evaluation.scores"`.
        assets: names of backbones or datasets.
    """
    facts: dict[str, Any] = {
        str(path.relative_to(PACKAGE)): normalised_source(path.read_text(encoding="utf-8"))
        for path in _files(modules)
    }
    for name in assets:
        facts |= {str(p.relative_to(PACKAGE)): runtime.sha256_file(p) for p in _assets(name)}
    return facts


def plans(
    strategies: Iterable[str | Adaptation], group_names: Sequence[str]
) -> dict[str, Adaptation]:
    """Return the plan of each strategy for a backbone's layer groups, by name.

    Args:
        strategies: registered names or plans.
        group_names: names of the backbone's layer groups, from the input to the output.

    Raises:
        CompanionError: an unknown strategy, or a plan that does not fit.
    """
    found = [plan(strategy, (*group_names, HEAD)) for strategy in strategies]
    return {adaptation.name: adaptation for adaptation in found}


def _loader_modules(package: str, name: str) -> set[str]:
    """Return the modules below `companion.<package>` that loading this name goes through."""
    loaders = importlib.import_module(f"companion.{package}").LOADERS
    if name not in loaders:
        return set()
    waiting, found = [loaders[name].__module__.removeprefix("companion.")], set[str]()
    while waiting:
        module = waiting.pop()
        if module in found or not module.startswith(f"{package}."):
            continue
        found.add(module)
        for path in _files([module]):
            waiting += _imported(ast.parse(path.read_text(encoding="utf-8")))
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the companion modules that a module imports, without their first name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("companion."):
            base = (node.module or "").removeprefix("companion.")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files(modules: Iterable[str]) -> list[Path]:
    """Return the source files of modules; of a package that is named, all of them."""
    found: set[Path] = set()
    for module in modules:
        path = PACKAGE.joinpath(*module.split("."))
        if path.with_suffix(".py").is_file():
            found.add(path.with_suffix(".py"))
        elif path.is_dir():
            found |= set(path.glob("*.py"))
    return sorted(found)


def _assets(name: str) -> list[Path]:
    """Return the bundled files of a backbone or dataset, without the cards that describe them."""
    folder = PACKAGE / "assets" / name
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".md")


def describe_machine() -> str:
    """Return the machine in words: cores, processor, instructions and threads."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    threads = torch.get_num_threads()
    words = [
        f"{cores} CPU core{'s' if cores != 1 else ''}",
        f"({_processor()}, {capability}, {threads} thread{'s' if threads != 1 else ''})",
    ]
    if torch.cuda.is_available():
        words.append(f"and {torch.cuda.get_device_name()}")
    return " ".join(words)


def _processor() -> str:
    """Return the processor's model, or its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine() or "unnamed processor"

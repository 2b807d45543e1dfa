"""Freezing, learning rates by layer group, and the ledger that tells what is trained.

The layer groups of a model are those of its backbone, from input to output, and `"head"`. A group
without a trainable parameter is frozen: its parameters get no gradient, and its batch-norm
statistics and dropout stay in evaluation mode, so that nothing in it can move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from companion import checks
from companion.heads import Model

__all__ = [
    "HEAD",
    "Ledger",
    "LedgerRow",
    "fingerprints",
    "freeze_",
    "group_modules",
    "group_names",
    "is_frozen",
    "ledger",
    "merge_ledgers",
    "parameter_groups",
    "set_modes_",
    "unfreeze_",
]

HEAD = "head"
_ADAPTER_MARKS = ("lora_A", "lora_B")


def group_names(model: Model) -> tuple[str, ...]:
    """Return the names of a model's layer groups, from the input to the head.

    Args:
        model: a backbone with its head; a backbone alone has its own `group_names`.

    Raises:
        CompanionError: it is no `Model`.
    """
    if not isinstance(model, Model):
        checks.fail(
            "model",
            got=f"a {type(model).__name__}",
            expected="a Model, that is a backbone with its head",
            do="of a backbone take `backbone.group_names`; of a result take `result.model`",
        )
    return (*model.backbone.group_names, HEAD)


def group_modules(model: Model, name: str) -> list[nn.Module]:
    """Return the modules of one layer group.

    Raises:
        CompanionError: the model has no such group.
    """
    checks.one_of("layer group", name, group_names(model))
    if name == HEAD:
        return [model.head]
    group = next(group for group in model.backbone.groups if group.name == name)
    return [model.backbone.encoder.get_submodule(module) for module in group.modules]


def _named_tensors(model: Model, name: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of one group by their names within it."""
    for position, module in enumerate(group_modules(model, name)):
        for key, tensor in (*module.named_parameters(), *module.named_buffers()):
            yield f"{position}.{key}", tensor


def _parameters(model: Model, name: str) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters of one group by their names within it."""
    found = _named_tensors(model, name)
    return [(key, tensor) for key, tensor in found if isinstance(tensor, nn.Parameter)]


def freeze_(model: Model, groups: Sequence[str]) -> None:
    """Stop the training of layer groups, their batch-norm statistics included.

    Args:
        model: the model.
        groups: names of the layer groups to freeze; an empty sequence freezes nothing.

    Raises:
        CompanionError: the model has no such group.

    Modifies: `requires_grad` of the groups' parameters, the mode of their modules.
    """
    for name in groups:
        for _, parameter in _parameters(model, name):
            parameter.requires_grad_(False)
            parameter.grad = None
        for module in group_modules(model, name):
            module.eval()


def unfreeze_(model: Model, groups: Sequence[str]) -> None:
    """Let layer groups train again.

    Where the backbone holds LoRA factors, they alone train and all its own weights stay frozen.

    Args:
        model: the model.
        groups: names of the layer groups; an empty sequence changes nothing.

    Raises:
        CompanionError: the model has no such group.

    Modifies: `requires_grad` of the groups' parameters, the mode of their modules.
    """
    is_adapted = any(_is_adapter(key) for key, _ in model.backbone.encoder.named_parameters())
    for name in groups:
        for key, parameter in _parameters(model, name):
            parameter.requires_grad_(name == HEAD or not is_adapted or _is_adapter(key))
        for module in group_modules(model, name):
            module.train(not is_frozen(model, name))


def _is_adapter(key: str) -> bool:
    """Return whether a parameter's name is that of a LoRA factor."""
    return any(mark in key for mark in _ADAPTER_MARKS)


def is_frozen(model: Model, group: str) -> bool:
    """Return whether no parameter of a layer group can be trained."""
    return not any(parameter.requires_grad for _, parameter in _parameters(model, group))


def set_modes_(model: Model, *, freeze_batch_norm: bool = False) -> None:
    """Put what is trained in training mode and what is frozen in evaluation mode.

    `model.train()` alone would let the batch-norm statistics of frozen layers drift.

    Args:
        model: the model.
        freeze_batch_norm: keep the statistics of every batch norm, frozen or not.

    Modifies: the mode of all modules.
    """
    model.train()
    for name in group_names(model):
        for module in group_modules(model, name):
            if is_frozen(model, name):
                module.eval()
                continue
            for norm in (m for m in module.modules() if isinstance(m, _BatchNorm)):
                trained = _trains_own_weights(norm if norm.affine else module)
                norm.train(trained and not freeze_batch_norm)


def _trains_own_weights(module: nn.Module) -> bool:
    """Return whether a parameter that is no LoRA factor is trained."""
    return any(p.requires_grad for key, p in module.named_parameters() if not _is_adapter(key))


def parameter_groups(
    model: Model, learning_rates: Mapping[str, float], *, weight_decay: float
) -> list[dict[str, Any]]:
    """Return optimizer groups: one learning rate a layer group, no decay on vectors.

    Biases, and the scales and shifts of norms, are not decayed.

    Args:
        model: the model.
        learning_rates: learning rate of each layer group that is trained.
        weight_decay: decay of the matrices and kernels.

    Returns:
        One or two dictionaries a layer group, from the input to the head, with the keys
        `params`, `names`, `group`, `lr` and `weight_decay`; groups without a trainable parameter
        are left out.

    Raises:
        CompanionError: a rate for a group that the model does not have.
    """
    for name in learning_rates:
        checks.one_of("layer group", name, group_names(model))
    found = []
    for name in (n for n in group_names(model) if n in learning_rates):
        trained = [(key, p) for key, p in _parameters(model, name) if p.requires_grad]
        for is_matrix, decay in ((True, weight_decay), (False, 0.0)):
            part = [(key, p) for key, p in trained if (p.dim() > 1) is is_matrix]
            if part:
                found.append(
                    {
                        "params": [p for _, p in part],
                        "names": [f"{name}.{key}" for key, _ in part],
                        "group": name,
                        "lr": learning_rates[name],
                        "weight_decay": decay,
                    }
                )
    return found


def fingerprints(model: Model, *, without_adapters: bool = True) -> dict[str, str]:
    """Return a SHA-256 of each layer group: equal if and only if no bit of it has moved.

    Args:
        model: the model.
        without_adapters: leave LoRA factors out and name the weights under them as before, so
            that a group reads the same with and without adapters.

    Returns:
        Hexadecimal digests by the name of the layer group; buffers are hashed too.
    """
    found = {}
    for name in group_names(model):
        digest = hashlib.sha256()
        tensors = {
            key.replace("base_layer.", ""): tensor
            for key, tensor in _named_tensors(model, name)
            if not (without_adapters and _is_adapter(key))
        }
        for key in sorted(tensors):
            digest.update(key.encode())
            raw = tensors[key].detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(raw.numpy().tobytes())
        found[name] = digest.hexdigest()
    return found


@dataclass(frozen=True)
class LedgerRow:
    """One layer group in the ledger.

    Attributes:
        group: its name.
        num_parameters: how many numbers it holds, LoRA factors included.
        num_trainable: how many of them are trained in some phase.
        learning_rates: its highest learning rate in each phase, `None` where it is frozen.
        has_moved: whether its own weights or statistics differ from before the training, bit by
            bit; `None` before a training.
    """

    group: str
    num_parameters: int
    num_trainable: int
    learning_rates: tuple[float | None, ...]
    has_moved: bool | None = None


@dataclass(frozen=True)
class Ledger:
    """What is trained, by layer group: the account that each run gives of itself.

    Attributes:
        phases: names of the phases, in their order.
        rows: one a layer group, from the input to the head.
    """

    phases: tuple[str, ...]
    rows: tuple[LedgerRow, ...]

    @property
    def num_parameters(self) -> int:
        """How many parameters the model holds."""
        return sum(row.num_parameters for row in self.rows)

    @property
    def num_trainable(self) -> int:
        """How many of them are trained in some phase."""
        return sum(row.num_trainable for row in self.rows)

    def __str__(self) -> str:
        """Return the ledger as a table of text."""
        heads = ["layer group", "parameters", "trained", *self.phases, "moved"]
        lines = [heads] + [_ledger_cells(row) for row in self.rows]
        lines.append(["all", f"{self.num_parameters:,}", f"{self.num_trainable:,}"])
        lines[-1] += [""] * (len(heads) - 3)
        widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
        rows = ("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines)
        return "\n".join(rows)


def _ledger_cells(row: LedgerRow) -> list[str]:
    """Return one row of the ledger as text."""
    rates = ["frozen" if rate is None else f"{rate:.2g}" for rate in row.learning_rates]
    moved = {None: "", True: "yes", False: "no"}[row.has_moved]
    return [row.group, f"{row.num_parameters:,}", f"{row.num_trainable:,}", *rates, moved]


def ledger(model: Model, learning_rates: Mapping[str, float] | None = None) -> Ledger:
    """Return what is trained in a model as it stands.

    Args:
        model: the model.
        learning_rates: learning rate by layer group, for the table.
    """
    rates = dict(learning_rates or {})
    rows = [_ledger_row(model, name, rates.get(name)) for name in group_names(model)]
    return Ledger(("now",), tuple(rows))


def _ledger_row(model: Model, name: str, rate: float | None) -> LedgerRow:
    """Return the ledger's row of one layer group as the model stands."""
    parameters = [parameter for _, parameter in _parameters(model, name)]
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    shown = (rate if rate is not None else float("nan")) if trainable else None
    return LedgerRow(name, sum(p.numel() for p in parameters), trainable, (shown,))


def merge_ledgers(phases: Mapping[str, Ledger], moved: Mapping[str, bool]) -> Ledger:
    """Return one ledger of several phases.

    Args:
        phases: the ledger of each phase, by its name.
        moved: whether each layer group differs from before the training.
    """
    rows = []
    for same_group in zip(*(ledger.rows for ledger in phases.values()), strict=True):
        rates = tuple(row.learning_rates[0] for row in same_group)
        first = same_group[0]
        trainable = max(row.num_trainable for row in same_group)
        rows.append(
            LedgerRow(first.group, first.num_parameters, trainable, rates, moved[first.group])
        )
    return Ledger(tuple(phases), tuple(rows))

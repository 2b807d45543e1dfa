"""One training loop for every modality, strategy, device and number of processes.

The position of a run is (phase, step). The order of each epoch and every random number are
functions of (seed, position), so a run that was killed and resumed ends bit-equal to one that was
not, and several processes see the items that one process would see.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks, layer_groups, objectives, runtime
from companion.batches import BatchSource
from companion.heads import Model
from companion.strategies import Adaptation, Phase
from companion.training import checkpoints
from companion.training.phase_loop import PhaseLoop
from companion.training.recipe import Evaluation, History, Recipe

__all__ = ["Run"]


@dataclass
class Processes:
    """Which of how many processes this one is, and where it computes."""

    device: torch.device
    index: int = 0
    num: int = 1


def join_processes(device: str | None) -> Processes:
    """Return this process's place among those that `accelerate launch` has started.

    Args:
        device: as in `runtime.pick_device`; several processes take the device that accelerate
            gives each of them.
    """
    from accelerate.state import PartialState

    state = PartialState()
    if state.num_processes == 1:
        return Processes(runtime.pick_device(device))
    return Processes(state.device, state.process_index, state.num_processes)


@dataclass
class Run:
    """A training under way: the model, what it is trained on, and where it stands.

    Attributes:
        model: trained in place.
        adaptation: the strategy's plan.
        recipe: how to train.
        seed: the run's seed.
        train: prepared training items.
        val: prepared val items, or `None`.
        processes: device and place among the processes.
        item_weights: weight of each class in the loss, (num_classes,), or `None`.
        checkpoint_dir: where to keep checkpoints, or `None`.
        checkpoint_every: steps between checkpoints.
        fingerprint: what a checkpoint must carry to belong to this run.
        progress: whether to draw a progress bar.
    """

    model: Model
    adaptation: Adaptation
    recipe: Recipe
    seed: int
    train: BatchSource
    val: BatchSource | None
    processes: Processes
    item_weights: Tensor | None = None
    checkpoint_dir: Path | None = None
    checkpoint_every: int = 200
    fingerprint: str = ""
    progress: bool = False
    history: History = field(default_factory=History)
    ledgers: dict[str, layer_groups.Ledger] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    num_bad: int = 0

    def __post_init__(self) -> None:
        """Divide the steps among the phases, choose the precision, remember the first weights."""
        total = self.recipe.num_steps(len(self.train))
        self.bounds = _phase_bounds(total, [phase.share for phase in self.adaptation.phases])
        self.device = self.processes.device
        self.precision = runtime.pick_precision(self.recipe.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")
        self.step = 0
        pulled = self.adaptation.l2_sp is not None
        self.start = objectives.starting_point(self.model.backbone) if pulled else {}

    def carry_out(self) -> None:
        """Train from where the run stands to its end.

        Raises:
            CompanionError: a loss that is not finite; the batch is named.

        Modifies: the model, the history.
        """
        found = self._load_checkpoint()
        first = 0 if found is None else found.state["phase"]
        with self._bar() as bar:
            for index, phase in enumerate(self.adaptation.phases):
                optimizer = self._open_phase(index, phase)
                if index < first:
                    continue
                if found is not None and index == first:
                    groups = found.state["optimizer_groups"]
                    checkpoints.unpack_optimizer_(optimizer, found.tensors, groups)
                else:
                    self.history.phases.append((phase.name, self.step))
                    self._keep_anchor(index)
                self._carry_out_phase(PhaseLoop(self, index, phase, optimizer), bar)
        self._finish()

    def _carry_out_phase(self, loop: PhaseLoop, bar: Any) -> None:
        """Train a phase from where the run stands to its end."""
        while self.step < loop.end:
            loop.advance()
            bar.update(1)
            if loop.is_evaluation_due() and self._evaluate(loop):
                break
            if self.step % self.checkpoint_every == 0:
                self._save_checkpoint(loop.index, loop.optimizer)

    def _open_phase(self, index: int, phase: Phase) -> torch.optim.Optimizer:
        """Freeze and unfreeze for a phase and return its optimizer.

        Modifies: the model.
        """
        everything = layer_groups.group_names(self.model)
        layer_groups.freeze_(self.model, [n for n in everything if n not in phase.factors])
        layer_groups.unfreeze_(self.model, [n for n in everything if n in phase.factors])
        layer_groups.set_modes_(self.model, freeze_batch_norm=self.recipe.freeze_batch_norm)
        rates = {n: f * self.recipe.learning_rate for n, f in phase.factors.items()}
        name = phase.name if phase.name not in self.ledgers else f"{phase.name} {index + 1}"
        self.ledgers[name] = layer_groups.ledger(self.model, rates)
        return self._optimizer(rates)

    def _optimizer(self, rates: dict[str, float]) -> torch.optim.Optimizer:
        """Return AdamW over what is trained, fused where the device has it.

        Layer groups of one learning rate and decay share a group: each group costs time in
        every step.
        """
        members: dict[tuple[float, float], list[nn.Parameter]] = {}
        decay = self.recipe.weight_decay if self.adaptation.l2_sp is None else 0.0
        for group in layer_groups.parameter_groups(self.model, rates, weight_decay=decay):
            key = group["lr"], group["weight_decay"]
            members.setdefault(key, []).extend(group["params"])
        groups = [
            {"params": parameters, "lr": rate, "highest_lr": rate, "weight_decay": weight}
            for (rate, weight), parameters in members.items()
        ]
        return torch.optim.AdamW(groups, fused=self.device.type in ("cpu", "cuda") or None)

    def _keep_anchor(self, index: int) -> None:
        """Keep the weights before the last phase, where WiSE-FT will need them."""
        is_last = index == len(self.adaptation.phases) - 1
        if is_last and self.adaptation.interpolation is not None:
            self.kept |= {f"anchor.{k}": v.clone() for k, v in self.model.state_dict().items()}

    def _evaluate(self, loop: PhaseLoop) -> bool:
        """Look at val; return whether early stopping ends the run."""
        if self.val is None:
            return False
        loss = loop.val_loss()
        self.history.evaluations.append(Evaluation(self.step, loop.phase.name, loss))
        is_last = loop.index == len(self.adaptation.phases) - 1
        if self.recipe.patience is None or not is_last:
            return False
        if loss < self.best_loss:
            self.best_loss, self.num_bad = loss, 0
            self.kept |= {f"best.{k}": v.clone() for k, v in self.model.state_dict().items()}
            return False
        self.num_bad += 1
        self.history.stopped_early = self.num_bad >= self.recipe.patience
        return self.history.stopped_early

    def _finish(self) -> None:
        """Take the best weights, average with the anchor, leave everything in evaluation mode.

        Modifies: the model.
        """
        best = _select(self.kept, "best.")
        if best:
            self.model.load_state_dict(best)
        anchor = _select(self.kept, "anchor.")
        if anchor and self.adaptation.interpolation is not None:
            interpolate_(self.model, anchor, self.adaptation.interpolation)
        self.model.eval()

    def _save_checkpoint(self, phase: int, optimizer: torch.optim.Optimizer) -> None:
        """Write a checkpoint, from the first process only."""
        if self.checkpoint_dir is None or self.processes.index != 0:
            return
        tensors, groups = checkpoints.pack_optimizer(optimizer)
        tensors |= {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"kept.{k}": v for k, v in self.kept.items()}
        state = {
            "run": self.fingerprint,
            "step": self.step,
            "phase": phase,
            "optimizer_groups": groups,
            "scaler": self.scaler.state_dict(),
            "history": self.history.as_dict(),
            "best_loss": None if math.isinf(self.best_loss) else self.best_loss,
            "num_bad": self.num_bad,
        }
        checkpoints.save(self.checkpoint_dir, self.step, checkpoints.Checkpoint(tensors, state))

    def _load_checkpoint(self) -> checkpoints.Checkpoint | None:
        """Take up the newest whole checkpoint, if there is one.

        Modifies: the model, the history, the position.
        """
        if self.checkpoint_dir is None:
            return None
        found = checkpoints.load_latest(self.checkpoint_dir, run=self.fingerprint)
        if found is None:
            return None
        state = found.state
        self.step = state["step"]
        self.history = History.from_dict(state["history"])
        self.history.resumed_at.append(self.step)
        self.best_loss = math.inf if state["best_loss"] is None else state["best_loss"]
        self.num_bad = state["num_bad"]
        self.scaler.load_state_dict(state["scaler"])
        device = {k: v.to(self.device) for k, v in found.tensors.items()}
        self.kept = _select(device, "kept.")
        self.model.load_state_dict(_select(device, "model."))
        return found

    @contextlib.contextmanager
    def _bar(self) -> Iterator[Any]:
        """Yield a progress bar over the steps, drawn by the first process."""
        from tqdm import tqdm

        hidden = not self.progress or self.processes.index != 0
        name = self.adaptation.name
        with tqdm(total=self.bounds[-1], initial=self.step, desc=name, disable=hidden) as bar:
            yield bar


def _phase_bounds(num_steps: int, shares: list[float]) -> list[int]:
    """Return the steps at which phases begin, and the last step: at least one step a phase."""
    total = max(num_steps, len(shares))
    bounds, sum_of_shares = [0], 0.0
    for position, share in enumerate(shares):
        sum_of_shares += share
        left = len(shares) - position - 1
        bounds.append(min(max(round(total * sum_of_shares), bounds[-1] + 1), total - left))
    return bounds


def _select(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@torch.no_grad()
def interpolate_(model: nn.Module, anchor: dict[str, Tensor], weight: float) -> None:
    r"""Move a model to $(1-\alpha)\,\theta_\text{anchor} + \alpha\,\theta$.

    Batch-norm statistics are averaged alike; counters keep the model's value.

    Args:
        model: holds the fine-tuned weights.
        anchor: state dict of the weights before fine-tuning.
        weight: the fine-tuned model's part, in [0, 1].

    Raises:
        CompanionError: the weight is not in [0, 1].

    Modifies: `model`.

    Reference: wortsman2022robust, eq. 1
    """
    checks.fraction("interpolation", weight)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.mul_(weight).add_(anchor[name], alpha=1 - weight)

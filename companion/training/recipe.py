"""What a training is told and what it gives back: recipe, history, result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from companion import checks
from companion.batches import Augmentation

if TYPE_CHECKING:
    from companion.evaluation import Scores
    from companion.heads import Model
    from companion.layer_groups import Ledger

__all__ = ["Evaluation", "History", "Recipe", "Result", "learning_rate_factor"]


@dataclass(frozen=True)
class Recipe:
    """How to train, apart from what the strategy decides.

    Attributes:
        epochs: passes over the training items.
        min_steps: at least this many optimizer steps, however few the items: ten labelled images
            would else get a handful of steps.
        batch_size: items a step, over all processes.
        learning_rate: highest learning rate of a whole network; strategies take multiples of it.
        weight_decay: AdamW's decay of matrices and kernels.
        warmup_fraction: part of each phase in which the learning rate rises from 0, before it
            falls to 0 along a cosine.
        max_grad_norm: length to which longer gradients are cut; `None` cuts nothing.
        patience: early stopping: end the last phase after this many evaluations on val without
            a lower loss, and keep the best weights; `None` trains to the end.
        augment: a random change of the training items, such as `batches.ImageAugment`; the run's
            seed takes the place of its own. `None` for none.
        freeze_batch_norm: keep batch-norm statistics at their pretrained values.
        class_weights: `"balanced"` weighs each item by the inverse frequency of its class in
            train; `None` weighs all alike.
        label_smoothing: part of the target that is spread over all classes, in [0, 1).
        precision: `"auto"`, `"no"`, `"bf16"` or `"fp16"`.
        group_by_length: put items of about one length into a batch, where they differ: less
            padding, fewer seconds. Which items meet in a batch is then less random.
        cache_features: compute the features of a frozen backbone once instead of every epoch.

    Reference: loshchilov2019decoupled, algorithm 2 (AdamW)
    """

    epochs: int = 30
    min_steps: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_fraction: float = 0.1
    max_grad_norm: float | None = 1.0
    patience: int | None = None
    augment: Augmentation | None = None
    freeze_batch_norm: bool = False
    class_weights: str | None = None
    label_smoothing: float = 0.0
    precision: str = "auto"
    group_by_length: bool = True
    cache_features: bool = True

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("epochs", "min_steps", "batch_size", "patience"):
            self._keep(name, checks.positive_int)
        for name in ("learning_rate", "max_grad_norm"):
            self._keep(name, checks.finite_positive)
        if self.weight_decay != 0:
            self._keep("weight_decay", checks.finite_positive)
        for name in ("warmup_fraction", "label_smoothing"):
            self._keep(name, checks.fraction)
        if self.label_smoothing == 1:
            checks.fail("label_smoothing", got=1, expected="less than 1", do="try 0.1")
        if self.class_weights is not None:
            checks.one_of("class_weights", self.class_weights, ("balanced",))
        checks.one_of("precision", self.precision, ("auto", "no", "bf16", "fp16"))

    def _keep(self, name: str, check: Callable[[str, object], float]) -> None:
        """Check a field that is given and keep it as a plain Python number."""
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, check(name, value))

    def num_steps(self, num_items: int) -> int:
        """Return the optimizer steps of a run on this many training items."""
        return max(self.epochs * math.ceil(num_items / self.batch_size), self.min_steps)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, for configs and their hashes."""
        return asdict(self)


def learning_rate_factor(step: int, num_steps: int, *, warmup_fraction: float) -> float:
    """Return the learning rate of a step as a fraction of the highest one.

    It rises linearly over the warm-up, then falls to 0 along half a cosine.

    Args:
        step: step within the phase, from 0.
        num_steps: steps of the phase.
        warmup_fraction: part of the steps in which it rises.

    Example:
        >>> learning_rate_factor(0, 11, warmup_fraction=0.0)
        1.0
        >>> round(learning_rate_factor(5, 11, warmup_fraction=0.0), 3)
        0.571
    """
    num_warmup = int(num_steps * warmup_fraction)
    if step < num_warmup:
        return (step + 1) / num_warmup
    progress = (step - num_warmup) / max(num_steps - num_warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Evaluation:
    """One look at val during a training.

    Attributes:
        step: after how many steps of the run.
        phase: name of the phase.
        loss: mean loss of the val items, in nats.
    """

    step: int
    phase: str
    loss: float


@dataclass
class History:
    """What happened during a training.

    Attributes:
        losses: mean loss of each step's items, in nats.
        learning_rates: highest learning rate of each step.
        phases: name of each phase, and the step at which it began.
        evaluations: the looks at val.
        stopped_early: whether early stopping ended the run.
        resumed_at: steps at which the run was taken up again after an interruption.
    """

    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    phases: list[tuple[str, int]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    stopped_early: bool = False
    resumed_at: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the history as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """Return the history that `as_dict` wrote."""
        evaluations = [Evaluation(**row) for row in values["evaluations"]]
        phases = [(str(name), int(step)) for name, step in values["phases"]]
        return cls(**{**values, "evaluations": evaluations, "phases": phases})


@dataclass(frozen=True)
class Result:
    """A trained model and the account of its training.

    Attributes:
        model: the model, in evaluation mode.
        history: losses, learning rates and looks at val.
        scores: scores on val; `None` where there is no val.
        ledger: what was trained, and what has moved.
        strategy: name of the strategy.
        seed: the run's seed.
        recipe: how it was trained.
        seconds: wall time, without that of earlier interrupted parts.
    """

    model: Model
    history: History
    scores: Scores | None
    ledger: Ledger
    strategy: str
    seed: int
    recipe: Recipe
    seconds: float

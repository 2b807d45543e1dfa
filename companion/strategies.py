r"""The ladder of fine-tuning strategies, each a plan in a few lines.

A plan says, phase by phase, which layer groups are trained and at how many times the recipe's
learning rate. It computes nothing: `training.fit` carries it out. To add a strategy, write one
function from the names of the layer groups (input to output, `"head"` last) to an `Adaptation`
and register it with its card; see CONTRIBUTING.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from companion import checks
from companion.objectives.inputs import non_negative
from companion.registry import STRATEGIES, StrategyCard

__all__ = [
    "HEAD_FACTOR",
    "Adaptation",
    "Phase",
    "full",
    "gradual",
    "l2_sp",
    "layer_decay",
    "lora",
    "lp_ft",
    "plan",
    "probe",
    "register_strategy",
    "scratch",
    "wise_ft",
]

HEAD_FACTOR = 10.0
"""A head that trains alone takes this many times the learning rate of a whole network."""


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one set of trained layer groups.

    Attributes:
        name: how the ledger and the history call it.
        share: its fraction of the optimizer steps, in (0, 1].
        factors: by layer group, its learning rate as a multiple of the recipe's; a group that is
            not named is frozen.
    """

    name: str
    share: float
    factors: Mapping[str, float]


@dataclass(frozen=True)
class Adaptation:
    r"""What a strategy does to a pretrained backbone and a new head.

    Attributes:
        name: the strategy's name.
        phases: one after the other; their shares sum to 1.
        is_pretrained: whether the backbone keeps its pretrained weights at the start.
        lora_rank: rank of LoRA factors put into the backbone; 0 for none.
        interpolation: for WiSE-FT, the weight of the last phase's result against the weights
            before that phase, in [0, 1]; `None` keeps the result as it is.
        l2_sp: $(\alpha, \beta)$ of the penalty `objectives.l2_sp`, which then takes the place of
            the recipe's weight decay; `None` for none.
    """

    name: str
    phases: tuple[Phase, ...]
    is_pretrained: bool = True
    lora_rank: int = 0
    interpolation: float | None = None
    l2_sp: tuple[float, float] | None = None


Planner = Callable[[Sequence[str]], Adaptation]
PlannerType = TypeVar("PlannerType", bound=Callable[..., Adaptation])
_PLANNERS: dict[str, Planner] = {}


def register_strategy(card: StrategyCard) -> Callable[[PlannerType], PlannerType]:
    """Return a decorator that makes a planner known by its card's name.

    Raises:
        CompanionError: the name is taken.
    """

    def add(planner: PlannerType) -> PlannerType:
        STRATEGIES.add(card)
        _PLANNERS[card.name] = planner
        return planner

    return add


def plan(strategy: str | Adaptation, groups: Sequence[str]) -> Adaptation:
    """Return the plan of a strategy for a model with these layer groups.

    Args:
        strategy: a registered name, or a plan of your own, which is checked.
        groups: names of the layer groups, from the input to the output, `"head"` last.

    Raises:
        CompanionError: an unknown name (near matches are listed), or a plan that names unknown
            groups, trains nothing in a phase, never trains the head, or whose shares do not sum
            to 1.
    """
    if isinstance(strategy, str):
        STRATEGIES.get(strategy)
        strategy = _PLANNERS[strategy](groups)
    checks.instance("strategy", strategy, Adaptation)
    if strategy.interpolation is not None:
        checks.fraction("interpolation", strategy.interpolation)
    checks.non_negative_int("lora_rank", strategy.lora_rank)
    _check_penalty(strategy)
    for phase in strategy.phases:
        checks.finite_positive(f"share of phase {phase.name!r}", phase.share)
        for name, factor in phase.factors.items():
            checks.one_of(f"layer group of phase {phase.name!r}", name, tuple(groups))
            checks.finite_positive(f"learning-rate factor of {name!r}", factor)
    shares = [phase.share for phase in strategy.phases]
    trains = all(phase.factors for phase in strategy.phases)
    if not shares or not trains or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        checks.fail(
            f"plan of {strategy.name!r}",
            got=f"phases with shares {shares}",
            expected="at least one phase, a trained layer group in each, shares that sum to 1",
            do="correct the phases",
        )
    if not any(groups[-1] in phase.factors for phase in strategy.phases):
        checks.fail(
            f"plan of {strategy.name!r}",
            got="no phase that trains the head",
            expected=f"{groups[-1]!r}, which is new and random, in at least one phase",
            do="make the plan from all layer groups, `(*backbone.group_names, 'head')`",
        )
    return strategy


def _check_penalty(strategy: Adaptation) -> None:
    """Refuse a pull that is no pair of weights, or that has no pretrained weights to pull to."""
    if strategy.l2_sp is None:
        return
    if not isinstance(strategy.l2_sp, tuple) or len(strategy.l2_sp) != 2:
        checks.fail(
            "l2_sp",
            got=repr(strategy.l2_sp),
            expected="two numbers, (alpha, beta)",
            do="write l2_sp=(0.1, 0.01)",
        )
    for name, weight in zip(("alpha", "beta"), strategy.l2_sp, strict=True):
        non_negative(name, weight)
    if not strategy.is_pretrained or strategy.lora_rank:
        checks.fail(
            f"plan of {strategy.name!r}",
            got="L2-SP with random weights or LoRA",
            expected="pretrained weights that are trained themselves",
            do="leave l2_sp at None",
        )


def _everything(groups: Sequence[str]) -> dict[str, float]:
    """Return the factors that train all layer groups alike."""
    return dict.fromkeys(groups, 1.0)


@register_strategy(
    StrategyCard(
        "scratch", "From scratch", "random weights, all layers trained: the baseline", None
    )
)
def scratch(groups: Sequence[str]) -> Adaptation:
    """Train the same architecture from random weights: what the transfer is measured against."""
    return Adaptation("scratch", (Phase("train", 1.0, _everything(groups)),), is_pretrained=False)


@register_strategy(
    StrategyCard(
        "probe",
        "Linear probe",
        "the head is trained, the backbone is frozen",
        "yosinski2014how",
    )
)
def probe(groups: Sequence[str]) -> Adaptation:
    """Train the head alone on the features of the frozen backbone.

    Reference: yosinski2014how, sec. 2
    """
    return Adaptation("probe", (Phase("probe", 1.0, {groups[-1]: HEAD_FACTOR}),))


@register_strategy(
    StrategyCard("full", "Full fine-tuning", "all layers trained from the pretrained weights", None)
)
def full(groups: Sequence[str]) -> Adaptation:
    """Train all layers from the pretrained weights, the new head included, from the first step."""
    return Adaptation("full", (Phase("fine-tune", 1.0, _everything(groups)),))


@register_strategy(
    StrategyCard(
        "lp_ft",
        "LP-FT",
        "linear probe first, then all layers from there",
        "kumar2022finetuning",
    )
)
def lp_ft(groups: Sequence[str]) -> Adaptation:
    """Train the head first, then everything: the features move less while the head is wrong.

    Reference: kumar2022finetuning, sec. 3.4
    """
    return Adaptation("lp_ft", _probe_then_tune(groups))


def _probe_then_tune(groups: Sequence[str], probe_share: float = 0.5) -> tuple[Phase, Phase]:
    """Return a linear probe followed by fine-tuning of everything."""
    return (
        Phase("probe", probe_share, {groups[-1]: HEAD_FACTOR}),
        Phase("fine-tune", 1 - probe_share, _everything(groups)),
    )


@register_strategy(
    StrategyCard(
        "gradual",
        "Gradual unfreezing",
        "layer groups join one by one, from the output to the input",
        "howard2018universal",
    )
)
def gradual(groups: Sequence[str]) -> Adaptation:
    """Unfreeze one layer group after the other, starting with the head.

    Reference: howard2018universal, sec. 3.3
    """
    phases = []
    for count in range(1, len(groups) + 1):
        trained = groups[-count:]
        factors = {groups[-1]: HEAD_FACTOR} if count == 1 else _everything(trained)
        phases.append(Phase(f"from {trained[0]}", 1 / len(groups), factors))
    return Adaptation("gradual", tuple(phases))


@register_strategy(
    StrategyCard(
        "layer_decay",
        "Layer-wise learning-rate decay",
        "all layers trained, slower towards the input",
        "clark2020electra",
    )
)
def layer_decay(groups: Sequence[str], *, decay: float = 0.65) -> Adaptation:
    r"""Train all layers, group $g$ counted from the head at $\text{decay}^g$ of the rate.

    Args:
        groups: names of the layer groups, from the input to the output.
        decay: factor from one group to the one before it, in (0, 1].

    Reference: clark2020electra, app. A; howard2018universal, sec. 3.2
    """
    checks.fraction("decay", decay)
    factors = {name: decay**depth for depth, name in enumerate(reversed(groups))}
    return Adaptation("layer_decay", (Phase("fine-tune", 1.0, factors),))


@register_strategy(
    StrategyCard("lora", "LoRA", "low-rank corrections of frozen layers and the head", "hu2021lora")
)
def lora(groups: Sequence[str], *, rank: int = 8, factor: float = 3.0) -> Adaptation:
    """Train low-rank corrections of the frozen layers, and the head.

    Args:
        groups: names of the layer groups, from the input to the output.
        rank: rank of the corrections.
        factor: their learning rate as a multiple of the recipe's.

    Reference: hu2021lora, sec. 4.1
    """
    checks.positive_int("rank", rank)
    factors = dict.fromkeys(groups, factor)
    return Adaptation("lora", (Phase("lora", 1.0, factors),), lora_rank=rank)


@register_strategy(
    StrategyCard(
        "wise_ft",
        "WiSE-FT",
        "LP-FT, then the mean of the weights before and after fine-tuning",
        "wortsman2022robust",
    )
)
def wise_ft(groups: Sequence[str], *, interpolation: float = 0.5) -> Adaptation:
    r"""Average the weights of the linear probe and of the fine-tuned model.

    Args:
        groups: names of the layer groups, from the input to the output.
        interpolation: weight $\alpha$ of the fine-tuned model, in [0, 1].

    Reference: wortsman2022robust, eq. 1
    """
    checks.fraction("interpolation", interpolation)
    return Adaptation("wise_ft", _probe_then_tune(groups), interpolation=interpolation)


@register_strategy(
    StrategyCard(
        "l2_sp",
        "L2-SP",
        "full fine-tuning, pulled back towards the pretrained weights",
        "li2018explicit",
    )
)
def l2_sp(groups: Sequence[str], *, alpha: float = 0.1, beta: float = 0.01) -> Adaptation:
    r"""Train all layers and pull the backbone to its pretrained weights, the head to zero.

    The penalty takes the place of the recipe's weight decay, which pulls everything to zero. The
    defaults are values to start from; choose alpha on val.

    Args:
        groups: names of the layer groups, from the input to the output.
        alpha: $\alpha$, how strongly the backbone is pulled, at least 0.
        beta: $\beta$, how strongly the head is pulled, at least 0.

    Reference: li2018explicit, sec. 3
    """
    phase = Phase("fine-tune", 1.0, _everything(groups))
    weights = non_negative("alpha", alpha), non_negative("beta", beta)
    return Adaptation("l2_sp", (phase,), l2_sp=weights)

r"""Knowledge distillation: a student learns what a teacher finds similar.

At temperature $T$ the logits $s$ become the soft targets
$q_c = \exp(s_c / T) / \sum_j \exp(s_j / T)$: the higher $T$, the softer. The student minimises
$w\, T^2\, \mathrm{KL}(q^{\text{teacher}} \,\|\, q^{\text{student}})$
$+\; (1 - w)\, \mathcal{L}_{\text{labels}}$, with $w$ the weight of the soft targets.

The gradient of the divergence shrinks like $1/T^2$; the factor $T^2$ keeps the two terms in
proportion when the temperature is changed. The divergence differs from the cross-entropy of the
paper by the entropy of the targets, which does not depend on the student.

Reference: hinton2015distilling, sec. 2
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.objectives.inputs import class_labels, logit_matrix, logit_pair

__all__ = ["distillation_loss", "soft_target_loss", "soft_targets"]


def soft_targets(logits: Tensor, *, temperature: float) -> Tensor:
    """Return the probabilities of logits divided by a temperature.

    Args:
        logits: (batch, num_classes).
        temperature: above 0; 1 leaves the probabilities as they are, more makes them more equal.

    Returns:
        Probabilities, (batch, num_classes).

    Raises:
        CompanionError: no such logits, or a temperature that is not above 0.

    Reference: hinton2015distilling, eq. 1
    """
    return F.softmax(logit_matrix("logits", logits) / _above_zero(temperature), dim=-1)


def soft_target_loss(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float
) -> Tensor:
    r"""Return $T^2\, \mathrm{KL}(q^{\text{teacher}} \,\|\, q^{\text{student}})$.

    Args:
        student_logits: (batch, num_classes).
        teacher_logits: (batch, num_classes); no gradient flows into them.
        temperature: $T$, above 0.

    Returns:
        The mean over the batch, a scalar, in nats; 0 where the two agree.

    Raises:
        CompanionError: logits that do not fit together, or a temperature that is not above 0.

    Reference: hinton2015distilling, sec. 2 and 2.1
    """
    logit_pair(("student logits", "teacher logits"), student_logits, teacher_logits)
    temperature = _above_zero(temperature)
    student = F.log_softmax(student_logits / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=-1)
    divergence = F.kl_div(student, teacher, log_target=True, reduction="batchmean")
    return temperature**2 * divergence


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    soft_weight: float,
) -> Tensor:
    """Return the weighted sum of the loss on soft targets and of the one on labels.

    Args:
        student_logits: (batch, num_classes).
        teacher_logits: (batch, num_classes); no gradient flows into them.
        labels: (batch,), int64.
        temperature: of the soft targets, above 0; the labels are always learned at 1.
        soft_weight: weight of the soft targets, as a fraction; the labels have the rest.

    Returns:
        A scalar, in nats.

    Raises:
        CompanionError: logits or labels that do not fit together, a temperature that is not above
            0, or a weight outside [0, 1].

    Reference: hinton2015distilling, sec. 2
    """
    soft_weight = checks.fraction("soft_weight", soft_weight)
    soft = soft_target_loss(student_logits, teacher_logits, temperature=temperature)
    hard = F.cross_entropy(student_logits, class_labels(labels, student_logits))
    return soft_weight * soft + (1 - soft_weight) * hard


def _above_zero(temperature: float) -> float:
    """Return a temperature that logits may be divided by."""
    return checks.finite_positive("temperature", temperature)

"""Objectives: what a transfer method adds to the loss, one method a function.

They take features or logits of a batch, items first, and return a scalar to be added to the loss
of the task; how much of it, and when, is the training's affair. What needs a state of its own
(weights that are learned, a strength that follows a schedule) is an `nn.Module`.
"""

from companion.objectives.contrastive import nt_xent
from companion.objectives.coral import CoralMap, coral_loss, covariance, fit_coral
from companion.objectives.distillation import distillation_loss, soft_target_loss, soft_targets
from companion.objectives.gradients import (
    assign_gradients_,
    gradient_cosines,
    project_conflicts,
    task_gradients,
)
from companion.objectives.l2_sp import l2_sp, starting_point
from companion.objectives.metric import (
    MINING,
    ArcFace,
    contrastive_loss,
    squared_distances,
    triplet_loss,
)
from companion.objectives.mmd import BANDWIDTH_FACTORS, median_bandwidth, mmd_squared
from companion.objectives.reversal import GradientReversal, reversal_strength, reverse_gradient
from companion.objectives.uncertainty import UncertaintyWeighting
from companion.objectives.unlabelled import (
    PseudoLabels,
    entropy_loss,
    pseudo_label_loss,
    pseudo_labels,
    view_consistency,
)

__all__ = [
    "BANDWIDTH_FACTORS",
    "MINING",
    "ArcFace",
    "CoralMap",
    "GradientReversal",
    "PseudoLabels",
    "UncertaintyWeighting",
    "assign_gradients_",
    "contrastive_loss",
    "coral_loss",
    "covariance",
    "distillation_loss",
    "entropy_loss",
    "fit_coral",
    "gradient_cosines",
    "l2_sp",
    "median_bandwidth",
    "mmd_squared",
    "nt_xent",
    "project_conflicts",
    "pseudo_label_loss",
    "pseudo_labels",
    "reversal_strength",
    "reverse_gradient",
    "soft_target_loss",
    "soft_targets",
    "squared_distances",
    "starting_point",
    "task_gradients",
    "triplet_loss",
    "view_consistency",
]

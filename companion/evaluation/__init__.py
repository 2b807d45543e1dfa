"""Scores with their uncertainty: what a model does on a split, and what may be said about it.

Every score is a fraction. Two kinds of uncertainty are kept apart: that of the test items
(bootstrap, Wilson) and that of the seeds (t interval, paired comparison).
"""

from companion.evaluation.calibration import (
    ReliabilityBin,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    scale_logits,
)
from companion.evaluation.comparisons import (
    MIN_SEEDS,
    MIN_SOURCES,
    Correlation,
    Paired,
    compare_with_baseline,
    correct_together,
    holm,
    paired_comparison,
    spearman,
)
from companion.evaluation.intervals import (
    MIN_GROUPS,
    Interval,
    bootstrap_interval,
    t_interval,
    wilson_interval,
)
from companion.evaluation.metrics import (
    class_recalls,
    confusion,
    edit_distance,
    item_errors,
    item_sizes,
    main_metric,
    metric_values,
)
from companion.evaluation.scores import (
    Predictions,
    Scores,
    evaluate,
    items_interval,
    majority_baseline,
    predict,
    score,
    weights_fingerprint,
)
from companion.evaluation.slices import Slice, error_slices

__all__ = [
    "MIN_GROUPS",
    "MIN_SEEDS",
    "MIN_SOURCES",
    "Correlation",
    "Interval",
    "Paired",
    "Predictions",
    "ReliabilityBin",
    "Scores",
    "Slice",
    "bootstrap_interval",
    "class_recalls",
    "compare_with_baseline",
    "confusion",
    "correct_together",
    "edit_distance",
    "error_slices",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "holm",
    "item_errors",
    "item_sizes",
    "items_interval",
    "main_metric",
    "majority_baseline",
    "metric_values",
    "paired_comparison",
    "predict",
    "reliability_bins",
    "scale_logits",
    "score",
    "spearman",
    "t_interval",
    "weights_fingerprint",
    "wilson_interval",
]

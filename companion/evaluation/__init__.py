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
from companion.evaluation.costs import (
    Costs,
    cheapest_threshold,
    expected_cost,
    threshold_from_costs,
)
from companion.evaluation.decisions import (
    DecisionRates,
    average_precision_score,
    decision_rates,
    precision_recall,
    sensitivity_at_specificity,
    threshold_for_specificity,
)
from companion.evaluation.intervals import (
    MIN_GROUPS,
    Interval,
    bootstrap_interval,
    t_interval,
    wilson_interval,
)
from companion.evaluation.main_intervals import items_interval
from companion.evaluation.metrics import (
    class_recalls,
    confusion,
    edit_distance,
    item_errors,
    item_sizes,
    main_metric,
    metric_values,
)
from companion.evaluation.pairs import Pairs, cosine_of_pairs, make_pairs
from companion.evaluation.prevalence import (
    PredictiveValues,
    estimate_priors,
    predictive_values,
    shift_priors,
)
from companion.evaluation.resampling import bootstrap_statistic
from companion.evaluation.retrieval import (
    NOBODY,
    OpenSetRates,
    Retrieval,
    identify,
    open_set_rates,
    retrieve,
)
from companion.evaluation.scores import (
    Predictions,
    Scores,
    evaluate,
    majority_baseline,
    predict,
    score,
    weights_fingerprint,
)
from companion.evaluation.slices import Slice, error_slices
from companion.evaluation.spans import SpanCounts, count_spans, span_values
from companion.evaluation.verification import (
    EqualErrorRate,
    Rates,
    Roc,
    equal_error_rate,
    rates_at,
    roc,
    threshold_at,
    true_accept_rate_at,
    verification_interval,
)

__all__ = [
    "MIN_GROUPS",
    "MIN_SEEDS",
    "MIN_SOURCES",
    "NOBODY",
    "Correlation",
    "Costs",
    "DecisionRates",
    "EqualErrorRate",
    "Interval",
    "OpenSetRates",
    "Paired",
    "Pairs",
    "Predictions",
    "PredictiveValues",
    "Rates",
    "ReliabilityBin",
    "Retrieval",
    "Roc",
    "Scores",
    "Slice",
    "SpanCounts",
    "average_precision_score",
    "bootstrap_interval",
    "bootstrap_statistic",
    "cheapest_threshold",
    "class_recalls",
    "compare_with_baseline",
    "confusion",
    "correct_together",
    "cosine_of_pairs",
    "count_spans",
    "decision_rates",
    "edit_distance",
    "equal_error_rate",
    "error_slices",
    "estimate_priors",
    "evaluate",
    "expected_calibration_error",
    "expected_cost",
    "fit_temperature",
    "holm",
    "identify",
    "item_errors",
    "item_sizes",
    "items_interval",
    "main_metric",
    "majority_baseline",
    "make_pairs",
    "metric_values",
    "open_set_rates",
    "paired_comparison",
    "precision_recall",
    "predict",
    "predictive_values",
    "rates_at",
    "reliability_bins",
    "retrieve",
    "roc",
    "scale_logits",
    "score",
    "sensitivity_at_specificity",
    "shift_priors",
    "span_values",
    "spearman",
    "t_interval",
    "threshold_at",
    "threshold_for_specificity",
    "threshold_from_costs",
    "true_accept_rate_at",
    "verification_interval",
    "weights_fingerprint",
    "wilson_interval",
]

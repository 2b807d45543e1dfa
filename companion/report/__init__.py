"""Tables and figures from what was measured, and the way of a number into the prose.

Nothing here trains: everything is drawn from a history, scores or a study that exist already.
"""

from companion.report.boxes import draw_boxes, plot_boxes
from companion.report.figures import plot_confusion, plot_history, plot_reliability, show_images
from companion.report.numbers import (
    format_bytes,
    format_difference,
    format_fraction,
    format_interval,
    format_mean,
    format_paired,
    format_seconds,
)
from companion.report.recording import chapter, record
from companion.report.study_figures import (
    LabelEquivalent,
    labels_from_scratch_equal,
    plot_label_curve,
    plot_study,
)
from companion.report.style import alt_text, figure_size, palette, strategy_colour
from companion.report.summaries import record_study
from companion.report.tables import (
    Table,
    comparison_table,
    effects_table,
    ledger_table,
    recorded_note,
    scores_table,
    slices_table,
    study_table,
    table,
)

__all__ = [
    "LabelEquivalent",
    "Table",
    "alt_text",
    "chapter",
    "comparison_table",
    "draw_boxes",
    "effects_table",
    "figure_size",
    "format_bytes",
    "format_difference",
    "format_fraction",
    "format_interval",
    "format_mean",
    "format_paired",
    "format_seconds",
    "labels_from_scratch_equal",
    "ledger_table",
    "palette",
    "plot_boxes",
    "plot_confusion",
    "plot_history",
    "plot_label_curve",
    "plot_reliability",
    "plot_study",
    "record",
    "record_study",
    "recorded_note",
    "scores_table",
    "show_images",
    "slices_table",
    "strategy_colour",
    "study_table",
    "table",
]

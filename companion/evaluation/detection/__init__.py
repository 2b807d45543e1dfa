"""Mean average precision of detections, with its interval, and what went wrong box by box.

Detections are matched to boxes once (`match_detections`); average precision of all images, of some
or of two thousand resamples is then sums over what was matched. The figures are those of COCO's own
program: greedy matching by score within image and class, precision read at 101 recalls.
"""

from companion.evaluation.detection.errors import KINDS, DetectionErrors, detection_errors
from companion.evaluation.detection.matching import (
    IOU_THRESHOLDS,
    Matches,
    match_detections,
    pair_iou,
)
from companion.evaluation.detection.precision import (
    RECALLS,
    average_precision,
    detection_interval,
    detection_values,
)

__all__ = [
    "IOU_THRESHOLDS",
    "KINDS",
    "RECALLS",
    "DetectionErrors",
    "Matches",
    "average_precision",
    "detection_errors",
    "detection_interval",
    "detection_values",
    "match_detections",
    "pair_iou",
]

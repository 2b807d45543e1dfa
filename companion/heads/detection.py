"""Detection heads: torchvision's one-stage and two-stage detectors behind one interface.

The backbone has made feature maps; the head finds boxes in them. Losses, anchors, proposals and
non-maximum suppression are torchvision's: FCOS for one stage, Faster R-CNN for two.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks, runtime
from companion.backbones.base import DetectorParts
from companion.batches import IGNORE_LABEL
from companion.heads.base import Head
from companion.heads.detector_parts import NoBackbone, load_all_but_, training_mode

__all__ = ["DetectionHead", "OneStageHead", "TwoStageHead", "detection_head"]

MIN_SCORE = 0.05
"""Boxes below this score are not predicted; doubtful ones are, as average precision needs them."""


def detection_head(parts: DetectorParts, feature_dim: int, num_classes: int) -> DetectionHead:
    """Return the head that fits a detector's backbone.

    Args:
        parts: what the backbone says of itself.
        feature_dim: channels of its feature maps.
        num_classes: how many classes there are, the background not counted.

    Raises:
        CompanionError: another kind of detector, or weights that do not fit.
    """
    checks.one_of("kind of detector", parts.kind, tuple(KINDS))
    return KINDS[parts.kind](parts, feature_dim, num_classes)


class DetectionHead(Head):
    """What both kinds of detector share: maps out of features, boxes in pixels and fractions.

    Args:
        parts: geometry and options of the detector, and the weights of its pretraining.
        feature_dim: channels of the feature maps.
        num_classes: how many classes there are, the background not counted.

    Attributes:
        detector: torchvision's detector, without its backbone and preprocessing.
    """

    task = "detection"

    def __init__(self, parts: DetectorParts, feature_dim: int, num_classes: int):
        super().__init__(num_classes)
        self.parts = parts
        self.detector = self._build_detector(parts, feature_dim, num_classes)
        if parts.weights is not None:
            load_all_but_(self.detector, parts.weights, self.class_layers(self.detector))

    def _build_detector(self, parts: DetectorParts, feature_dim: int, num_classes: int) -> Any:
        """Return torchvision's detector with random weights."""
        raise NotImplementedError

    @staticmethod
    def class_layers(detector: nn.Module) -> tuple[str, ...]:
        """Return the names of the layers whose outputs are classes: always new for a task."""
        raise NotImplementedError

    def maps(self, features: Tensor) -> OrderedDict[str, Tensor]:
        """Return features as feature maps.

        Args:
            features: (batch, positions, channels), map by map.

        Returns:
            Maps (batch, channels, side, side) by torchvision's names: "0", "1", ...
        """
        sides = self.parts.map_sides
        pieces = torch.split(features.transpose(1, 2), [side * side for side in sides], dim=2)
        sized = zip(pieces, sides, strict=True)
        return OrderedDict(
            (str(n), p.reshape(*p.shape[:2], s, s)) for n, (p, s) in enumerate(sized)
        )

    def image_list(self, features: Tensor) -> Any:
        """Return the images as torchvision's parts want them: of them only the sizes are asked."""
        from torchvision.models.detection.image_list import ImageList

        size = self.parts.image_size
        stand_in = features.new_zeros(1).expand(len(features), 3, size, size)
        return ImageList(stand_in, [(size, size)] * len(features))

    def targets(self, labels: Tensor, *, first_class: int) -> list[dict[str, Tensor]]:
        """Return labels in torchvision's form.

        Args:
            labels: (batch, boxes, 5), padded with the class id `IGNORE_LABEL`.
            first_class: number of class 0, as two-stage detectors keep 0 for the background.

        Returns:
            `boxes`, (boxes, 4), corners in pixels of the prepared image, and `labels`, (boxes,).
        """
        rows = [row[row[:, 0] != IGNORE_LABEL] for row in labels]
        size = self.parts.image_size
        return [
            {"boxes": row[:, 1:5] * size, "labels": row[:, 0].long() + first_class} for row in rows
        ]

    def rows(self, detections: list[dict[str, Tensor]], *, first_class: int) -> list[Tensor]:
        """Return torchvision's detections as rows: class id, corners as fractions, score.

        Args:
            detections: `boxes`, `labels` and `scores` of each image.
            first_class: as in `targets`.

        Returns:
            One tensor (detections, 6) an image.
        """
        found = []
        for one in detections:
            order = one["scores"].argsort(descending=True, stable=True)
            corners = (one["boxes"] / self.parts.image_size).clamp(0, 1)
            ids = one["labels"].to(corners.dtype)[:, None] - first_class
            found.append(torch.cat([ids, corners, one["scores"][:, None]], dim=1)[order].float())
        return found


class OneStageHead(DetectionHead):
    """One stage: each position of the maps names a class and a box, in a single pass.

    Reference: tian2019fcos, sec. 3
    """

    def _build_detector(self, parts: DetectorParts, feature_dim: int, num_classes: int) -> Any:
        """Return torchvision's FCOS with random weights."""
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.fcos import FCOS, FCOSHead

        options = dict(parts.options)
        head = FCOSHead(feature_dim, 1, num_classes, int(options.pop("num_convs", 4)))
        anchors = AnchorGenerator(parts.anchor_sizes, ((1.0,),) * len(parts.anchor_sizes))
        return FCOS(
            NoBackbone(feature_dim),
            num_classes,
            anchor_generator=anchors,
            head=head,
            score_thresh=MIN_SCORE,
            **options,
        )

    @staticmethod
    def class_layers(detector: nn.Module) -> tuple[str, ...]:
        """Return the layer that names classes; the box of a position is the same for all."""
        return ("head.classification_head.cls_logits",)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return what each position says.

        Args:
            features: (batch, positions, channels).
            mask: not used: all images have one size.

        Returns:
            (batch, positions, num_classes + 5): class logits, distances to the four sides in
            units of the map's anchor, and the logit of being near the centre.
        """
        said = self.detector.head(list(self.maps(features).values()))
        return torch.cat([said["cls_logits"], said["bbox_regression"], said["bbox_ctrness"]], dim=2)

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return focal, box and centre loss of the batch, the same number for each item, (batch,).

        They are sums over the batch divided by its number of matched positions, so an image has
        no loss of its own. Of several processes each divides by the number of its own part: their
        steps are near those of one process, not equal to them.

        Raises:
            CompanionError: `label_smoothing` is not 0.
        """
        _refuse_smoothing(label_smoothing)
        targets = self.targets(labels, first_class=0)
        counts = [side * side for side in self.parts.map_sides]
        anchors = self._anchors(logits)
        found = self.detector.compute_loss(targets, self._parted(logits), anchors, counts)
        total: Tensor = sum(found.values())
        return total.expand(len(logits))

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the boxes that are left after non-maximum suppression, (detections, 6) each."""
        counts = [side * side for side in self.parts.map_sides]
        said = {k: list(torch.split(v, counts, dim=1)) for k, v in self._parted(logits).items()}
        anchors = [list(torch.split(one, counts)) for one in self._anchors(logits)]
        sizes = [(self.parts.image_size,) * 2] * len(logits)
        return self.rows(self.detector.postprocess_detections(said, anchors, sizes), first_class=0)

    def _parted(self, logits: Tensor) -> dict[str, Tensor]:
        """Return what each position says, part by part, in single precision."""
        classes, boxes, centre = torch.split(logits.float(), [self.num_classes, 4, 1], dim=2)
        return {"cls_logits": classes, "bbox_regression": boxes, "bbox_ctrness": centre}

    def _anchors(self, logits: Tensor) -> list[Tensor]:
        """Return the place of each position as a square, (positions, 4) in pixels, an image."""
        places = logits.float()  # of half precision the far ones would be rounded
        blank = [places.new_zeros(1).expand(1, 1, side, side) for side in self.parts.map_sides]
        return list(self.detector.anchor_generator(self.image_list(places), blank))


class TwoStageHead(DetectionHead):
    """Two stages: a network proposes boxes, then each proposal is cut out, named and corrected.

    Reference: ren2015faster, sec. 3
    """

    def _build_detector(self, parts: DetectorParts, feature_dim: int, num_classes: int) -> Any:
        """Return torchvision's Faster R-CNN with random weights."""
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import (
            FasterRCNN,
            FastRCNNPredictor,
            TwoMLPHead,
        )
        from torchvision.ops import MultiScaleRoIAlign

        options = dict(parts.options)
        side, hidden = int(options.pop("roi_side", 7)), int(options.pop("hidden", 1024))
        ratios = (parts.aspect_ratios,) * len(parts.anchor_sizes)
        num_pooled = int(options.pop("num_pooled_maps", len(parts.map_sides)))
        names = [str(number) for number in range(num_pooled)]
        detector = FasterRCNN(
            NoBackbone(feature_dim),
            num_classes + 1,
            rpn_anchor_generator=AnchorGenerator(parts.anchor_sizes, ratios),
            box_roi_pool=MultiScaleRoIAlign(names, output_size=side, sampling_ratio=2),
            box_head=TwoMLPHead(feature_dim * side * side, hidden),
            box_score_thresh=MIN_SCORE,
            **options,
        )
        detector.roi_heads.box_predictor = FastRCNNPredictor(hidden, num_classes + 1)
        return detector

    @staticmethod
    def class_layers(detector: nn.Module) -> tuple[str, ...]:
        """Return the layers that name the class of a proposal and correct its box for it."""
        return ("roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred")

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the features as they are: what the second stage sees depends on the first."""
        return features

    def losses(
        self,
        logits: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the four losses of both stages, their sum for each item, (batch,).

        Both stages draw which anchors and proposals count. In evaluation mode the draw is the
        same each time, so that losses of val differ by the weights alone. All of it is computed in
        single precision: corners of proposals would be rounded in a lower one.

        Args:
            logits: the features, (batch, positions, channels).
            labels: (batch, boxes, 5).
            mask: not used.
            label_smoothing: must be 0.

        Raises:
            CompanionError: `label_smoothing` is not 0.
        """
        _refuse_smoothing(label_smoothing)
        targets = self.targets(labels, first_class=1)
        maps, images = self.maps(logits.float()), self.image_list(logits.float())
        rpn, roi_heads = self.detector.rpn, self.detector.roi_heads
        draws = contextlib.nullcontext() if self.training else runtime.fork_seed(0, "proposals")
        exact = torch.autocast(logits.device.type, enabled=False)
        with draws, exact, training_mode(True, rpn, roi_heads):
            proposals, first = rpn(images, maps, targets)
            _, second = roi_heads(maps, proposals, images.image_sizes, targets)
        total: Tensor = sum((first | second).values())
        return total.expand(len(logits))

    def predict(self, logits: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Return the boxes that are left after non-maximum suppression, (detections, 6) each."""
        maps, images = self.maps(logits.float()), self.image_list(logits.float())
        rpn, roi_heads = self.detector.rpn, self.detector.roi_heads
        with training_mode(False, rpn, roi_heads):
            proposals, _ = rpn(images, maps)
            found, _ = roi_heads(maps, proposals, images.image_sizes)
        return self.rows(found, first_class=1)


KINDS: dict[str, type[DetectionHead]] = {"fcos": OneStageHead, "faster_rcnn": TwoStageHead}


def _refuse_smoothing(label_smoothing: float) -> None:
    """Refuse smoothed labels, which no loss of a detector knows."""
    if label_smoothing:
        expected = "0 for detection"
        checks.fail("label_smoothing", got=label_smoothing, expected=expected, do="leave it out")

"""Bounding boxes: geometry by hand, the formats they are kept in, and what is wrong with them.

A box in memory is four numbers, its corners x_min, y_min, x_max, y_max. An annotated image is a
plain record with boxes in pixels, whether it was Pascal VOC xml, COCO json or YOLO txt.
"""

from companion.boxes.checking import KINDS
from companion.boxes.formats import (
    FORMATS,
    convert,
    read_annotations,
    recognise,
    write_annotations,
)
from companion.boxes.geometry import (
    box_area,
    box_iou,
    centres_to_corners,
    clip_boxes,
    corners_to_centres,
    corners_to_sizes,
    fractions_to_pixels,
    nms,
    pixels_to_fractions,
    sizes_to_corners,
)
from companion.boxes.records import PARTS, AnnotatedImage, Annotations, Box, Problem, said

__all__ = [
    "FORMATS",
    "KINDS",
    "PARTS",
    "AnnotatedImage",
    "Annotations",
    "Box",
    "Problem",
    "box_area",
    "box_iou",
    "centres_to_corners",
    "clip_boxes",
    "convert",
    "corners_to_centres",
    "corners_to_sizes",
    "fractions_to_pixels",
    "nms",
    "pixels_to_fractions",
    "read_annotations",
    "recognise",
    "said",
    "sizes_to_corners",
    "write_annotations",
]

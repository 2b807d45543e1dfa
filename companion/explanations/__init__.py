"""Where a network looks, as far as a map can tell, and whether the map depends on the network.

A map is worth something only where it changes with the weights, so the check for that is part of
this package.
"""

from companion.explanations.class_maps import enlarge_maps, grad_cam
from companion.explanations.faithfulness import deletion_curve, pointing_hits, share_inside
from companion.explanations.sanity import (
    SanityRow,
    map_similarity,
    randomised_cascade,
    sanity_check,
)

__all__ = [
    "SanityRow",
    "deletion_curve",
    "enlarge_maps",
    "grad_cam",
    "map_similarity",
    "pointing_hits",
    "randomised_cascade",
    "sanity_check",
    "share_inside",
]

"""Choosing a source without training on the target: scores, a distance, and how far to trust them.

Three scores say from labelled target items what a source is worth: `log_me` and `h_score` from its
features, `leep` from the classes it predicts; more is better. They compare sources on one target
task and mean nothing across tasks. `proxy_a_distance` says without labels how far two domains lie
apart; less is nearer. `linear_cka` says how alike two layers are. `rank_correlation` holds scores
against the accuracy after fine-tuning.

All take plain tensors or arrays, one row an item, and use every item that they are given: pass
labelled items of train or val, never of test.
"""

from companion.transferability.covariance import h_score
from companion.transferability.domain_distance import proxy_a_distance
from companion.transferability.evidence import log_me
from companion.transferability.prediction import leep
from companion.transferability.ranking import RankCorrelation, rank_correlation
from companion.transferability.similarity import linear_cka

__all__ = [
    "RankCorrelation",
    "h_score",
    "leep",
    "linear_cka",
    "log_me",
    "proxy_a_distance",
    "rank_correlation",
]

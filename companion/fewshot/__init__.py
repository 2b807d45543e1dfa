"""Few labels, or none: episodes, prototypes, a linear baseline, MAML, classes from descriptions.

`draw_episodes` makes small tasks of n_way classes: n_shot labelled support items a class, and query
items to judge by. Every method here is a function from an episode to logits or class ids, and
`episode_accuracies` scores each of them in the same way, on the same episodes.
"""

from companion.fewshot.baseline import LogisticClassifier, fit_logistic
from companion.fewshot.episodes import Episode, draw_episodes
from companion.fewshot.maml import adapt, adapted_logits, maml_logits, maml_loss
from companion.fewshot.prototypes import (
    DISTANCES,
    compute_prototypes,
    episode_logits,
    episode_loss,
    prototype_logits,
)
from companion.fewshot.scoring import EpisodeScores, episode_accuracies
from companion.fewshot.steps import train_on_episodes_
from companion.fewshot.zero_shot import fit_zero_shot, zero_shot_logits

__all__ = [
    "DISTANCES",
    "Episode",
    "EpisodeScores",
    "LogisticClassifier",
    "adapt",
    "adapted_logits",
    "compute_prototypes",
    "draw_episodes",
    "episode_accuracies",
    "episode_logits",
    "episode_loss",
    "fit_logistic",
    "fit_zero_shot",
    "maml_logits",
    "maml_loss",
    "prototype_logits",
    "train_on_episodes_",
    "zero_shot_logits",
]

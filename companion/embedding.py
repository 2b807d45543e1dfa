"""Embeddings: a backbone with a projection, trained so that distances mean identity.

`balanced_rows` draws the batches that metric losses need, `train_embedding_` trains, `embed` maps
a split to vectors of unit length. Identities that were trained on need not be those that are told
apart later: what is kept of the training is the space, not the classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, runtime
from companion.backbones import Backbone
from companion.batches import Augmentation, BatchSource, by_length
from companion.heads import pool_positions
from companion.objectives.metric import identity_labels
from companion.optimisation import minimise_
from companion.splits import Split

__all__ = ["TRAINED", "EmbeddingNet", "balanced_rows", "embed", "train_embedding_"]

TRAINED = ("all", "projection")
"""What `train_embedding_` may train: everything, or the projection on frozen features."""

CHUNK = 256

Loss = Callable[[Tensor, Tensor], Tensor]


class EmbeddingNet(nn.Module):
    """A backbone and a linear projection to vectors of unit length.

    Args:
        backbone: makes the features; those of several positions become one vector.
        embedding_dim: length of an embedding; `None` leaves the features as they are.
        seed: seed of the projection's random weights.

    Raises:
        CompanionError: a backbone that finds boxes, or an embedding_dim that is not positive.
    """

    def __init__(self, backbone: Backbone, embedding_dim: int | None = None, *, seed: int = 0):
        super().__init__()
        checks.instance("backbone", backbone, Backbone)
        if backbone.detector is not None:
            checks.fail(
                "backbone",
                got=f"{backbone.name!r}, which makes feature maps to find boxes in",
                expected="a backbone that makes one feature vector of an item",
                do='load another, such as "glyphnet"',
            )
        self.backbone = backbone
        self.embedding_dim = backbone.feature_dim
        self.projection: nn.Module = nn.Identity()
        if embedding_dim is not None:
            self.embedding_dim = checks.positive_int("embedding_dim", embedding_dim)
            with runtime.fork_seed(seed, "projection"):
                self.projection = nn.Linear(backbone.feature_dim, self.embedding_dim, bias=False)

    def project(self, features: Tensor) -> Tensor:
        """Return embeddings of features, (batch, embedding_dim), each of length 1.

        Args:
            features: (batch, feature_dim).

        Raises:
            CompanionError: more than one feature vector an item.
        """
        checks.instance("features", features, Tensor)
        if features.dim() != 2:
            checks.fail(
                "features",
                got=f"shape {tuple(features.shape)}",
                expected="(batch, feature_dim), one vector an item",
                do="average over the positions first, or take a backbone that does",
            )
        return F.normalize(self.projection(features), dim=1)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return embeddings of prepared inputs, (batch, embedding_dim), each of length 1.

        Args:
            inputs: prepared inputs, (batch, ...).
            mask: True where an input is real; `None` if all are.
        """
        return self.project(self.features(inputs, mask))

    def features(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return one vector an item, (batch, feature_dim), pooled as the backbone says."""
        features: Tensor = self.backbone(inputs, mask)
        return pool_positions(
            features, self.backbone.feature_mask(mask), pooling=self.backbone.pooling
        )


def balanced_rows(
    labels: Tensor, *, num_identities: int, items_each: int, seed: int, step: int
) -> Tensor:
    """Return the positions of one batch: some items of each of some identities.

    A batch of items drawn at random would hold hardly a pair of one identity. The batch is a
    function of the seed and the step alone.

    Args:
        labels: identities of the items to draw from, at least 0, (items,), int64.
        num_identities: how many identities a batch holds (P).
        items_each: how many items of each (K), at least 2. An identity that has fewer takes no
            part.
        seed: seed of the run.
        step: which batch, from 0.

    Returns:
        Positions without repetition, (num_identities * items_each,), int64, identity by identity.

    Raises:
        CompanionError: labels that are no identities, numbers that are too small, or fewer
            identities with enough items.

    Reference: hermans2017defense, sec. 2
    """
    checks.positive_int("num_identities", num_identities)
    if checks.positive_int("items_each", items_each) < 2:
        checks.fail("items_each", got=1, expected="at least 2, a pair", do="pass 4")
    counts = torch.bincount(identity_labels("labels", labels))
    enough = (counts >= items_each).nonzero().flatten()
    if len(enough) < num_identities:
        checks.fail(
            "num_identities",
            got=num_identities,
            expected=f"at most {len(enough)}, the identities with {items_each} items or more",
            do="ask for fewer identities, or for fewer items of each",
        )
    generator = torch.Generator().manual_seed(runtime.derive_seed(seed, "balanced batch", step))
    chosen = enough[torch.randperm(len(enough), generator=generator)[:num_identities]]
    pieces = []
    for identity in chosen.tolist():
        rows = (labels == identity).nonzero().flatten()
        pieces.append(rows[torch.randperm(len(rows), generator=generator)[:items_each]])
    return torch.cat(pieces)


def train_embedding_(
    net: EmbeddingNet,
    split: Split,
    loss: Loss,
    *,
    num_steps: int,
    seed: int,
    num_identities: int = 12,
    items_each: int = 4,
    learning_rate: float = 1e-3,
    trained: str = "all",
    augment: Augmentation | None = None,
) -> list[float]:
    """Train an embedding with a metric loss on balanced batches.

    Args:
        net: on its device; a loss with parameters of its own, such as `ArcFace`, is moved there.
        split: labelled items; the labels are identities.
        loss: from embeddings and labels of a batch to a scalar. It is given labels 0..n-1 for the
            n identities that the split really holds, in the order of their class ids.
        num_steps: optimizer steps.
        seed: seed of the batches.
        num_identities: identities a batch.
        items_each: items of each.
        learning_rate: the highest, as in `optimisation.minimise_`.
        trained: `"all"`, or `"projection"` with the backbone frozen: its features are computed
            once, and its batch-norm statistics stay as they are.
        augment: an optional random change of each batch; not with a frozen backbone.

    Returns:
        The loss before each step.

    Raises:
        CompanionError: a split of another task, a loss that is no function, an unknown `trained`,
            a net without a projection to train, augmentation of frozen features, or what
            `balanced_rows` and `minimise_` refuse.

    Modifies: `net`, which is left in evaluation mode, and the parameters of `loss`.
    """
    _check_parts(net, split, loss)
    is_frozen = _check_trained(net, trained, augment) == "projection"
    device = next(net.parameters()).device
    identities = torch.unique(torch.as_tensor(split.labels), return_inverse=True)[1]
    parameters = list((net.projection if is_frozen else net).parameters())
    if isinstance(loss, nn.Module):
        parameters += list(loss.to(device).parameters())
    source = net.backbone.prepare(split, augment=augment)
    features = _features(net, source) if is_frozen else None

    def step_loss(step: int) -> Tensor:
        rows = balanced_rows(
            identities, num_identities=num_identities, items_each=items_each, seed=seed, step=step
        )
        if features is None:
            batch = source.batch(rows, epoch=step).to(device)
            embeddings = net(batch.inputs, batch.mask)
        else:
            embeddings = net.project(features[rows.to(device)])
        return loss(embeddings, identities[rows].to(device))

    net.train(not is_frozen)
    found = minimise_(step_loss, parameters, num_steps=num_steps, learning_rate=learning_rate)
    net.eval()
    return found


def _check_parts(net: EmbeddingNet, split: Split, loss: Loss) -> None:
    """Refuse a split whose items have no identity each, and what is no net or no loss."""
    checks.instance("net", net, EmbeddingNet)
    checks.instance("split", split, Split)
    if not callable(loss):
        checks.fail(
            "loss",
            got=f"{loss!r:.60}",
            expected="a function of embeddings and labels",
            do="pass one such as `objectives.triplet_loss`",
        )
    if split.task != "classification":
        checks.fail(
            f"split {split.name!r}",
            got=f"the task {split.task!r}",
            expected="'classification', one identity an item",
            do="pass a split whose labels are identities",
        )


def _check_trained(net: EmbeddingNet, trained: str, augment: Augmentation | None) -> str:
    """Return what is to be trained, if there is such a thing."""
    checks.one_of("trained", trained, TRAINED)
    has_projection = isinstance(net.projection, nn.Linear)
    if trained == "projection" and (augment is not None or not has_projection):
        checks.fail(
            "trained",
            got="'projection' with augmentation" if augment else "no projection to train",
            expected="a projection on features that are computed once",
            do="train 'all', or give the net an embedding_dim and leave augmentation out",
        )
    return trained


@torch.no_grad()
def embed(net: EmbeddingNet, split: Split) -> Tensor:
    """Return the embeddings of a split's items, on the CPU.

    Args:
        net: the network; it is used in evaluation mode.
        split: raw items.

    Returns:
        (items, embedding_dim), float32, each of length 1.

    Raises:
        CompanionError: no such network, or a split that its backbone does not take.

    Modifies: puts `net` into evaluation mode.
    """
    checks.instance("net", net, EmbeddingNet)
    return net.project(_features(net, net.backbone.prepare(split))).cpu()


@torch.no_grad()
def _features(net: EmbeddingNet, source: BatchSource) -> Tensor:
    """Return the features of all items on the net's device, (items, feature_dim)."""
    net.eval()
    device = next(net.parameters()).device
    order = by_length(source)
    batches = (source.batch(rows).to(device) for rows in torch.split(order, CHUNK))
    rows = torch.cat([net.features(batch.inputs, batch.mask) for batch in batches])
    return rows[torch.argsort(order)]

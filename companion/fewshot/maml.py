"""MAML: weights from which a few gradient steps on a support set lead to a good classifier.

Batch norm, here: the mode of the module decides. In train mode each forward pass normalises with
the statistics of its own batch (the support while adapting, the query when it is judged), which
makes predictions of query items depend on each other; in eval mode the module's running statistics
are used. Neither running statistics nor any other buffer is ever updated.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from companion import checks
from companion.fewshot.border import as_class_ids
from companion.fewshot.episodes import Episode, tensor_inputs

__all__ = ["adapt", "adapted_logits", "maml_logits", "maml_loss"]


def adapt(
    model: nn.Module,
    support_inputs: Tensor,
    support_labels: Tensor,
    *,
    steps: int,
    learning_rate: float,
    create_graph: bool = True,
) -> dict[str, Tensor]:
    r"""Return the parameters after some gradient steps on the support; the model stays as it is.

    Each step is $\theta \leftarrow \theta - \alpha \nabla_\theta \mathcal{L}_S(\theta)$ on the mean
    cross-entropy of the support, for the parameters that require a gradient.

    Args:
        model: from inputs to logits, (items, classes). Its mode decides about batch norm; see the
            top of this module.
        support_inputs: (items, ...).
        support_labels: class ids below the number of logits, (items,).
        steps: how many; 0 returns the parameters as they are.
        learning_rate: $\alpha$, the size of a step.
        create_graph: whether the result can be differentiated through the gradients too (second
            order). Without it the gradients are constants, and only the identity part of the
            derivative is left (first order), at less memory.

    Returns:
        Adapted parameters by name: those of the model that require a gradient.

    Raises:
        CompanionError: a negative number of steps, a learning rate that is not positive, labels
            that do not fit the logits, or a model with nothing to train.

    Reference: finn2017model, sec. 2.2
    """
    checks.instance("model", model, nn.Module)
    checks.instance("support inputs", support_inputs, Tensor)
    checks.non_negative_int("steps", steps)
    checks.finite_positive("learning_rate", learning_rate)
    found = {name: p for name, p in model.named_parameters() if p.requires_grad}
    checks.non_empty("parameters that require a gradient", found, do="unfreeze a layer group")
    parameters: dict[str, Tensor] = dict(found)
    with torch.enable_grad():
        for _ in range(steps):
            logits = adapted_logits(model, parameters, support_inputs)
            loss = _mean_cross_entropy("support labels", logits, support_labels)
            gradients = torch.autograd.grad(
                loss,
                list(parameters.values()),
                create_graph=create_graph,
                allow_unused=True,
                materialize_grads=True,
            )
            moves = zip(parameters.items(), gradients, strict=True)
            parameters = {name: p - learning_rate * g for (name, p), g in moves}
    return parameters


def adapted_logits(model: nn.Module, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Return the logits of a model with other parameters.

    Args:
        model: gives the architecture, the mode, the buffers, and the parameters not named.
        parameters: by name, as `adapt` returns them.
        inputs: (items, ...).

    Returns:
        Logits, (items, classes). Buffers of the model are used and left as they are.

    Reference: finn2017model, sec. 2.2
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    logits: Tensor = functional_call(model, {**buffers, **parameters}, (inputs,))
    return logits


def maml_logits(
    model: nn.Module,
    episode: Episode,
    *,
    steps: int,
    learning_rate: float,
    create_graph: bool = False,
) -> Tensor:
    """Return the logits of the query after adaptation to the support.

    Args:
        model: from inputs to at least n_way logits.
        episode: its inputs are what the model takes; see `Episode.with_inputs`.
        steps: gradient steps on the support.
        learning_rate: size of such a step.
        create_graph: as in `adapt`.

    Returns:
        Logits, (query items, classes).

    Raises:
        CompanionError: inputs that are no tensors, or what `adapt` refuses.

    Reference: finn2017model, sec. 2.2; nichol2018firstorder, sec. 6, for query items that share
    their statistics
    """
    support, query = tensor_inputs(episode)
    adapted = adapt(
        model,
        support,
        episode.support_labels,
        steps=steps,
        learning_rate=learning_rate,
        create_graph=create_graph,
    )
    return adapted_logits(model, adapted, query)


def maml_loss(
    model: nn.Module,
    episode: Episode,
    *,
    steps: int,
    learning_rate: float,
    first_order: bool = False,
) -> Tensor:
    r"""Return the loss of the query after adaptation, a function of the weights before it.

    With one step it is $\mathcal{L}_Q(\theta - \alpha \nabla_\theta \mathcal{L}_S(\theta))$, whose
    gradient in $\theta$ contains second derivatives of $\mathcal{L}_S$. In first order its value is
    the same and its gradient is taken for that at the adapted weights.

    Args:
        model: from inputs to at least n_way logits.
        episode: support to adapt to, query to judge by.
        steps: gradient steps on the support.
        learning_rate: $\alpha$, the size of such a step.
        first_order: whether the second derivatives are left out.

    Returns:
        Mean cross-entropy of the query, a scalar, in nats; `backward` reaches the model's own
        parameters.

    Raises:
        CompanionError: what `maml_logits` refuses.

    Reference: finn2017model, eq. 1, and sec. 5.2 for the first order; nichol2018firstorder, sec. 2
    """
    logits = maml_logits(
        model, episode, steps=steps, learning_rate=learning_rate, create_graph=not first_order
    )
    return _mean_cross_entropy("query labels", logits, episode.query_labels)


def _mean_cross_entropy(what: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, a scalar, in nats.

    Raises:
        CompanionError: logits of another shape, or too few of them for the labels.
    """
    if logits.dim() != 2:
        checks.fail(
            "what the model returned",
            got=f"shape {tuple(logits.shape)}",
            expected="logits of shape (items, classes)",
            do="give the model a linear layer as its last",
        )
    labels = as_class_ids(what, labels, num_items=len(logits)).to(logits.device)
    if int(labels.max()) >= logits.shape[1]:
        checks.fail(
            what,
            got=f"class {int(labels.max())}",
            expected=f"0..{logits.shape[1] - 1} for a model with {logits.shape[1]} logits",
            do="give the model as many logits as n_way",
        )
    return F.cross_entropy(logits, labels)

"""The steps of one phase: batch, loss, gradient, update."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from companion import checks, layer_groups, objectives, runtime
from companion.batches import Batch, BatchSource, by_length
from companion.strategies import Phase
from companion.training.features import compute_features
from companion.training.order import epoch_batches, split_order
from companion.training.recipe import learning_rate_factor

if TYPE_CHECKING:
    from companion.training.loop import Run

__all__ = ["PhaseLoop", "clip_gradients_"]

EPOCHS_PER_PHASE = 1_000_000
EVALUATIONS_PER_PHASE = 20


class PhaseLoop:
    """The steps of one phase.

    Args:
        run: the training that the phase belongs to.
        index: which phase, from 0.
        phase: what is trained in it.
        optimizer: over the trained parameters.
    """

    def __init__(self, run: Run, index: int, phase: Phase, optimizer: torch.optim.Optimizer):
        self.run = run
        self.index = index
        self.phase = phase
        self.optimizer = optimizer
        self.device = run.device
        self.start, self.end = run.bounds[index], run.bounds[index + 1]
        self.train, self.val = self._sources()
        self.module = self._module()
        self.epoch_length = len(split_order(torch.arange(len(self.train)), run.recipe.batch_size))
        self.evaluate_every = max(
            self.epoch_length, math.ceil((self.end - self.start) / EVALUATIONS_PER_PHASE)
        )
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.highest_rate = max(group["highest_lr"] for group in optimizer.param_groups)
        self.step_seed = runtime.derive_seed(run.seed, "steps")
        self.epoch = -1
        self.batches: tuple[Tensor, ...] = ()

    def _sources(self) -> tuple[BatchSource, BatchSource | None]:
        """Return train and val, as features where the backbone is frozen and nothing changes."""
        run = self.run
        trains_head_only = set(self.phase.factors) == {layer_groups.HEAD}
        self.is_cached = (
            trains_head_only and run.recipe.cache_features and not run.train.is_augmented
        )
        if not self.is_cached:
            return run.train, run.val
        sources = [compute_features(run.model, run.train, device=self.device)]
        if run.val is not None:
            sources.append(compute_features(run.model, run.val, device=self.device))
        return sources[0], sources[1] if run.val is not None else None

    def _module(self) -> nn.Module:
        """Return what maps a batch to logits, wrapped where there are several processes.

        Under the L2-SP penalty every trained parameter gets a gradient, if not from the batch.
        """
        module: nn.Module = self.run.model.head if self.is_cached else self.run.model
        if self.run.processes.num > 1:
            is_pulled = self.run.adaptation.l2_sp is not None
            has_unused = not self.is_cached and not is_pulled and self._trains_unused()
            return nn.parallel.DistributedDataParallel(module, find_unused_parameters=has_unused)
        return module

    def _trains_unused(self) -> bool:
        """Return whether a parameter that never gets a gradient is among the trained ones."""
        backbone = self.run.model.backbone
        unused = {name.rsplit(".", 1)[0] for name in backbone.card.untrained}
        trained = [name for name, p in backbone.named_parameters() if p.requires_grad]
        return any(name.startswith(f"{module}.") for name in trained for module in unused)

    def advance(self) -> None:
        """Make one optimizer step.

        Raises:
            CompanionError: the loss is not finite, or the gradient where it is clipped; the batch
                is named.

        Modifies: the model, the optimizer, the history.
        """
        run, recipe = self.run, self.run.recipe
        step = run.step - self.start
        indices, epoch = self._indices(step)
        factor = learning_rate_factor(
            step, self.end - self.start, warmup_fraction=recipe.warmup_fraction
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest_lr"] * factor
        self._seed_step()
        loss = self._loss(indices, epoch) + self._penalty()
        value = self._shared(loss)
        if not math.isfinite(value):
            self._stop_at("loss", value, indices)
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if recipe.max_grad_norm is not None:
            run.scaler.unscale_(self.optimizer)
            length = clip_gradients_(self.parameters, recipe.max_grad_norm)
            if not math.isfinite(length) and not run.scaler.is_enabled():
                self._stop_at("gradient", length, indices)
        run.scaler.step(self.optimizer)
        run.scaler.update()
        for parameter in self.parameters:
            parameter.grad = None
        run.history.losses.append(value)
        run.history.learning_rates.append(self.highest_rate * factor)
        run.step += 1

    def _indices(self, step: int) -> tuple[Tensor, int]:
        """Return the items of a step over all processes, (batch,), and their epoch."""
        epoch, slot = divmod(step, self.epoch_length)
        epoch += self.index * EPOCHS_PER_PHASE
        if epoch != self.epoch:
            recipe = self.run.recipe
            lengths = self.train.lengths if recipe.group_by_length else None
            self.epoch, self.batches = (
                epoch,
                epoch_batches(
                    len(self.train), recipe.batch_size, self.run.seed, epoch, lengths=lengths
                ),
            )
        return self.batches[slot], epoch

    def _seed_step(self) -> None:
        """Seed what draws inside the model, such as dropout, from the position alone.

        Counting on from one derived seed is cheap; every step of every process has its own.
        """
        processes = self.run.processes
        seed = self.step_seed + self.run.step * processes.num + processes.index
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _loss(self, indices: Tensor, epoch: int) -> Tensor:
        """Return the mean loss of a batch; of several processes, this one's part of the mean."""
        processes = self.run.processes
        if processes.num == 1:
            return self._losses(self.train.batch(indices, epoch).to(self.device)).mean()
        mine = indices[processes.index :: processes.num]
        if len(mine) == 0:
            mine = indices[:1]
        losses = self._losses(self.train.batch(mine, epoch).to(self.device))
        is_filler = processes.index >= len(indices)
        return losses.sum() * (0.0 if is_filler else processes.num / len(indices))

    def _losses(self, batch: Batch) -> Tensor:
        """Return the weighted loss of each item, (batch,)."""
        run, head = self.run, self.run.model.head
        smoothing = run.recipe.label_smoothing if head.training else 0.0
        with self._autocast():
            mask = batch.mask if self.is_cached else run.model.backbone.feature_mask(batch.mask)
            logits = self.module(batch.inputs, batch.mask)
            losses = head.losses(logits, batch.labels, mask, label_smoothing=smoothing)
        if run.item_weights is not None:
            losses = losses * run.item_weights[batch.labels]
        return losses

    def _penalty(self) -> Tensor | float:
        """Return the strategy's L2-SP penalty, 0 where it has none."""
        run = self.run
        if run.adaptation.l2_sp is None:
            return 0.0
        alpha, beta = run.adaptation.l2_sp
        model = run.model
        return objectives.l2_sp(model.backbone, run.start, model.head, alpha=alpha, beta=beta)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context of mixed precision, or one that does nothing."""
        if self.run.precision == "no":
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self.run.precision == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def _shared(self, loss: Tensor) -> float:
        """Return the mean loss over all processes, a number."""
        if self.run.processes.num == 1:
            return loss.item()
        total = loss.detach().clone()
        torch.distributed.all_reduce(total)
        return total.item() / self.run.processes.num

    def _stop_at(self, what: str, value: float, indices: Tensor) -> None:
        """Stop because a loss or gradient is not finite, naming the batch."""
        checks.fail(
            f"{what} at step {self.run.step} (phase {self.phase.name!r})",
            got=f"{value} for the items at positions {indices.tolist()}",
            expected="a finite number",
            do="lower the learning rate, or look at these items for values that are not finite",
        )

    def is_evaluation_due(self) -> bool:
        """Return whether to look at val after this step."""
        done = self.run.step - self.start
        return done % self.evaluate_every == 0 or self.run.step == self.end

    @torch.no_grad()
    def val_loss(self) -> float:
        """Return the mean loss of the val items, in nats.

        Every process computes all of it, so that all stop at the same step.
        """
        assert self.val is not None
        module, self.module = self.module, self._plain()
        self.run.model.eval()
        total = 0.0
        size = self.run.model.backbone.eval_batch_size
        for indices in torch.split(by_length(self.val), size):
            total += self._losses(self.val.batch(indices).to(self.device)).sum().item()
        self.module = module
        layer_groups.set_modes_(self.run.model, freeze_batch_norm=self.run.recipe.freeze_batch_norm)
        return total / len(self.val)

    def _plain(self) -> nn.Module:
        """Return the module without its wrapper for several processes."""
        return self.run.model.head if self.is_cached else self.run.model


def clip_gradients_(parameters: Sequence[Tensor], max_norm: float) -> float:
    """Shorten the gradient of all parameters together to a length, if it is longer.

    As `torch.nn.utils.clip_grad_norm_`, but a gradient that is short enough is not touched:
    that one multiplies by 1, which reads and writes every number of a large network.

    Args:
        parameters: those without a gradient count nothing.
        max_norm: Euclidean length.

    Returns:
        The length before clipping.

    Modifies: the gradients.

    Reference: pascanu2013difficulty, algorithm 1
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    length = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))))
    if not length <= max_norm:
        torch._foreach_mul_(gradients, max_norm / (length + 1e-6))
    return length

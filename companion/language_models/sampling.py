"""From logits to a continuation: greedy, temperature, top-k, nucleus.

Each filter is a function from logits to logits: a token that may not come gets minus infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import torch
from torch import Tensor

from companion import checks, runtime
from companion.language_models.model import LanguageModel

__all__ = [
    "apply_temperature",
    "generate",
    "generate_ids",
    "keep_best",
    "keep_nucleus",
    "keep_top_k",
]

NEVER = float("-inf")
Filter = Callable[[Tensor], Tensor]


def keep_best(logits: Tensor) -> Tensor:
    """Keep the most probable token alone: greedy decoding.

    Args:
        logits: (..., vocabulary).

    Returns:
        (..., vocabulary), minus infinity elsewhere.
    """
    best = logits.argmax(dim=-1, keepdim=True)
    return torch.full_like(logits, NEVER).scatter(-1, best, logits.gather(-1, best))


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Divide the logits: below 1 the probable becomes more probable, above 1 less.

    Args:
        logits: (..., vocabulary).
        temperature: above 0; 1 changes nothing.

    Raises:
        CompanionError: it is not above 0.
    """
    return logits / checks.finite_positive("temperature", temperature)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` most probable tokens, and what is as probable as the last of them.

    Args:
        logits: (..., vocabulary).
        k: how many; more than there are keeps all.

    Raises:
        CompanionError: it is no positive integer.

    Reference: fan2018hierarchical
    """
    count = min(checks.positive_int("k", k), logits.shape[-1])
    last = logits.topk(count, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < last, NEVER)


def keep_nucleus(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most probable tokens whose probabilities sum to `p` or more.

    Args:
        logits: (..., vocabulary).
        p: a fraction above 0; 1 keeps all.

    Raises:
        CompanionError: it is not above 0 and at most 1.

    Reference: holtzman2020curious, sec. 3.1
    """
    if checks.fraction("p", p) == 0:
        checks.fail("p", got=p, expected="above 0", do="pass 0.9, or use greedy decoding")
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    shares = ordered.softmax(dim=-1)
    before = shares.cumsum(dim=-1) - shares
    dropped = before >= p
    dropped[..., 0] = False
    return logits.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), NEVER)


def generate(
    model: LanguageModel,
    prompt: str = "",
    *,
    max_tokens: int = 50,
    num_samples: int = 1,
    greedy: bool = False,
    temperature: float = 1.0,
    top_k: int | None = None,
    nucleus: float | None = None,
    seed: int = 0,
) -> list[str]:
    """Return continuations of a prompt.

    Sample `i` is a function of (seed, i): asking for more of them leaves the first as they were.

    Args:
        model: the model.
        prompt: how the text begins; an empty one starts a document, and of one that is longer than
            the context the end is read.
        max_tokens: tokens of the longest continuation; it stops earlier at an end mark.
        num_samples: how many continuations.
        greedy: take the most probable token each time; the other options then change nothing.
        temperature: see `apply_temperature`.
        top_k: see `keep_top_k`; `None` keeps all.
        nucleus: see `keep_nucleus`; `None` keeps all.
        seed: of the draws.

    Returns:
        The continuations, without prompt and end mark.

    Raises:
        CompanionError: an option out of its range.
    """
    chosen = _filters(greedy=greedy, temperature=temperature, top_k=top_k, nucleus=nucleus)
    rows = generate_ids(
        model, prompt, chosen, max_tokens=max_tokens, num_samples=num_samples, seed=seed
    )
    return [model.vocabulary.decode(row) for row in rows]


def _filters(
    *, greedy: bool, temperature: float, top_k: int | None, nucleus: float | None
) -> Filter:
    """Return one filter: temperature first, then the cuts, as transformers orders them."""

    def apply(logits: Tensor) -> Tensor:
        logits = apply_temperature(logits, temperature)
        if greedy:
            return keep_best(logits)
        if top_k is not None:
            logits = keep_top_k(logits, top_k)
        return logits if nucleus is None else keep_nucleus(logits, nucleus)

    return apply


@torch.inference_mode()
def generate_ids(
    model: LanguageModel,
    prompt: str,
    keep: Filter,
    *,
    max_tokens: int,
    num_samples: int = 1,
    seed: int = 0,
) -> list[list[int]]:
    """Return the token ids of continuations, drawn from filtered logits.

    Args:
        model: the model.
        prompt: how the text begins.
        keep: from logits (samples, vocabulary) to filtered logits of the same shape.
        max_tokens: tokens of the longest continuation.
        num_samples: how many continuations.
        seed: of the draws.

    Returns:
        One row a continuation, up to its end mark, which is left out.

    Raises:
        CompanionError: counts that are no positive integers.
    """
    checks.positive_int("max_tokens", max_tokens)
    samples = torch.arange(checks.positive_int("num_samples", num_samples))
    start = [model.vocabulary.end, *model.vocabulary.encode(prompt)]
    steps = _next_logits(model, torch.tensor(start).repeat(num_samples, 1))
    logits = next(steps)
    rows: list[Tensor] = []
    is_open = torch.ones(num_samples, dtype=torch.bool)
    for step in range(max_tokens):
        uniforms = runtime.item_uniforms(seed, step, samples, 1)
        drawn = draw(keep(logits), uniforms)
        is_open &= drawn != model.vocabulary.end
        rows.append(torch.where(is_open, drawn, -1))
        if not is_open.any() or step + 1 == max_tokens:
            break
        logits = steps.send(drawn)
    return [row[row >= 0].tolist() for row in torch.stack(rows, dim=1)]


def _next_logits(model: LanguageModel, ids: Tensor) -> Generator[Tensor, Tensor, None]:
    """Yield the logits after the tokens so far, (samples, vocabulary); each token drawn is sent.

    What the network computed for earlier tokens is kept. When its positions are used up, it reads
    the last half of them again as a new beginning.
    """
    network, length = model.network.eval(), model.num_positions
    ids = ids[:, -length:]
    fresh, past = ids, None
    while True:
        output = network(input_ids=fresh.to(model.device), past_key_values=past, use_cache=True)
        past = output.past_key_values
        drawn = yield output.logits[:, -1].float().cpu()
        fresh = drawn[:, None]
        ids = torch.cat([ids, fresh], dim=1)
        if ids.shape[1] > length:
            ids = ids[:, -max(1, length // 2) :]
            fresh, past = ids, None


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Return a token for each row: the first at which the summed probabilities pass a number.

    Args:
        logits: (samples, vocabulary); minus infinity where a token may not come.
        uniforms: in [0, 1), (samples, 1).

    Returns:
        Token ids, (samples,), int64.
    """
    sums = logits.double().softmax(dim=-1).cumsum(dim=-1)
    targets = uniforms.double() * sums[:, -1:]
    return torch.searchsorted(sums, targets, right=True).squeeze(1)

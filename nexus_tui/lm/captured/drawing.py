"""Drawing a token of each of several texts where their logits are: `lm.drawing`, in torch, by the same rules.

Everything is in 64 bits and the random numbers are the same, so that equal logits give equal texts. Sums may
be taken in another order, which moves the border between two tokens by 1e-16 of it.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm import draws
from nexus_tui.lm.captured.slots import AHEAD, FIRST, MIN_P, NUMBERS, PENALTY, TEMPERATURE, TOP_K, TOP_P
from nexus_tui.lm.drawing import ALTERNATIVES, Sampling

COLD = 1e-300
"""Stands for a temperature of 0: all weights but those of the most probable tokens are 0."""
_LOW = 0xFFFFFFFF


def ordered(sampling: Sampling) -> bool:
    """Whether tokens have to be put in order before one is drawn."""
    return sampling.temperature > 0 and (sampling.top_k > 0 or sampling.top_p < 1)


def write_how(row: NDArray[np.float64], sampling: Sampling, position: int) -> None:
    """Fill a row of `Slots.how` for the tokens at a position and after it."""
    greedy = sampling.temperature == 0
    row[TEMPERATURE] = sampling.temperature or COLD
    row[TOP_K] = sampling.top_k or math.inf
    row[TOP_P] = sampling.top_p if sampling.top_p < 1 else math.inf  # 1 would cut what is lost in rounding
    row[MIN_P], row[PENALTY], row[FIRST] = sampling.min_p, sampling.repetition_penalty, position
    if greedy:
        row[NUMBERS:] = 0  # of equally probable tokens the first
    else:
        draws.uniforms(np.uint64(sampling.seed), np.uint64(position), row[NUMBERS:])


def draw(logits: Tensor, how: Tensor, position: Tensor, seen: Tensor, *, order: bool) -> Tensor:
    """The ids [text] drawn from logits [text, vocab] at positions [text].

    how: [text, columns], rows of `write_how`. seen: [text, vocab]. order: whether any text cuts by top_k or
    top_p.
    """
    settings = how[:, :NUMBERS, None]
    scores = logits.double()
    penalty = settings[:, PENALTY]
    penalised = torch.where(scores < 0, scores * penalty, scores / penalty)
    scores = torch.where(seen, penalised, scores)
    weights = torch.exp((scores - scores.amax(-1, keepdim=True)) / settings[:, TEMPERATURE])
    if order:
        weights = _cut(weights, scores, settings[:, TOP_K], settings[:, TOP_P])
    weights = torch.where(weights < settings[:, MIN_P], 0.0, weights)
    place = (position - how[:, FIRST].long()).clamp(0, AHEAD - 1)
    return _pick(weights, how[:, NUMBERS:].gather(1, place[:, None]))


def _cut(weights: Tensor, scores: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """The weights, 0 where a token is cut: none that is more probable than one that stays."""
    order = scores.sort(dim=-1, descending=True, stable=True).indices
    falling = weights.gather(-1, order)
    place = torch.arange(scores.shape[-1], device=scores.device)
    falling = torch.where(place < top_k, falling, 0.0)
    reached = falling.cumsum(-1)
    before = torch.nn.functional.pad(reached[:, :-1], (1, 0))
    falling = torch.where(before < top_p * reached[:, -1:], falling, 0.0)
    return torch.zeros_like(weights).scatter(-1, order, falling)


def _pick(weights: Tensor, number: Tensor) -> Tensor:
    """The first id past a part `number` [text, 1] of all weight, else the last: never one of weight 0.

    Sums that are taken in parallel may fall where nothing was added, so the first of all is looked for.
    """
    reached = weights.cumsum(-1)
    size = weights.shape[-1]
    ids = torch.arange(size, device=weights.device)
    past = reached > number * reached[:, -1:]
    merit = torch.where(past, 2 * size - ids, ids)
    return torch.where(weights > 0, merit, -1).argmax(-1)


def think(logits: Tensor, chosen: Tensor) -> Tensor:
    """What is thought of the tokens drawn, `[text, figures]` as `telling` has them.

    The rank is 0 if a logit is no finite number. Of equal logits the lower id comes first.
    """
    size = logits.shape[-1]
    keys = _keys(logits)
    likeliest = _LOW - (keys.topk(min(ALTERNATIVES, size)).values & _LOW)
    scores = logits.double()
    differences = scores - scores.gather(-1, likeliest[:, :1])
    weights = torch.exp(differences)
    total = weights.sum(-1, keepdim=True)
    log_total = total.log()
    finite = differences.isfinite().all(-1, keepdim=True)
    rank = torch.where(finite, (keys > keys.gather(-1, chosen[:, None])).sum(-1, keepdim=True) + 1, 0)
    entropy = log_total - (weights * differences).sum(-1, keepdim=True) / total
    own, logprobs = (differences.gather(-1, ids) - log_total for ids in (chosen[:, None], likeliest))
    return torch.cat([chosen[:, None], rank, entropy, own, likeliest, logprobs], dim=-1)


def _keys(logits: Tensor) -> Tensor:
    """Whole numbers [text, vocab] in the order of the logits, of equals the lower id first: none is twice."""
    bits = (logits.float() + 0.0).view(torch.int32)  # 0 is not -0
    rising = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    return (rising << 32) + (_LOW - torch.arange(logits.shape[-1], device=logits.device))

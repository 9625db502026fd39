"""A prompt in, tokens out, one at a time; and the score of a given text."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.hybrid import HybridLM

PROMPT_CHUNK = 512  # tokens read at once: bounds the memory of a long prompt
NEWLINE = 10  # the id of a line break in a byte-level vocabulary


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    The logits are divided by `temperature` (0: always the most probable token); then the `top_k` most
    probable tokens stay (0: all); then the fewest most probable ones that together reach `top_p` of what is
    left. Of equally probable tokens the lower id comes first. At most `max_tokens` are drawn; `seed` decides
    every draw.

    Raises ValueError for values outside these meanings.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    max_tokens: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(
                f"temperature is {self.temperature}; it must be 0 (greedy) or a positive number."
            )
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 (off) or a number of tokens.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1 (off).")
        if self.max_tokens < 0:
            raise ValueError(f"max_tokens is {self.max_tokens}; it must be 0 or more.")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed is {self.seed}; it must be from 0 to 2^64 - 1.")


@dataclass(frozen=True)
class Token:
    """A drawn token and what the model, before temperature and cuts, thought of it.

    `logprob` in nats; `rank` 1 is the most probable token (of equals, the lower id); `entropy` of the whole
    distribution in nats.
    """

    id: int
    logprob: float
    rank: int
    entropy: float


def generate(
    model: HybridLM, prompt_ids: Sequence[int], sampling: Sampling, *, empty_prompt_id: int = NEWLINE
) -> Generator[Token, None, None]:
    """Continue a prompt, token by token; close the generator to stop.

    A model needs a token to start from: an empty prompt stands for the one token `empty_prompt_id`, by
    default a line break. The draw for a position of the sequence (the prompt's first token is at 0) depends
    on `sampling.seed` and that position alone, so two models asked the same use the same draws, and the text
    so far, given as a prompt, continues as it would have.

    The model's weights must not change meanwhile; other threads may train or sample other models.
    Raises ValueError for ids that the model does not have, FloatingPointError when it computes no numbers.
    """
    ids = list(prompt_ids) or [empty_prompt_id]
    _check_ids(model, ids)
    return _generate(model, ids, sampling)


def _generate(model: HybridLM, ids: list[int], sampling: Sampling) -> Generator[Token, None, None]:
    cache = _new_cache(model, len(ids) + min(sampling.max_tokens, PROMPT_CHUNK))
    unread = ids
    for position in range(len(ids), len(ids) + sampling.max_tokens):
        token = draw(_read(model, unread, cache), sampling, position)
        yield token
        unread = [token.id]


@torch.inference_mode()  # a function's, not the generator's: it must not stay on while the caller runs
def _read(model: HybridLM, ids: Sequence[int], cache: Cache) -> NDArray[np.float64]:
    """Read tokens into the cache; the logits [vocab] of what follows."""
    device = next(model.parameters()).device
    for chunk in torch.tensor([ids], device=device).split(PROMPT_CHUNK, dim=1):  # type: ignore[no-untyped-call]
        logits = model(chunk, cache, last_only=True)
    return _float64(logits[0, -1])


def draw(logits: NDArray[np.float64], sampling: Sampling, position: int) -> Token:
    """Draw the token at a position of the sequence from its logits [vocab]."""
    if not np.isfinite(logits).all():
        raise FloatingPointError(
            f"The model gives no finite number at position {position}: its weights are damaged or diverged."
        )
    logprobs = logits - logits.max()
    logprobs -= np.log(np.exp(logprobs).sum())
    if sampling.temperature == 0:
        chosen = int(logits.argmax())
    else:
        cumulative = np.cumsum(probabilities(logits, sampling))
        # Zero-probability ids share their predecessor's sum, so "right" never lands on one.
        point = uniform(sampling.seed, position) * cumulative[-1]
        chosen = int(cumulative.searchsorted(point, side="right"))
    rank = int((logits > logits[chosen]).sum() + (logits[:chosen] == logits[chosen]).sum()) + 1
    entropy = float(-(np.exp(logprobs) * logprobs).sum())
    return Token(chosen, float(logprobs[chosen]), rank, entropy)


def probabilities(logits: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
    """The distribution [vocab] to draw from, after temperature (> 0), top_k and top_p; unnormalised."""
    with np.errstate(over="ignore", under="ignore"):  # a tiny temperature leaves the maximum alone: right
        weights: NDArray[np.float64] = np.exp((logits - logits.max()) / sampling.temperature)
    if sampling.top_k == 0 and sampling.top_p == 1:
        return weights
    order = np.argsort(-logits, kind="stable")
    keep = min(sampling.top_k or len(order), len(order))
    if sampling.top_p < 1:
        cumulative = np.cumsum(weights[order[:keep]])
        keep = int(cumulative.searchsorted(sampling.top_p * cumulative[-1], side="left")) + 1
    weights[order[keep:]] = 0
    return weights


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that depends on its arguments alone. Philox: Salmon et al., SC 2011."""
    return float(np.random.Generator(np.random.Philox(key=seed, counter=position)).random())


@torch.inference_mode()
def score(model: HybridLM, ids: Sequence[int]) -> Tensor:
    """The loss of each token after the first, given those before it: nats, float32 [length - 1].

    Raises ValueError for ids that the model does not have.
    """
    _check_ids(model, ids)
    device = next(model.parameters()).device
    tokens = torch.tensor([list(ids)], dtype=torch.int64, device=device)
    cache = _new_cache(model, max(len(ids), 1))
    losses = [torch.empty(0)]
    for start in range(0, len(ids) - 1, PROMPT_CHUNK):
        targets = tokens[0, start + 1 : start + 1 + PROMPT_CHUNK]
        logits = model(tokens[:, start : start + len(targets)], cache)
        losses.append(F.cross_entropy(logits[0].float(), targets, reduction="none").cpu())
    return torch.cat(losses)


def _float64(x: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = x.double().cpu().numpy()
    return array


def _new_cache(model: HybridLM, capacity: int) -> Cache:
    parameter = next(model.parameters())
    return Cache(model.config, 1, capacity, parameter.device, parameter.dtype)


def _check_ids(model: HybridLM, ids: Sequence[int]) -> None:
    for position, token in enumerate(ids):
        if not 0 <= token < model.config.vocab_size:
            raise ValueError(
                f"The token at position {position} has id {token}, but the model knows 0 to "
                f"{model.config.vocab_size - 1}; use the tokenizer that it was trained with."
            )

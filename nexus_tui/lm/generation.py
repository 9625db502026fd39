"""A prompt in, tokens out, one at a time; and the score of a given text."""

from collections.abc import Callable, Generator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.drawing import (
    Alternative,
    Sampling,
    SamplingError,
    Token,
    draw,
    probabilities,
    think,
    uniform,
)
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pace import FULL, Pace

__all__ = [
    "Alternative",
    "Sampling",
    "SamplingError",
    "Token",
    "draw",
    "generate",
    "probabilities",
    "read",
    "score",
    "uniform",
]

PROMPT_CHUNK = 512  # tokens read at once: bounds the memory of a long prompt
NEWLINE = 10  # the id of a line break in a byte-level vocabulary
Progress = Callable[[int, int], None]
"""Told how many tokens of how many have been read; may raise to end it."""


def generate(
    model: HybridLM,
    prompt_ids: Sequence[int],
    sampling: Sampling,
    *,
    empty_prompt_id: int = NEWLINE,
    pace: Pace = FULL,
    progress: Progress | None = None,
) -> Generator[Token, None, None]:
    """Continue a prompt, token by token; close the generator to stop.

    A model needs a token to start from: an empty prompt stands for the one token `empty_prompt_id`, by
    default a line break. The draw for a position of the sequence (the prompt's first token is at 0) depends
    on `sampling.seed` and that position alone, so two models asked the same use the same draws, and the text
    so far, given as a prompt, continues as it would have. `pace` changes when tokens come, never which;
    `progress` is told how much of the prompt has been read.

    The model's weights must not change meanwhile; other threads may train or sample other models.
    Raises ValueError for ids that the model does not have, FloatingPointError when it computes no numbers.
    """
    ids = list(prompt_ids) or [empty_prompt_id]
    _check_ids(model, ids)
    return _generate(model, ids, sampling, pace, progress)


def _generate(
    model: HybridLM, ids: list[int], sampling: Sampling, pace: Pace, progress: Progress | None
) -> Generator[Token, None, None]:
    if sampling.max_tokens == 0:
        return
    cache = _new_cache(model, len(ids) + min(sampling.max_tokens, PROMPT_CHUNK))
    seen = np.zeros(model.config.vocab_size, np.bool_)
    seen[ids] = True
    token = draw(_read_prompt(model, ids, cache, pace, progress), sampling, len(ids), seen)
    yield token
    for position in range(len(ids) + 1, len(ids) + sampling.max_tokens):
        seen[token.id] = True
        with pace.work():
            token = draw(_read(model, [token.id], cache), sampling, position, seen)
        yield token


def _read_prompt(
    model: HybridLM, ids: list[int], cache: Cache, pace: Pace, progress: Progress | None
) -> NDArray[np.float64]:
    """Read a prompt into the cache, a chunk after the other; the logits [vocab] of what follows."""
    for start in range(0, len(ids), PROMPT_CHUNK):
        chunk = ids[start : start + PROMPT_CHUNK]
        if progress:
            progress(start, len(ids))
        with pace.work(torch.get_num_threads() if len(chunk) > 1 else 1):
            logits = _read(model, chunk, cache)
    if progress:
        progress(len(ids), len(ids))
    return logits


@torch.inference_mode()  # a function's, not the generator's: it must not stay on while the caller runs
def _read(model: HybridLM, ids: Sequence[int], cache: Cache) -> NDArray[np.float64]:
    """Read tokens into the cache; the logits [vocab] of what follows."""
    tokens = torch.tensor([ids], device=next(model.parameters()).device)
    return _float64(model(tokens, cache, last_only=True)[0, -1])


def score(
    model: HybridLM, ids: Sequence[int], *, pace: Pace = FULL, progress: Progress | None = None
) -> Tensor:
    """The loss of each token after the first, given those before it: nats, float32 [length - 1].

    `progress` is told how many of them are done. Raises ValueError for ids that the model does not have.
    """
    _check_ids(model, ids)
    cache = _new_cache(model, max(len(ids), 1))
    losses = [torch.empty(0)]
    for start in range(0, len(ids) - 1, PROMPT_CHUNK):
        if progress:
            progress(start, len(ids) - 1)
        chunk = ids[start : start + PROMPT_CHUNK + 1]
        with pace.work(torch.get_num_threads() if len(chunk) > 2 else 1):
            losses.append(_losses(model, chunk, cache))
    if progress:
        progress(max(len(ids) - 1, 0), max(len(ids) - 1, 0))
    return torch.cat(losses)


@torch.inference_mode()
def _losses(model: HybridLM, ids: Sequence[int], cache: Cache) -> Tensor:
    """The loss of each token after the first [length - 1]; all but the last are read into the cache."""
    tokens = torch.tensor([list(ids)], dtype=torch.int64, device=next(model.parameters()).device)
    logits = model(tokens[:, :-1], cache)
    return F.cross_entropy(logits[0].float(), tokens[0, 1:], reduction="none").cpu()


def read(
    model: HybridLM, ids: Sequence[int], *, pace: Pace = FULL, progress: Progress | None = None
) -> Generator[Token, None, None]:
    """What the model thinks of each token after the first, given those before it, one token at a time.

    The loss of `score`, with rank, entropy and alternatives. Close the generator to stop. Raises ValueError
    for ids that the model does not have, FloatingPointError when it computes no numbers.
    """
    _check_ids(model, ids)
    return _thoughts(model, ids, pace, progress)


def _thoughts(
    model: HybridLM, ids: Sequence[int], pace: Pace, progress: Progress | None
) -> Generator[Token, None, None]:
    cache = _new_cache(model, max(len(ids), 1))
    for start in range(0, len(ids) - 1, PROMPT_CHUNK):
        if progress:
            progress(start, len(ids) - 1)
        chunk = ids[start : start + PROMPT_CHUNK + 1]
        with pace.work(torch.get_num_threads() if len(chunk) > 2 else 1):
            logits = _all_logits(model, chunk[:-1], cache)
            tokens = [think(logits[i], chunk[i + 1], start + i + 1) for i in range(len(logits))]
        yield from tokens


@torch.inference_mode()
def _all_logits(model: HybridLM, ids: Sequence[int], cache: Cache) -> NDArray[np.float64]:
    """Logits [length, vocab] of what follows each token."""
    tokens = torch.tensor([list(ids)], dtype=torch.int64, device=next(model.parameters()).device)
    return _float64(model(tokens, cache)[0])


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

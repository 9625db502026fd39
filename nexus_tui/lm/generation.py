"""A prompt in, tokens out, one at a time; and the score of a given text."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm.batch import PROMPT_CHUNK, Batch, Progress, check_ids, new_cache
from nexus_tui.lm.cache import Cache
from nexus_tui.lm.decoding import decoder
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

NEWLINE = 10  # the id of a line break in a byte-level vocabulary


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
    batch = Batch(decoder(model), pace, progress)
    batch.add(list(prompt_ids) or [empty_prompt_id], sampling)
    return _only(batch)


def _only(batch: Batch) -> Generator[Token, None, None]:
    """The tokens of a batch of one text."""
    while drawn := batch.step():
        ((_, token),) = drawn
        if isinstance(token, FloatingPointError):
            raise token
        yield token


def score(
    model: HybridLM, ids: Sequence[int], *, pace: Pace = FULL, progress: Progress | None = None
) -> Tensor:
    """The loss of each token after the first, given those before it: nats, float32 [length - 1].

    `progress` is told how many of them are done. Raises ValueError for ids that the model does not have.
    """
    check_ids(ids, model.config.vocab_size)
    cache = new_cache(model, max(len(ids), 1))
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
    check_ids(ids, model.config.vocab_size)
    return _thoughts(model, ids, pace, progress)


def _thoughts(
    model: HybridLM, ids: Sequence[int], pace: Pace, progress: Progress | None
) -> Generator[Token, None, None]:
    cache = new_cache(model, max(len(ids), 1))
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

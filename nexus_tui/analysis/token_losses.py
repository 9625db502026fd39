"""The loss of every validation token under a checkpoint: computed once, kept beside its evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nexus_tui.analysis.cache import Arrays, entry, remembered, weights_key
from nexus_tui.analysis.subject import checkpoint_of, opened
from nexus_tui.runs.run import RunError
from nexus_tui.runs.subject import Subject
from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.training.reevaluate import TOLERANCE

if TYPE_CHECKING:
    from nexus_tui.training.opened import Opened

__all__ = ["Progress", "TokenLosses", "measured", "token_losses"]

KIND, VERSION = "tokens", 1
Progress = Callable[[int, int], None]
"""Told how much of how much is done; what it raises ends the work, and nothing is kept of it."""


def token_losses(subject: Subject, progress: Progress | None = None) -> TokenLosses:
    """Score a checkpoint on every validation token, as the trainer did, or take the cached scores.

    `progress` is told how many windows of how many are done. Raises RunError if weights or text are not here
    or the mean is not the loss on record, CheckpointError for damaged files, CorpusError, ConfigError and
    ValueError for what cannot be read.
    """
    checkpoint = checkpoint_of(subject)
    weights = weights_key(checkpoint)
    work = None
    if subject.evaluation:
        protocol = subject.evaluation.event.protocol
    else:
        work = opened(subject)
        protocol = work.validation.protocol

    def compute() -> TokenLosses:
        found = _score(work or opened(subject), progress)
        if not _as_on_record(subject, found):
            raise RunError(
                f"{subject.label} has a loss of {found.loss:.4f} nats per token and {subject.loss:.4f} on "
                "record: these weights were not evaluated there; audit it with --reevaluate."
            )
        return found

    def unpack(arrays: Arrays) -> TokenLosses:
        found = _unpacked(arrays, protocol)
        recorded = subject.window_losses
        if not _as_on_record(subject, found) or not (
            recorded is None
            or np.allclose(found.window_losses, recorded, atol=100 * TOLERANCE, equal_nan=True)
        ):
            raise ValueError("it has other losses than the record")
        return found

    place = entry(subject.run.folder, KIND, VERSION, weights, protocol)
    return remembered(place, unpack, compute, _packed)


def measured(subject: Subject, progress: Progress | None = None) -> Subject:
    """The subject with its token losses, so that `compare` knows the loss of one that was never evaluated,
    and bits per byte over the same text where tokenizers differ. Raises as `token_losses`.
    """
    return replace(subject, measured=token_losses(subject, progress))


def _score(work: Opened, progress: Progress | None) -> TokenLosses:
    """Compute all losses."""
    windows = work.validation
    parts, done = [], 0
    for part in windows.token_losses(work.model):
        parts.append(part.numpy())
        done += len(part)
        if progress:
            progress(done, len(windows.inputs))
    return TokenLosses(
        losses=np.concatenate(parts),
        inputs=windows.inputs.astype(np.int64, copy=False),
        targets=windows.targets.astype(np.int64, copy=False),
        token_bytes=work.dataset.token_bytes,
        protocol=windows.protocol,
    )


def _as_on_record(subject: Subject, found: TokenLosses) -> bool:
    """Whether the mean is the loss on record but for rounding; true where there is none."""
    if subject.evaluation is None:
        return True
    journalled = subject.evaluation.loss
    return abs(found.loss - journalled) <= TOLERANCE or (math.isnan(found.loss) and math.isnan(journalled))


def _packed(t: TokenLosses) -> Arrays:
    """Targets are inputs one later, so one row of tokens has both."""
    return {
        "losses": t.losses,
        "tokens": np.append(t.inputs.ravel(), t.targets[-1, -1]).astype(np.int32),
        "vocabulary": np.frombuffer(b"".join(t.token_bytes), np.uint8),
        "sizes": np.array([len(token) for token in t.token_bytes], np.int32),
    }


def _unpacked(arrays: Arrays, protocol: str) -> TokenLosses:
    """Raises KeyError or ValueError for arrays that are not as `_packed` makes them."""
    losses, tokens = arrays["losses"], arrays["tokens"]
    vocabulary, sizes = arrays["vocabulary"], arrays["sizes"]
    types = [array.dtype for array in (losses, tokens, vocabulary, sizes)]
    if types != [np.float32, np.int32, np.uint8, np.int32]:
        raise ValueError(f"wrong types: {types}")
    if losses.ndim != 2 or not losses.size or tokens.shape != (losses.size + 1,):
        raise ValueError(f"wrong shapes: {losses.shape}, {tokens.shape}")
    if sizes.ndim != 1 or vocabulary.ndim != 1 or sizes.min() < 0 or sizes.sum() != len(vocabulary):
        raise ValueError("the vocabulary's sizes are not its own")
    if tokens.min() < 0 or tokens.max() >= len(sizes):
        raise ValueError("a token is none of the vocabulary")
    ends = sizes.cumsum().tolist()
    text = vocabulary.tobytes()
    ids = tokens.astype(np.int64)
    return TokenLosses(
        losses=losses,
        inputs=ids[:-1].reshape(losses.shape),
        targets=ids[1:].reshape(losses.shape),
        token_bytes=[text[start:end] for start, end in zip([0, *ends], ends, strict=False)],
        protocol=protocol,
    )

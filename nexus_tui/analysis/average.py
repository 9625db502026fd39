"""An average of checkpoints as a contender: its weights the mean of theirs, scored on the same windows.

Late in training the weights circle around a place that none of them reaches; their mean lies nearer to it,
and often loses less than every one of them, as if the learning rate had fallen further. `uniform` counts all
alike (Izmailov et al., arXiv 1803.05407); `ema` counts each checkpoint `decay` times as much as the next
later one, with shares that sum to 1 (the exponential moving average, corrected for its start as in Adam,
arXiv 1412.6980). Checkpoints far apart, or of runs that began with different weights, have nothing between
them: their mean loses more than each. Whether it paid is what the paired test against each parent says.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nexus_tui.analysis import cache
from nexus_tui.analysis.saving import save_average
from nexus_tui.analysis.subject import Subject, checkpoint_of, opened
from nexus_tui.analysis.token_losses import Progress
from nexus_tui.runs.averages import named, oldest_first
from nexus_tui.runs.comparison import Pair
from nexus_tui.runs.pairs import paired
from nexus_tui.runs.run import RunError

if TYPE_CHECKING:
    from nexus_tui.training.evaluation import Validation
    from nexus_tui.training.opened import Opened

__all__ = ["DECAY", "Average", "Method", "average", "save_average", "shares"]

Method = Literal["uniform", "ema"]
DECAY = 0.5

_VERSION = 1
Losses = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Average:
    """An average of checkpoints, evaluated and nowhere saved yet."""

    subjects: tuple[Subject, ...]
    """What it is an average of, in the order in which they were named."""
    method: str
    """`uniform`, or `ema` and its decay, as in `ema 0.5`."""
    shares: tuple[float, ...]
    """How much each of them counts, in that order; they sum to 1."""
    loss: float
    """Validation loss, nats per token."""
    stderr: float
    bits_per_byte: float
    protocol: str
    parents: tuple[str, ...]
    """The same as the record names them, oldest first: `RUN:NAME@` and 12 digits of their SHA-256."""
    window_losses: Losses = field(compare=False, repr=False)
    """[windows], nats per token."""
    pairs: tuple[Pair, ...] = ()
    """The average against each of them: `a` is the place of the one, `b` is one past the last."""

    @property
    def unchanged(self) -> bool:
        """Whether its parents still have the weights that it was made of."""
        return named(self.subjects) == self.parents

    @property
    def step(self) -> int:
        """That of the last parent."""
        return max(subject.step for subject in self.subjects)

    @property
    def perplexity(self) -> float:
        """exp of the loss."""
        return math.exp(min(self.loss, 700.0)) if math.isfinite(self.loss) else math.nan

    @property
    def label(self) -> str:
        """`average of 3`, with its decay if it has one."""
        return f"average of {len(self.subjects)}" + ("" if self.method == "uniform" else f", {self.method}")


def average(
    subjects: Sequence[Subject],
    method: Method = "uniform",
    decay: float = DECAY,
    progress: Progress | None = None,
) -> Average:
    """Average checkpoints and score the result on their validation windows, or take the kept score.

    The order in which they are named does not matter: `ema` counts those of later steps more.
    `progress` is told how many windows of how many are done; what it raises ends the work. Imports torch
    where there is something to compute. Raises RunError unless there are two or more, all different, of one
    architecture and one protocol, with their weights here; CheckpointError for damaged files; CorpusError,
    ConfigError and ValueError for what cannot be read.
    """
    ordered = oldest_first(subjects)
    weighing = shares(len(ordered), method, decay)
    keys = [cache.weights_key(checkpoint_of(subject)) for subject in ordered]
    _require_different(ordered, keys)
    ready, protocol = _protocol(ordered)
    name = method if method == "uniform" else f"{method} {decay:g}"
    digest = hashlib.sha256(" ".join((name, *keys)).encode()).hexdigest()
    losses, bits_per_byte = cache.remembered(
        cache.entry(ordered[-1].run.folder, "average", _VERSION, digest, protocol),
        _unpack,
        lambda: _score(ordered, weighing, ready or opened(ordered[-1]), progress),
        lambda found: {"losses": found[0], "bits_per_byte": np.array([found[1]], np.float64)},
    )
    exact = losses.astype(np.float64)
    stderr = float(exact.std(ddof=1)) / math.sqrt(len(exact)) if len(exact) > 1 else 0.0
    return Average(
        subjects=tuple(subjects),
        method=name,
        shares=tuple(weighing[ordered.index(subject)] for subject in subjects),
        loss=float(exact.mean()),
        stderr=stderr,
        bits_per_byte=bits_per_byte,
        protocol=protocol,
        parents=named(ordered),
        window_losses=losses,
        pairs=tuple(_pair(place, subject, losses, len(subjects)) for place, subject in enumerate(subjects)),
    )


def shares(count: int, method: Method, decay: float = DECAY) -> tuple[float, ...]:
    """How much each of `count` checkpoints counts, oldest first; they sum to 1. Raises RunError."""
    if count < 2:
        raise RunError("An average takes two or more checkpoints: name more of them.")
    if method == "uniform":
        return (1 / count,) * count
    if not 0 < decay < 1:
        raise RunError(f"A decay of {decay:g} makes no average: choose one between 0 and 1.")
    counts = [decay ** (count - 1 - place) for place in range(count)]
    return tuple(each / math.fsum(counts) for each in counts)


def _require_different(subjects: Sequence[Subject], keys: Sequence[str]) -> None:
    for place, key in enumerate(keys):
        if key in keys[:place]:
            first, second = subjects[keys.index(key)].label, subjects[place].label
            raise RunError(f"{first} and {second} have the same weights: name each checkpoint once.")


def _protocol(subjects: Sequence[Subject]) -> tuple[Opened | None, str]:
    """The protocol that all have; the last one opened, if the record did not say. Raises RunError."""
    ready = {place: opened(each) for place, each in enumerate(subjects) if not each.protocol}
    protocols = [
        ready[place].validation.protocol if place in ready else subject.protocol
        for place, subject in enumerate(subjects)
    ]
    for subject, protocol in zip(subjects, protocols, strict=True):
        if protocol != protocols[-1]:
            raise RunError(
                f"{subject.label} and {subjects[-1].label} are not scored on the same windows of one text, "
                "so there is nothing to score their average on: name checkpoints of one protocol."
            )
    return ready.get(len(subjects) - 1), protocols[-1]


def _score(
    subjects: Sequence[Subject], weighing: Sequence[float], ready: Opened, progress: Progress | None
) -> tuple[Losses, float]:
    """The losses by window, [windows], and bits per byte."""
    from nexus_tui.analysis.mixing import mixed

    windows: Validation = ready.validation
    model = mixed(subjects, weighing).eval()
    parts, done = [], 0
    for part in windows.losses(model):
        parts.append(part)
        done += len(part)
        if progress:
            progress(done, len(windows.inputs))
    losses = np.concatenate(parts)
    return losses, windows.bits_per_byte(float(losses.astype(np.float64).mean()))


def _unpack(arrays: cache.Arrays) -> tuple[Losses, float]:
    losses: Any = arrays["losses"]
    if losses.dtype != np.float32 or losses.ndim != 1 or not len(losses):
        raise ValueError("no losses of windows")
    (bits_per_byte,) = arrays["bits_per_byte"].tolist()
    return losses, float(bits_per_byte)


def _pair(place: int, parent: Subject, losses: Losses, count: int) -> Pair:
    """The average against one of its `count` parents, as one pair of those among all of them."""
    own, mean = parent.window_losses, float(losses.astype(np.float64).mean()) - parent.loss
    if own is None or own.shape != losses.shape or len(losses) < 2:
        reason = f"the losses of {parent.label} by window are not on record, so there is no test"
        return Pair(place, count, "undecided", mean=mean, reason=reason)
    if not (np.isfinite(own).all() and np.isfinite(losses).all()):
        return Pair(place, count, "undecided", reason="the loss of a window is no finite number")
    apart = paired(own, losses, count + 1)
    verdict: Literal["better", "worse", "undecided"] = (
        "better" if apart.high < 0 else "worse" if apart.low > 0 else "undecided"
    )
    return Pair(
        place, count, verdict, mean=apart.mean, low=apart.low, high=apart.high, windows=len(losses),
        blocks=apart.blocks,
    )  # fmt: skip

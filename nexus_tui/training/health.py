"""Whether training is sound: numbers that are none, losses that jump, memory that is refused."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from nexus_tui.config import SpikeConfig

_GAUSSIAN = 1.4826
"""A standard deviation in median absolute deviations, of numbers that are normally distributed."""
_LEAST = 1e-3
"""Of the median: losses that are all alike have no deviation, and yet each next one is no spike."""
_CALM = 10
"""Steps below the limit after which a spike is over."""


class DivergedError(Exception):
    """The next update would harm the weights, or something has; those on disk are whole.

    Args:
        step: whose update was not made.
        cause: what is wrong, in words.
        loss: the batch's, in nats per token; NaN if it was not computed.
        grad_norm: the gradient's, before clipping; NaN likewise.
        spike: what the loss is, if that is the cause.
    """

    def __init__(
        self,
        step: int,
        cause: str,
        loss: float = math.nan,
        grad_norm: float = math.nan,
        spike: Spike | None = None,
    ) -> None:
        super().__init__(cause)
        self.step, self.cause, self.loss, self.grad_norm = step, cause, loss, grad_norm
        self.spike = spike


@dataclass(frozen=True)
class Spike:
    """A loss that jumped, in nats per token, the median before it and the limit it broke."""

    loss: float
    median: float
    limit: float

    def __str__(self) -> str:
        return f"{self.loss:.4g} against a median of {self.median:.4g} and a limit of {self.limit:.4g}"


class SpikeWatch:
    """Tells which losses are spikes, by the losses before them alone: a resumed run is told the same.

    The limit is the median of the last `window` losses plus so many deviations, estimated from the median
    absolute deviation: one wild loss moves neither, where it would move mean and standard deviation.

    Source: Hampel's identifier; Davies and Gather, The identification of multiple outliers, JASA 88, 1993.
    """

    def __init__(self, config: SpikeConfig, before: Iterable[tuple[int, float]] = ()) -> None:
        """`before` are the steps before and their losses, oldest first."""
        self._deviations = config.deviations
        self._losses: deque[float] = deque(maxlen=config.window)
        self._calm = _CALM
        self.since = 0
        """The first step of the spike that is not over; 0 if there is none."""
        for step, loss in before:
            self.see(step, loss)

    @property
    def _known(self) -> int:
        """Losses from which a median can be told."""
        return (self._losses.maxlen or 0) // 2

    def see(self, step: int, loss: float) -> Spike | None:
        """Take the next step's loss; a Spike if one begins with it."""
        spike = self._spike(loss) if len(self._losses) >= self._known else None
        begins = spike is not None and not self.since
        self._calm = 0 if spike else self._calm + 1
        if begins:
            self.since = step
        elif self._calm >= _CALM:
            self.since = 0
        self._losses.append(loss)
        return spike if begins else None

    def _spike(self, loss: float) -> Spike | None:
        median = statistics.median(self._losses)
        if loss <= median:
            return None
        spread = statistics.median([abs(each - median) for each in self._losses])
        limit = median + self._deviations * max(_GAUSSIAN * spread, _LEAST * abs(median))
        return Spike(loss, median, limit) if loss > limit else None


def unsound(tensors: Iterable[tuple[str, Tensor | None]]) -> str:
    """The first of named tensors that has numbers that are none, and how many; empty if all are sound."""
    for name, tensor in tensors:
        if tensor is not None and not (finite := torch.isfinite(tensor)).all():
            return f"{name} has {int((~finite).sum()):,} of {tensor.numel():,} numbers that are not finite"
    return ""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused: by Python, numpy, torch or a GPU, to a kernel or to a thread that begins.

    Torch has a type for what its allocator is refused on a GPU; libraries and drivers say it in words.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error)
    refused = (
        "can't allocate memory", "not enough memory", "can't start new thread", "std::bad_alloc",
        "out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
    )  # fmt: skip
    return isinstance(error, RuntimeError) and any(words in said for words in refused)

"""What happens inside a checkpoint while it reads: the same first validation windows for every one.

Residual stream. A block reads the stream of its token and adds to it. `residual` is the stream's Euclidean
norm after the block, `added` that of what the block added, both mean over tokens. A block whose `added` is
small beside the stream changes little of it; a stream that grows many times over drowns what was written
early (the next block's norm scales it back, but not the mixture in it).

Memory of a Mamba layer. Each of its channels × states keeps a number and multiplies it by exp(−dt·|A|) at
every token before it adds what is new. What was written has thus faded to 1/e after 1 / (dt·|A|) tokens:
that is the memory, in tokens. dt depends on the text; over a stretch the factors multiply to
exp(−|A| · sum of dt), so the mean of dt over tokens, channel by channel, is what gives the mean fading, and
the memory here is 1 / (mean dt · |A|), spread over channels × states. `beyond` is the share of channels ×
states whose memory is longer than the window: what the recurrence would do in a longer text, which no window
showed. A token with a large dt also writes strongly and clears what was there, one with a dt near 0 leaves
no trace: where `dt` is spread wide over tokens and channels, the layer selects. `state` is the size of the
state at the window's end, root mean square over channels × states, mean over windows.

Entropy of attention. A head that reads t tokens (its own among them) spreads a weight of 1 over them; the
entropy of that spread is between 0, all on one token, and log(t), even over all. `entropy` is its mean over
tokens and windows in nats: exp of it is about how many tokens the head looks at. Since log(t) grows with the
position, `share` divides by the mean of log(t): near 1 the head averages whatever there is, near 0 it points
at one token. A head near 1 from checkpoint to checkpoint has found no place to look at.

Sources: the recurrence of Gu and Dao, arXiv 2312.00752; the entropy of attention as Zhai et al., arXiv
2303.06296, follow it. Computed in 32-bit floating point, as the model is run; means are taken in 64-bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nexus_tui.analysis import cache
from nexus_tui.analysis.subject import Subject, checkpoint_of, opened
from nexus_tui.analysis.token_losses import Progress

if TYPE_CHECKING:
    from nexus_tui.training.opened import Opened

WINDOWS = 64
"""The first so many validation windows are read; all of fewer."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

_VERSION = 1
Mixer = TypeVar("Mixer")


class Spread(NamedTuple):
    """How values are spread: the QUANTILES, lowest first."""

    p5: float
    p25: float
    median: float
    p75: float
    p95: float


@dataclass(frozen=True)
class MambaInside:
    """What a Mamba layer keeps."""

    state: float
    """Root mean square of the state at the window's end, over channels × states; mean over windows."""
    dt: Spread
    """Step sizes over tokens × channels."""
    memory: Spread
    """Tokens until a state has faded to 1/e, over channels × states, at each channel's mean dt."""
    beyond: float
    """Share of channels × states whose memory is longer than the window."""


@dataclass(frozen=True)
class AttentionInside:
    """How widely the heads of an attention layer look: one value a head."""

    entropy: tuple[float, ...]
    """Nats, mean over tokens and windows."""
    share: tuple[float, ...]
    """… of what looking evenly at everything has: 0 points at one token, 1 averages all."""


@dataclass(frozen=True)
class LayerInside:
    """One block; either `mamba` or `attention` is there."""

    layer: int
    residual: float
    """Norm of the residual stream after the block, mean over tokens."""
    added: float
    """Norm of what the block adds to the stream, mean over tokens."""
    mamba: MambaInside | None = None
    attention: AttentionInside | None = None

    @property
    def kind(self) -> str:
        """`mamba` or `attention`."""
        return "mamba" if self.mamba else "attention"


@dataclass(frozen=True)
class Inside:
    """Every block of a checkpoint, first to last."""

    windows: int
    length: int
    """Tokens of a window."""
    embedding: float
    """Norm of the residual stream before the first block, mean over tokens."""
    layers: tuple[LayerInside, ...]


def inside(subject: Subject, progress: Progress | None = None) -> Inside:
    """Look inside a checkpoint while it reads the first WINDOWS validation windows; or take the kept result.

    `progress` is told how many windows of how many are done; what it raises ends the work. Imports torch
    where there is something to compute. Raises RunError if weights or text are not here, CheckpointError for
    damaged files, CorpusError, ConfigError and ValueError for what cannot be read.
    """
    checkpoint = checkpoint_of(subject)
    weights = cache.weights_key(checkpoint)
    ready = None if subject.protocol else opened(subject)
    protocol = ready.validation.protocol if ready else subject.protocol
    place = cache.entry(subject.run.folder, "inside", _VERSION, weights, protocol)
    return cache.remembered(place, unpack, lambda: _computed(ready or opened(subject), progress), pack)


def _computed(ready: Opened, progress: Progress | None) -> Inside:
    from nexus_tui.analysis.reading import read

    return read(ready.model, ready.validation.inputs[:WINDOWS].astype(np.int64), progress)


def pack(found: Inside) -> dict[str, np.ndarray[Any, Any]]:
    """The figures as tables of numbers, as they are kept."""
    mamba = [
        (r.layer, r.mamba.state, r.mamba.beyond, *r.mamba.dt, *r.mamba.memory)
        for r in found.layers
        if r.mamba
    ]
    attention = [(r.layer, *r.attention.entropy, *r.attention.share) for r in found.layers if r.attention]
    return {
        "read": np.array([found.windows, found.length, found.embedding], np.float64),
        "stream": np.array([(row.residual, row.added) for row in found.layers], np.float64),
        "mamba": np.array(mamba, np.float64),
        "attention": np.array(attention, np.float64),
    }


def _numbered(mixers: Iterable[Mixer | None]) -> Iterator[tuple[int, Mixer]]:
    """Those that are there, with the layer of each."""
    return ((layer, mixer) for layer, mixer in enumerate(mixers) if mixer is not None)


def unpack(arrays: cache.Arrays) -> Inside:
    """What `pack` has packed. Raises KeyError, TypeError or ValueError for anything else."""
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("a figure is no finite number")
    windows, length, embedding = arrays["read"].tolist()
    mixers: dict[int, MambaInside | AttentionInside] = {}
    for layer, state, beyond, *spreads in arrays["mamba"].tolist():
        mixers[int(layer)] = MambaInside(state, Spread(*spreads[:5]), Spread(*spreads[5:]), beyond)
    for layer, *heads in arrays["attention"].tolist():
        half = len(heads) // 2
        mixers[int(layer)] = AttentionInside(tuple(heads[:half]), tuple(heads[half:]))
    stream = arrays["stream"].tolist()
    if sorted(mixers) != list(range(len(stream))):
        raise ValueError("not one mixer a layer")
    layers = [layer_inside(at, residual, added, mixers[at]) for at, (residual, added) in enumerate(stream)]
    return Inside(int(windows), int(length), embedding, tuple(layers))


def layer_inside(
    layer: int, residual: float, added: float, mixer: MambaInside | AttentionInside
) -> LayerInside:
    """A block with whichever mixer it has."""
    if isinstance(mixer, MambaInside):
        return LayerInside(layer, residual, added, mamba=mixer)
    return LayerInside(layer, residual, added, attention=mixer)

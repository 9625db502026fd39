"""One more token of each of several texts: compiled on a CPU, captured on a GPU, else one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.drawing import Sampling, draw
from nexus_tui.lm.text import Drawn, Text

if TYPE_CHECKING:
    from nexus_tui.lm.hybrid import HybridLM

FEW = 4
"""Texts that a thread of its own is worth while for: fewer are waited for longer than they take."""


class Decoder(Protocol):
    """Remembers texts and draws their next tokens. Its model's weights must stay as they are meanwhile."""

    model: HybridLM

    def remember(self, cache: Cache, room: int) -> Any:
        """The memory of a text that was read into a cache, with room for so many tokens; the cache stays."""

    def step(self, texts: Sequence[Text], threads: int) -> list[Drawn]:
        """Draw the next token of each text, which takes it, on so many threads at most."""


def decoder(model: HybridLM) -> Decoder:
    """The fastest that can decode a model."""
    from nexus_tui.lm.hybrid import HybridLM

    weight = next(model.parameters())
    if isinstance(model, HybridLM) and weight.device.type == "cpu" and weight.dtype == torch.float32:
        return Compiled(model)
    if isinstance(model, HybridLM) and weight.device.type == "cuda" and weight.dtype != torch.float64:
        from nexus_tui.lm.captured import Captured

        return Captured(model)
    return Plain(model)


class ByLogits(ABC):
    """Draws on the processor, from the logits that a step of the model gives."""

    @abstractmethod
    def read(self, texts: Sequence[Any], ids: Sequence[int], threads: int) -> NDArray[np.float32]:
        """Read one token into each memory, on so many threads at most; logits [text, vocab] of the next.

        A text's numbers depend neither on the other texts nor on the number of threads.
        """

    def step(self, texts: Sequence[Text], threads: int) -> list[Drawn]:
        """As `Decoder`."""
        logits = self.read([text.memory for text in texts], [text.newest for text in texts], threads)
        return [text.draw(row) for text, row in zip(texts, logits, strict=True)]


class Plain(ByLogits):
    """Any model on any device, a text at a time."""

    def __init__(self, model: HybridLM) -> None:
        self.model = model

    def remember(self, cache: Cache, room: int) -> Cache:  # noqa: ARG002 - a cache grows by itself
        """As `Decoder`."""
        return cache.clone()

    @torch.inference_mode()
    def read(self, texts: Sequence[Cache], ids: Sequence[int], threads: int) -> NDArray[np.float32]:  # noqa: ARG002
        """As `ByLogits`."""
        device = next(self.model.parameters()).device
        logits = [
            self.model(torch.tensor([[id]], device=device), cache)[0, -1]
            for cache, id in zip(texts, ids, strict=True)
        ]
        return torch.stack(logits).float().cpu().numpy()


class Compiled(ByLogits):
    """For 32-bit floating point on the CPU: all texts in one step that reads the weights once a thread."""

    def __init__(self, model: HybridLM) -> None:
        # Numba takes half a second to import: not before it is needed.
        from nexus_tui.lm.packed import Packed

        self.model = model
        self._packed = Packed(model)

    def remember(self, cache: Cache, room: int) -> Any:
        """As `Decoder`."""
        from nexus_tui.lm.packed import Memory

        return Memory(cache, room)

    def read(self, texts: Sequence[Any], ids: Sequence[int], threads: int) -> NDArray[np.float32]:
        """As `ByLogits`."""
        from nexus_tui.lm.selective_scan import pool
        from nexus_tui.lm.step import tokens

        for text in texts:
            text.reserve()
        packed = self._packed
        logits = np.empty((len(texts), packed.sizes.vocabulary_padded), np.float32)
        pool.run(
            tokens.step,
            max(1, min(threads, len(texts) // FEW)),
            packed.sizes,
            packed.weights,
            packed.attends,
            packed.embedding,
            np.array(ids, np.int64),
            np.array([text.numbers.ctypes.data for text in texts], np.int64),
            np.array([text.room for text in texts], np.int64),
            np.array([text.length for text in texts], np.int64),
            logits.reshape(-1),
        )
        for text in texts:
            text.length += 1
        return logits[:, : self.model.config.vocab_size]


@torch.inference_mode()
def warm_up(model: HybridLM) -> None:
    """Compile what a token of this model needs, or load it from the cache: seconds, once a machine.

    The model is in 32-bit floating point, on the CPU.
    """
    each = Compiled(model)
    logits = each.read([each.remember(Cache(model.config, capacity=1), 1)], [0], 1)
    draw(logits[0].astype(np.float64), Sampling(), 0)

"""The decoder of a GPU: which texts are in which slots, what is launched, and what has come of it."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.captured.drawing import ordered, write_how
from nexus_tui.lm.captured.graphs import Graphs
from nexus_tui.lm.captured.slots import AHEAD, Slots, rounded
from nexus_tui.lm.captured.step import step
from nexus_tui.lm.captured.telling import Flight
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.text import Drawn, Text

BEHIND = 2
"""Steps that the device is ahead of what the host has been told: it always has work, and as many tokens of a
text that is stopped are drawn in vain."""
LEAST = 128
"""Tokens that there is room for at least: fewer are not worth a graph of their own."""


class Slot:
    """The memory of a text: a place among the decoder's slots, until nobody has it any more."""

    def __init__(self, number: int, length: int) -> None:
        self.number = number
        self.length = length
        """Tokens that have been read, or will have been by what is launched."""
        self.numbers = 0
        """The first position that there is no random number for yet; 0 before the text has begun."""
        self.coming: deque[Flight] = deque()
        """What its next tokens will be told by, first to last."""


class _Shape(NamedTuple):
    """What a graph is captured for."""

    slots: int
    """How many, from the first on."""
    room: int
    """Tokens that attention looks back to."""
    order: bool
    """Whether tokens are put in order before one is drawn."""


class Captured:
    """For a model on a GPU: all texts in one CUDA graph, which draws, too. Threads may share it.

    A text has the tokens that it has elsewhere as far as its logits are the same; here their last bits depend
    on how many slots are in use. Without `capture`, and on a CPU, the same is done directly.
    """

    @torch.inference_mode()
    def __init__(self, model: HybridLM, *, capture: bool = True) -> None:
        self.model = model
        self._weight = next(model.parameters())
        self._stream: torch.cuda.Stream | None = None
        self._graphs: Graphs | None = None
        self._fused: ModuleType | None = None
        if self._weight.is_cuda:
            # Beside a training in this process a token would else wait for whole steps of it.
            self._stream = torch.cuda.Stream(self._weight.device)  # type: ignore[no-untyped-call]
            self._fused = _fused()
            if capture:
                self._graphs = Graphs(self._stream)
        with self._device():
            self._slots = Slots(model.config, self._weight, 1, LEAST)
        self._free: deque[int] = deque([0])
        self._how = _table(self._slots)
        """What is, or will be, in `Slots.how`."""
        self._active: tuple[int, ...] = ()
        self._places: list[int] = []
        self._lock = threading.Lock()

    def remember(self, cache: Cache, room: int) -> Slot:
        """As `Decoder`."""
        with self._lock, self._device(reading=True), torch.inference_mode():
            self._look_for_weights()
            if not self._free:
                self._grow(2 * self._slots.count, self._slots.capacity)
            self._reserve(max(room, cache.length) + 2)
            slot = Slot(min(self._free), cache.length)
            self._free.remove(slot.number)
            weakref.finalize(slot, self._free.append, slot.number).atexit = False
            self._slots.put(slot.number, cache)
            return slot

    def step(self, texts: Sequence[Text], threads: int) -> list[Drawn]:  # noqa: ARG002 - the host only waits
        """As `Decoder`."""
        with self._lock, self._device(), torch.inference_mode():
            while short := [text for text in texts if len(text.memory.coming) < min(text.left, 1 + BEHIND)]:
                self._launch(short)
            return [text.take(_come(text.memory, text.position)) for text in texts]

    def _launch(self, texts: Sequence[Text]) -> None:
        """Have the device draw a token more of each text."""
        slots: list[Slot] = [text.memory for text in texts]
        longest = max(slot.length for slot in slots)
        self._reserve(longest + 2)  # so that even a text that is full has a place behind its last token
        self._tell_how(texts)
        count, room = rounded(max(slot.number for slot in slots) + 1), self._slots.capacity
        if "attention" in self.model.config.layer_kinds:
            room = max(LEAST, rounded(longest + 1))
        shape = _Shape(count, room, any(ordered(text.sampling) for text in texts))
        work = partial(step, self.model, self._fused, self._slots, *shape)
        if self._graphs is None:
            self._activate(slots)
            work()
        else:
            if shape not in self._graphs:
                self._activate([])
                self._graphs.capture(shape, work)
            self._activate(slots)
            self._graphs.replay(shape)
        flight = Flight(self._slots.told[:count])
        for slot in slots:
            slot.length += 1
            slot.coming.append(flight)

    def _tell_how(self, texts: Sequence[Text]) -> None:
        """Tell the device of texts that begin, and random numbers once a text has used up its own."""
        if all(slot.length + 1 < slot.numbers for slot in (text.memory for text in texts)):
            return
        if new := [text for text in texts if not text.memory.numbers]:
            slots = [text.memory.number for text in new]
            self._slots.begin(slots, [text.newest for text in new], [text.seen for text in new])
        for text in texts:
            slot = text.memory
            write_how(self._how[slot.number], text.sampling, slot.length + 1)
            slot.numbers = slot.length + 1 + AHEAD
        self._slots.how.copy_(torch.from_numpy(self._how))

    def _activate(self, slots: Sequence[Slot]) -> None:
        """Say which slots go on."""
        active = tuple(slot.number for slot in slots)
        if active != self._active:
            here = torch.zeros(self._slots.count, dtype=torch.bool)
            here[list(active)] = True
            self._slots.active.copy_(here)
            self._active = active

    def _reserve(self, tokens: int) -> None:
        """Make room for texts of so many tokens."""
        if tokens > self._slots.capacity:
            self._grow(self._slots.count, rounded(tokens))

    def _grow(self, count: int, capacity: int) -> None:
        """Make room for more slots, or longer ones; who has a slot keeps it."""
        self._forget()
        old, self._slots = self._slots, self._slots.grown(count, capacity)  # which a full GPU may refuse
        self._free.extend(range(old.count, count))
        self._how = np.concatenate([self._how, _table(self._slots)[len(self._how) :]])

    def _look_for_weights(self) -> None:
        """Drop graphs that read weights where they are no more; those that changed in place are read."""
        places = [weight.data_ptr() for weight in self.model.parameters()]
        if places != self._places:
            self._forget()
            self._places = places

    def _forget(self) -> None:
        if self._graphs:
            self._graphs.forget()

    @contextmanager
    def _device(self, reading: bool = False) -> Iterator[None]:
        """Within, the model's device works on a stream of this decoder's own.

        reading: what the caller gave the device before is read within, and what it frees is not used for
        anything else before that is done.
        """
        if self._stream is None:
            yield
            return
        callers = torch.cuda.current_stream(self._stream.device)
        if reading:
            self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            yield
        if reading:
            callers.wait_stream(self._stream)


def _come(slot: Slot, position: int) -> Drawn:
    """The next token of a slot's text, once it has come."""
    return slot.coming.popleft().take(slot.number, position)


def _fused() -> ModuleType:
    """The kernels of our own, which need Triton: a torch that has a GPU brings it along."""
    from nexus_tui.lm.captured import fused

    return fused


def _table(slots: Slots) -> NDArray[np.float64]:
    """Memory of the host like `Slots.how`."""
    return np.ones(slots.how.shape)

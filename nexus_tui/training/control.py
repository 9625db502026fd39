"""Wishes for a trainer: asked for at any time, from any thread; carried out at the next step boundary."""

import queue
from dataclasses import dataclass


@dataclass(frozen=True)
class Act:
    """A wish. The trainer journals it when it carries it out."""


@dataclass(frozen=True)
class Pause(Act):
    """Stop stepping, keep everything in memory."""


@dataclass(frozen=True)
class Continue(Act):
    """Go on after a pause."""


@dataclass(frozen=True)
class Save(Act):
    """Save a checkpoint of the current step."""


@dataclass(frozen=True)
class Evaluate(Act):
    """Save and evaluate the current step."""


@dataclass(frozen=True)
class Sample(Act):
    """Continue the fixed prompts with the current weights."""


@dataclass(frozen=True)
class ScaleRate(Act):
    """Multiply the scheduled learning rate by `scale` from the next step on."""

    scale: float


@dataclass(frozen=True)
class Note(Act):
    """Keep a note at the current step."""

    text: str


@dataclass(frozen=True)
class Stop(Act):
    """Save a checkpoint and end."""


class Control:
    """The queue between whoever wishes and the trainer."""

    def __init__(self) -> None:
        self._wishes: queue.SimpleQueue[Act] = queue.SimpleQueue()

    def request(self, act: Act) -> None:
        """Ask for something. Returns at once."""
        self._wishes.put(act)

    def take(self, wait: bool = False) -> Act | None:
        """The oldest wish, or None. With `wait`, blocks until there is one."""
        try:
            return self._wishes.get(block=wait)
        except queue.Empty:
            return None

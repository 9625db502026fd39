"""Wishes for a trainer: asked for at any time, from any thread; carried out at the next step boundary."""

import queue
import threading
from typing import Annotated

import msgspec

NOTE_LENGTH = 2000
"""Characters that a note may have."""


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="act", tag=str.lower):
    """A wish. The trainer journals it when it carries it out."""


class Pause(Act, frozen=True):
    """Stop stepping, keep everything in memory."""


class Continue(Act, frozen=True):
    """Go on after a pause."""


class Save(Act, frozen=True):
    """Save a checkpoint of the current step."""


class Evaluate(Act, frozen=True):
    """Save and evaluate the current step."""


class Sample(Act, frozen=True):
    """Continue the fixed prompts with the current weights."""


class ScaleRate(Act, frozen=True, tag="rate"):
    """Multiply the scheduled learning rate by `scale` from the next step on."""

    scale: Annotated[float, msgspec.Meta(ge=0, le=1000)]


class Plan(Act, frozen=True):
    """Train to step `steps` instead of what was planned; the schedule ends there from the next step on."""

    steps: Annotated[int, msgspec.Meta(ge=1, le=10**9)]


class Note(Act, frozen=True):
    """Keep a note at a step; None: at the current one."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_LENGTH)]
    step: Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None = None


class Stop(Act, frozen=True):
    """End; after a save, unless what came after the newest checkpoint is to be left."""

    save: bool = True


AnyAct = Pause | Continue | Save | Evaluate | Sample | ScaleRate | Plan | Note | Stop


class Wish:
    """An act that was asked for, and what became of it."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.step: int | None = None
        """The step at which it was carried out; None until then."""
        self.refusal = ""
        """Why it was not, in one sentence."""
        self._decided = threading.Event()

    def done(self, step: int) -> None:
        """It has been carried out at this step."""
        self.step = step
        self._decided.set()

    def refuse(self, reason: str) -> None:
        """It cannot be, for this reason."""
        self.refusal = reason
        self._decided.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has been carried out or refused, or for `timeout` seconds. Tells whether it has."""
        return self._decided.wait(timeout)


class Control:
    """The queue between whoever wishes and the trainer."""

    def __init__(self) -> None:
        self._wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self._stop = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether somebody has asked for the end: what takes long before the first step looks at it."""
        return self._stop.is_set()

    def request(self, act: Act) -> Wish:
        """Ask for something. Returns at once."""
        wish = Wish(act)
        self._wishes.put(wish)
        if isinstance(act, Stop):
            self._stop.set()
        return wish

    def take(self, step: int, wait: bool = False) -> Wish | None:  # noqa: ARG002 (a script asks for it)
        """The oldest wish, or None. With `wait`, blocks until there is one. `step` is the trainer's."""
        try:
            return self._wishes.get(block=wait)
        except queue.Empty:
            return None

    def end(self) -> None:
        """Refuse what nobody will carry out any more."""
        while wish := self.take(0):
            wish.refuse("training has ended.")

"""Several texts written by one thread, taking turns, so that all of a group grow beside each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.originals import originals_of
from nexus_tui.tui.seats import Seats
from nexus_tui.tui.voice import State, Voice
from nexus_tui.tui.writer import Figures

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Originals

TURN = 8
"""Tokens that a voice writes before the next one's turn."""


class _StoppedError(Exception):
    """Raised where a text sleeps or reads its prompt, to leave it."""


def arranged(rows: Sequence[Sequence[Voice]], seats: Seats) -> list[list[Voice]]:
    """Groups to write, one after another: row by row if all checkpoints can be held open at once.

    Else column by column, a text at a time, so that each checkpoint is opened once.
    """
    checkpoints = [voice.part.checkpoint for row in rows for voice in row if voice.part.checkpoint]
    if seats.hold(checkpoints):
        return [list(row) for row in rows]
    return [[row[index]] for index in range(max(map(len, rows), default=0)) for row in rows]


class Choir:
    """Writes groups of voices in order, the voices of a group in turns; then works out their novelty.

    `start` it, look at the voices whenever it suits, `stop` it at any time. The thread is no daemon, and ends
    at the next token after `stop`: it keeps no program alive for long.

    Args:
        groups: what to write.
        seats: opens checkpoints, and keeps them open from one choir to the next.
        originals: the training text of a run, to find what is copied from it; default: `originals_of`.
        share: of one core that may be used, asked before each text.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Voice]],
        seats: Seats,
        originals: Callable[[Run], Originals] | None = None,
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._groups = groups
        self._seats = seats
        self._originals = originals or originals_of
        self._share = share
        self._live = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sing, name="choir")

    @property
    def voices(self) -> list[Voice]:
        """All of them, in the order of writing."""
        return [voice for group in self._groups for voice in group]

    @property
    def live(self) -> bool:
        """Whether anything may change yet."""
        return self._live

    def start(self) -> None:
        """Begin. Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next token. Returns at once."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread, at most so many seconds."""
        self._thread.join(timeout)

    def _sing(self) -> None:
        try:
            for group in self._groups:
                self._write([voice for voice in group if voice.live])
                for voice in group:
                    self._judge(voice)
        finally:
            self._live = False

    def _write(self, group: list[Voice]) -> None:
        texts = {voice: self._text(voice) for voice in group}
        while texts:
            for voice in list(texts):
                if not self._turn(voice, texts[voice]):
                    del texts[voice]

    def _turn(self, voice: Voice, text: Iterator[None]) -> bool:
        """Let a voice write a few tokens; whether it has more to write."""
        try:
            for _ in range(TURN):
                if self._stopped.is_set():
                    return self._end(voice, "stopped")
                if next(text, self) is self:
                    return self._end(voice, "done")
        except _StoppedError:
            return self._end(voice, "stopped")
        except (CheckpointError, ValueError, FloatingPointError) as error:
            return self._end(voice, "failed", str(error))
        except MemoryError:
            few = "there is not enough memory to open this checkpoint; close something else first."
            return self._end(voice, "failed", few)
        except Exception as error:  # the thread has nobody else to tell
            return self._end(voice, "failed", f"{type(error).__name__}: {error}")
        return True

    def _end(self, voice: Voice, state: State, error: str = "") -> bool:
        voice.error = error
        voice.change(state)
        return False

    def _text(self, voice: Voice) -> Iterator[None]:
        """Write a voice's text; a token for each item."""
        from nexus_tui.lm.generation import Sampling

        voice.change("opening")
        part = voice.part
        assert part.checkpoint is not None
        settings = dict(part.settings)
        stop = settings.pop("stop", ())
        sampling = Sampling(**settings)
        pieces = self._seats.open(part.checkpoint).stream(
            part.prompt, sampling, stop=stop, share=self._share, progress=self._awake
        )
        while True:
            began = time.perf_counter()
            piece = next(pieces, None)
            if piece is None:
                return
            old = voice.figures
            # Only its own turns count; the first token reads the prompt, so it is left out of the speed.
            seconds = old.seconds + time.perf_counter() - began if old.tokens else 0.0
            figures = Figures(old.tokens + 1, old.bytes + piece.bytes, old.nats - piece.logprob, seconds)
            voice.add(piece.text, piece.token, figures)
            if piece.end == "stop text":
                voice.cut()
            yield

    def _awake(self, _done: int, _total: int) -> None:
        """Called while a long prompt is read and while others have the processor."""
        if self._stopped.is_set():
            raise _StoppedError

    def _judge(self, voice: Voice) -> None:
        """Compare a text with the training text."""
        if self._stopped.is_set() or voice.novelty or not voice.raw:
            return
        from nexus_tui.data.corpus import CorpusError

        try:
            voice.novelty = self._originals(voice.part.run).figures(voice.raw)
        except (RunError, CorpusError) as error:
            voice.unknown = str(error)
        except Exception as error:  # the thread has nobody else to tell
            voice.unknown = f"{type(error).__name__}: {error}"
        voice.change()

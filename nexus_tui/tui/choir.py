"""Several texts written by one thread, so that all of a group grow beside each other."""

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
    from nexus_tui.training.sampling import Piece
    from nexus_tui.tui.seats import Continues

TURN = 8
"""Tokens that the texts of a checkpoint gain before it is another one's turn."""


class _StoppedError(Exception):
    """Raised where a text sleeps or reads its prompt, to leave it."""


def arranged(rows: Sequence[Sequence[Voice]], seats: Seats) -> list[list[Voice]]:
    """Groups to write, one after another: all at once if all checkpoints can be held open at once.

    Else column by column, so that each checkpoint is opened once.
    """
    checkpoints = [voice.part.checkpoint for row in rows for voice in row if voice.part.checkpoint]
    if seats.hold(checkpoints):
        return [[voice for row in rows for voice in row]]
    return [
        [row[index] for row in rows if index < len(row)] for index in range(max(map(len, rows), default=0))
    ]


class Choir:
    """Writes groups of voices in order, and works out the novelty of each when it has ended.

    The voices of a checkpoint are written together, a token of each in one step of the model; the checkpoints
    of a group take turns.

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

    def _write(self, group: Sequence[Voice]) -> None:
        sections: dict[str, list[Voice]] = {}
        for voice in group:
            assert voice.part.checkpoint is not None
            sections.setdefault(str(voice.part.checkpoint.path), []).append(voice)
        written = [(voices, self._texts(voices)) for voices in sections.values()]
        while written:
            written = [(voices, texts) for voices, texts in written if self._turn(voices, texts)]

    def _turn(self, voices: Sequence[Voice], texts: Iterator[None]) -> bool:
        """Let the voices of a checkpoint write a few tokens; whether there is more to write."""
        try:
            for _ in range(TURN):
                if self._stopped.is_set():
                    return self._end(voices, "stopped")
                if next(texts, self) is self:
                    return self._end(voices, "done")
        except _StoppedError:
            return self._end(voices, "stopped")
        except (CheckpointError, ValueError) as error:
            return self._end(voices, "failed", str(error))
        except MemoryError:
            few = "there is not enough memory to open this checkpoint; close something else first."
            return self._end(voices, "failed", few)
        except Exception as error:  # the thread has nobody else to tell
            return self._end(voices, "failed", f"{type(error).__name__}: {error}")
        return True

    def _end(self, voices: Sequence[Voice], state: State, error: str = "") -> bool:
        for voice in voices:
            if voice.live:
                voice.error = error
                voice.change(state)
        return False

    def _texts(self, voices: Sequence[Voice]) -> Iterator[None]:
        """Write the texts of one checkpoint; a step of all of them for each item."""
        for voice in voices:
            voice.change("opening")
        checkpoint = voices[0].part.checkpoint
        assert checkpoint is not None
        texts = self._seats.open(checkpoint).together(share=self._share, progress=self._awake)
        numbers: dict[int, Voice] = {}
        for voice in voices:
            try:
                numbers[_add(texts, voice)] = voice
            except ValueError as error:  # of this text alone
                self._end([voice], "failed", str(error))
        while True:
            began = time.perf_counter()
            pieces = texts.step()
            if not pieces:
                return
            seconds = time.perf_counter() - began
            for number, piece in pieces:
                self._take(numbers[number], piece, seconds)
            yield

    def _take(self, voice: Voice, piece: Piece | FloatingPointError, seconds: float) -> None:
        """Give a voice what was written in so many seconds."""
        if isinstance(piece, FloatingPointError):
            self._end([voice], "failed", str(piece))
            return
        old = voice.figures
        # Only its own turns count; the first token reads the prompt, so it is left out of the speed.
        spent = old.seconds + seconds if old.tokens else 0.0
        figures = Figures(old.tokens + 1, old.bytes + piece.bytes, old.nats - piece.logprob, spent)
        voice.add(piece.text, piece.token, figures)
        if piece.end == "stop text":
            voice.cut()
        if piece.end:
            self._end([voice], "done")
            self._judge(voice)

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


def _add(texts: Continues, voice: Voice) -> int:
    """Have a voice written with others; its number among them. Raises ValueError if it cannot be."""
    from nexus_tui.lm.drawing import Sampling

    settings = dict(voice.part.settings)
    stop = settings.pop("stop", ())
    return texts.add(voice.part.prompt, Sampling(**settings), stop=stop)

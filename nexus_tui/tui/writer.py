"""A text that comes from a checkpoint, in a thread of its own that never waits for the screen."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError
from nexus_tui.training.sampling import Piece, Sampler

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Novelty, Originals
    from nexus_tui.lm.generation import Sampling

State = Literal["opening", "reading", "writing", "done", "stopped", "failed"]
Share = float | Callable[[], float]


class _Writes(Protocol):
    """What a `Sampler` is to a writer; `token_bytes` has the bytes of every id."""

    @property
    def token_bytes(self) -> list[bytes]: ...

    def stream(
        self,
        prompt: str | bytes,
        sampling: Sampling,
        *,
        first_ids: Sequence[int] | None,
        stop: Sequence[str],
        share: Share,
        progress: Callable[[int, int], None],
    ) -> Iterator[Piece]: ...

    def read(
        self, text: str | bytes, *, share: Share, progress: Callable[[int, int], None]
    ) -> Iterator[Piece]: ...


Opener = Callable[[Checkpoint], _Writes]


class _StoppedError(Exception):
    """Raised amid a prompt to leave it."""


@dataclass(frozen=True)
class Figures:
    """What is known of what came so far, its prompt left out."""

    tokens: int = 0
    bytes: int = 0
    nats: float = 0.0
    """Sum of -logprob over the tokens, as the model had it before temperature and cuts."""
    seconds: float = 0.0
    """From the first token to the newest."""
    wait: float = 0.0
    """Seconds from the open checkpoint to the first token: the prompt being read."""

    @property
    def speed(self) -> float:
        """Tokens per second, the wait for the first left out; NaN before the second token."""
        return (self.tokens - 1) / self.seconds if self.tokens > 1 and self.seconds > 0 else math.nan

    @property
    def loss(self) -> float:
        """Mean of -logprob in nats per token; NaN before the first."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def bits_per_byte(self) -> float:
        """The same in bits per byte written, which compares checkpoints of different tokenizers."""
        return self.nats / self.bytes / math.log(2) if self.bytes else math.nan


class Source:
    """Pieces from one checkpoint. `start` it, `take` what is new whenever it suits, `stop` it at any time.

    The thread is no daemon, and ends at the next token, or amid the prompt, after `stop`: it keeps no program
    alive for long. A subclass says in `_pieces` what is asked of the checkpoint.
    """

    def __init__(self, checkpoint: Checkpoint, opener: Opener, share: Share) -> None:
        self.checkpoint = checkpoint
        self.state: State = "opening"
        self.error = ""
        """Why it failed, in one sentence."""
        self.figures = Figures()
        self.vocabulary: list[bytes] = []
        """The bytes of every id, once the checkpoint is open."""
        self.progress = (0, 0)
        """Tokens of the prompt that have been read, and how many there are."""
        self._opener, self._share = opener, share
        self._new: deque[Piece] = deque()  # appends and pops of a deque are atomic: no lock, no waiting
        self._stopped = threading.Event()
        self._left = False
        self._thread = threading.Thread(target=self._work, name="writer")

    @property
    def live(self) -> bool:
        """Whether more may come."""
        return self.state in ("opening", "reading", "writing")

    @property
    def busy(self) -> bool:
        """Whether anything is still being found out."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin. Returns at once."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread, at most so many seconds."""
        self._thread.join(timeout)

    def stop(self) -> None:
        """End at the next token. Returns at once."""
        self._stopped.set()

    def leave(self) -> None:
        """The same, and nobody wants to know anything of the text any more."""
        self._left = True
        self.stop()

    def take(self) -> list[Piece]:
        """The pieces that came since the last call."""
        return [self._new.popleft() for _ in range(len(self._new))]

    def _work(self) -> None:
        try:
            self._stream()
        except _StoppedError:
            self.state = "stopped"
        except (CheckpointError, ValueError, FloatingPointError) as error:
            self._fail(str(error))
        except MemoryError:
            self._fail("there is not enough memory for this checkpoint and text; close something else first.")
        except Exception as error:  # the thread has nobody else to tell
            self._fail(f"{type(error).__name__}: {error}")

    def _pieces(self, sampler: _Writes) -> Iterator[Piece]:
        raise NotImplementedError

    def _fail(self, sentence: str) -> None:
        self.error = sentence
        self.state = "failed"

    def _reading(self, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        self.progress = (done, total)

    def _stream(self) -> None:
        sampler = self._opener(self.checkpoint)
        self.vocabulary = sampler.token_bytes
        self.state = "reading"
        asked = time.perf_counter()
        first = 0.0
        for piece in self._pieces(sampler):
            now = time.perf_counter()
            first = first or now
            old = self.figures
            self._new.append(piece)
            self.figures = Figures(
                old.tokens + 1, old.bytes + piece.bytes, old.nats - piece.logprob, now - first, first - asked
            )
            self.state = "writing"
            if self._stopped.is_set():
                break
        self.state = "stopped" if self._stopped.is_set() else "done"


class Writer(Source):
    """One text that a checkpoint writes; afterwards, what of it is copied from the text it was trained on.

    Args:
        checkpoint: what writes.
        prompt: what it continues.
        settings: the arguments of `Sampling`.
        opener: opens the checkpoint.
        first_ids: tokens of an earlier text that stand between the prompt and what is written now.
        first_bytes: their bytes.
        stop: texts at which it ends.
        share: of one core, the most that it uses.
        originals: gives the training text, or raises one sentence; None compares with nothing.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        prompt: str | bytes,
        settings: Mapping[str, Any],
        opener: Opener = Sampler.open,
        *,
        first_ids: Sequence[int] = (),
        first_bytes: bytes = b"",
        stop: Sequence[str] = (),
        share: Share = 1.0,
        originals: Callable[[], Originals] | None = None,
    ) -> None:
        super().__init__(checkpoint, opener, share)
        self.prompt = prompt
        self.settings = dict(settings)
        self.novelty: Novelty | None = None
        self.no_novelty = ""
        """Why there is none, in one sentence."""
        self._first_ids, self._stop, self._originals = tuple(first_ids), tuple(stop), originals
        self._written = bytearray(first_bytes)

    def _work(self) -> None:
        super()._work()
        if self._originals is None or self._left or self.state == "failed" or not self._written:
            return
        try:
            self.novelty = self._originals().figures(bytes(self._written))
        except Exception as error:  # a figure that cannot be had, and why; the text stands
            self.no_novelty = str(error) or type(error).__name__

    def _pieces(self, sampler: _Writes) -> Iterator[Piece]:
        from nexus_tui.lm.generation import Sampling

        pieces = sampler.stream(
            self.prompt,
            Sampling(**self.settings),
            first_ids=self._first_ids,
            stop=self._stop,
            share=self._share,
            progress=self._reading,
        )
        for piece in pieces:
            self._written += piece.token
            yield piece


class Reader(Source):
    """A given text, token by token, with what a checkpoint thinks of it."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        text: str | bytes,
        opener: Opener = Sampler.open,
        *,
        share: Share = 1.0,
    ) -> None:
        super().__init__(checkpoint, opener, share)
        self._text = text

    def _pieces(self, sampler: _Writes) -> Iterator[Piece]:
        return sampler.read(self._text, share=self._share, progress=self._reading)

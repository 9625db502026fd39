"""A text being written by a checkpoint, in a thread of its own that never waits for the screen."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError
from nexus_tui.training.sampling import Piece, Sampler

if TYPE_CHECKING:
    from nexus_tui.lm.generation import Sampling

State = Literal["opening", "writing", "done", "stopped", "failed"]


class _Writes(Protocol):
    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]: ...


@dataclass(frozen=True)
class Figures:
    """What is known of the text so far, its prompt left out."""

    tokens: int = 0
    bytes: int = 0
    nats: float = 0.0
    """Sum of -logprob over the tokens, as the model had it before temperature and cuts."""
    seconds: float = 0.0
    """From the first token to the newest."""

    @property
    def speed(self) -> float:
        """Tokens per second; NaN before the second token."""
        return (self.tokens - 1) / self.seconds if self.tokens > 1 and self.seconds > 0 else math.nan

    @property
    def loss(self) -> float:
        """Mean of -logprob in nats per token; NaN before the first."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def bits_per_byte(self) -> float:
        """The same in bits per byte written, which compares checkpoints of different tokenizers."""
        return self.nats / self.bytes / math.log(2) if self.bytes else math.nan


class Writer:
    """One text from one checkpoint. `start` it, `take` what is new whenever it suits, `stop` it at any time.

    The thread is no daemon, and ends at the next token after `stop`: it keeps no program alive for long.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        prompt: str,
        settings: Mapping[str, Any],
        opener: Callable[[Checkpoint], _Writes] = Sampler.open,
    ) -> None:
        self.checkpoint = checkpoint
        self.prompt = prompt
        self.settings = dict(settings)
        self.state: State = "opening"
        self.error = ""
        """Why it failed, in one sentence."""
        self.figures = Figures()
        self._opener = opener
        self._new: deque[Piece] = deque()  # appends and pops of a deque are atomic: no lock, no waiting
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, name="writer")

    @property
    def live(self) -> bool:
        """Whether more may come."""
        return self.state in ("opening", "writing")

    def start(self) -> None:
        """Begin. Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End at the next token. Returns at once."""
        self._stopped.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread, at most so many seconds."""
        self._thread.join(timeout)

    def take(self) -> list[Piece]:
        """The pieces that came since the last call."""
        return [self._new.popleft() for _ in range(len(self._new))]

    def _write(self) -> None:
        try:
            self._stream()
        except (CheckpointError, ValueError, FloatingPointError) as error:
            self._fail(str(error))
        except MemoryError:
            self._fail("there is not enough memory to open this checkpoint; close something else first.")
        except Exception as error:  # the thread has nobody else to tell
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, sentence: str) -> None:
        self.error = sentence
        self.state = "failed"

    def _stream(self) -> None:
        sampler = self._opener(self.checkpoint)
        from nexus_tui.lm.generation import Sampling

        first = 0.0
        for piece in sampler.stream(self.prompt, Sampling(**self.settings)):
            now = time.perf_counter()
            first = first or now
            old = self.figures
            self._new.append(piece)
            self.figures = Figures(
                old.tokens + 1, old.bytes + piece.bytes, old.nats - piece.logprob, now - first
            )
            self.state = "writing"
            if self._stopped.is_set():
                break
        self.state = "stopped" if self._stopped.is_set() else "done"

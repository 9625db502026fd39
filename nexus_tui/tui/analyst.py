"""What takes long, worked out one after the other in a thread of its own that never waits for the screen."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import RunError
from nexus_tui.tui.safe import plain

Progress = Callable[[int, int], None]
"""Told how much of how much is done; raises to leave the work."""


class _StoppedError(Exception):
    """Raised between two pieces of work to leave it."""


@dataclass(frozen=True)
class Job:
    """Something to work out."""

    key: Hashable
    """Names the result: equal keys have equal results."""
    words: str
    """What is being done, for the screen, such as `C: token losses`."""
    work: Callable[[Progress], Any]
    unit: str = "windows"
    """What progress counts."""


class Analyst:
    """Takes jobs, works them out in order, and keeps what came out while the program runs.

    `ask` and `cancel` return at once; the screen looks at `revision` and `news` when it suits. The thread is
    no daemon: it ends when nothing is left to do, or at the next progress after `cancel`.
    """

    def __init__(self) -> None:
        self.revision = 0
        """Another number whenever a job ended."""
        self._results: dict[Hashable, Any] = {}
        self._failures: dict[Hashable, str] = {}
        self._waiting: deque[Job] = deque()
        self._now: Job | None = None
        self._far = ""
        self._turn = 0
        """Work begun before the last `cancel` belongs to an earlier turn, and leaves."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def result(self, key: Hashable) -> Any:
        """What came out, None if nothing has yet."""
        return self._results.get(key)

    def failure(self, key: Hashable) -> str:
        """Why nothing came out, in one sentence; empty if it did not fail."""
        return self._failures.get(key, "")

    def knows(self, key: Hashable) -> bool:
        """Whether a job has ended, one way or the other."""
        return key in self._results or key in self._failures

    @property
    def live(self) -> bool:
        """Whether there is anything to do."""
        return self._now is not None or bool(self._waiting)

    @property
    def news(self) -> str:
        """What is done now and how far it is, in a few words; empty if nothing is."""
        now, waiting = self._now, len(self._waiting)
        if now is None:
            return "begins" if waiting else ""
        more = f"; {waiting} more to come" if waiting else ""
        return f"{now.words}{self._far}{more}"

    def doing(self, key: Hashable) -> bool:
        """Whether a job waits or is being done."""
        now = self._now
        return (now is not None and now.key == key) or any(job.key == key for job in tuple(self._waiting))

    def ask(self, *jobs: Job) -> None:
        """Do these, in order, unless they are known or asked for already."""
        with self._lock:
            for job in jobs:
                if not self.knows(job.key) and not self.doing(job.key):
                    self._waiting.append(job)
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._work, args=(self._turn,), name="analyst")
                self._thread.start()

    def put(self, key: Hashable, result: Any) -> None:
        """Keep a result that was had elsewhere."""
        self._results[key] = result
        self.revision += 1

    def forget(self, key: Hashable) -> None:
        """Let a job that failed be asked for again."""
        self._failures.pop(key, None)

    def cancel(self) -> bool:
        """Drop everything that is not done. Whether there was anything."""
        with self._lock:
            was = self.live
            self._waiting.clear()
            self._now, self._thread, self._turn = None, None, self._turn + 1
        if was:
            self.revision += 1
        return was

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread, at most so many seconds."""
        if thread := self._thread:
            thread.join(timeout)

    def _work(self, turn: int) -> None:
        while True:
            with self._lock:
                if turn != self._turn:
                    return
                if not self._waiting:
                    self._now = self._thread = None
                    return
                job = self._now = self._waiting.popleft()
                self._far = ""
            result, failure = self._try(job, turn)
            with self._lock:
                if turn != self._turn:  # cancelled: what came out all the same is not wanted
                    return
                if failure:
                    self._failures[job.key] = failure
                else:
                    self._results[job.key] = result
                self.revision += 1

    def _try(self, job: Job, turn: int) -> tuple[Any, str]:
        from nexus_tui.config import ConfigError
        from nexus_tui.data.corpus import CorpusError

        def progress(done: int, total: int) -> None:
            if turn != self._turn:
                raise _StoppedError
            self._far = f", {done:,} of {total:,} {job.unit}"

        try:
            return job.work(progress), ""
        except _StoppedError:
            return None, ""
        except (RunError, CheckpointError, ConfigError, CorpusError, ValueError) as error:
            return None, plain(str(error))
        except MemoryError:
            return None, "There is not enough memory for this; close something else first."
        except Exception as error:  # the thread has nobody else to tell
            return None, plain(f"{type(error).__name__}: {error}")

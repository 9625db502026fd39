"""Reads runs in a thread: summaries for the list, and whole records of runs that are about to be shown."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable

from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs


class Fetcher:
    """Takes runs whose journals are to be read. The loop asks and takes; nothing of a run is shared.

    The thread is no daemon: it ends when nothing is left to do, or after the run that it reads now.
    """

    def __init__(self, store: Runs) -> None:
        self.wake: Callable[[], object] = lambda: None
        """Called in the thread when a whole record is there to be taken."""
        self._store = store
        self._waiting: deque[tuple[Run, bool]] = deque()
        """With whether the whole record is wanted."""
        self._wanted: set[Run] = set()
        """Those of whom it is, until they are taken."""
        self._done: deque[tuple[Run, Run | None]] = deque()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether anything is being read, or waits to be taken."""
        return self._thread is not None or bool(self._done)

    def summarise(self, runs: Iterable[Run]) -> None:
        """Have the summaries of these read, in this order, after what was asked for before."""
        self._ask(*((run, False) for run in runs))

    def open(self, run: Run) -> None:
        """Have the whole record of a run read, before anything else that waits."""
        if run not in self._wanted:
            self._wanted.add(run)
            self._ask((run, True))

    def take(self) -> bool:
        """Give the runs what was read of them. Whether there was anything."""
        news = bool(self._done)
        while self._done:
            run, read = self._done.popleft()
            if read:
                self._wanted.discard(run)
                run.adopt(read)
            else:
                run.touch()
        return news

    def close(self) -> None:
        """Read nothing more; what was read is kept for the next start."""
        with self._lock:
            self._waiting.clear()
        if thread := self._thread:
            thread.join()
        self._store.save_summaries()

    def _ask(self, *wishes: tuple[Run, bool]) -> None:
        with self._lock:
            for run, whole in wishes:
                (self._waiting.appendleft if whole else self._waiting.append)((run, whole))
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="fetch")
                self._thread.start()

    def _work(self) -> None:
        kept = True
        while True:
            with self._lock:
                if not self._waiting and kept:
                    self._thread = None
                    return
                run, whole = self._waiting.popleft() if self._waiting else (None, False)
            if run is None:
                self._store.save_summaries()
                kept = True
                continue
            read, kept = Run(run.folder), False
            with contextlib.suppress(Exception):  # whoever looks at the run meets it again, and says so
                read.read()
                if self._store.summaries:
                    self._store.summaries.put(read)
            self._done.append((run, read if whole else None))
            if whole:
                self.wake()

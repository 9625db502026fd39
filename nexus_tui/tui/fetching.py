"""Reads runs in a thread: summaries for the list, and whole records of runs that are about to be shown."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs

Work = Callable[[], Callable[[], object]]
"""What the thread does; it gives what the loop does with it."""


class Fetcher:
    """Takes what is to be read. The loop asks and takes; nothing of a run is shared.

    The thread is no daemon: it ends when nothing is left to do, or soon after `close`.
    """

    def __init__(self, store: Runs) -> None:
        self.wake: Callable[[], object] = lambda: None
        """Called in the thread when a whole record is there to be taken."""
        self._store = store
        self._waiting: deque[Work] = deque()
        self._done: deque[Callable[[], object]] = deque()
        self._wanted: set[Run] = set()
        """Runs whose whole record is wanted, until they are taken."""
        self._asked: set[str] = set()
        """Names of what may be other tools' runs, likewise."""
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether anything is being read, or waits to be taken."""
        return self._thread is not None or bool(self._done)

    @property
    def left(self) -> int:
        """How much waits to be read."""
        return len(self._waiting)

    def summarise(self, runs: Iterable[Run]) -> None:
        """Have the summaries of these read, in this order, after what was asked for before."""
        self._ask([partial(self._read, run, False) for run in runs])

    def open(self, run: Run) -> None:
        """Have the whole record of a run read, before anything else that waits."""
        if run not in self._wanted:
            self._wanted.add(run)
            self._ask([partial(self._read, run, True)], first=True)

    def find(self, entries: Mapping[str, int]) -> None:
        """Have entries of the folder opened that may be other tools' runs, as `Runs.unopened` has them."""
        new = {name: changed for name, changed in entries.items() if name not in self._asked}
        self._asked.update(new)
        self._ask([partial(self._find, name, changed) for name, changed in new.items()])

    def take(self) -> bool:
        """Give the runs what was read of them. Whether there was anything."""
        news = bool(self._done)
        while self._done:
            self._done.popleft()()
        return news

    def close(self) -> None:
        """Read nothing more, not even to the end; what was read is kept for the next start."""
        self._closed = True
        with self._lock:
            self._waiting.clear()
        if thread := self._thread:
            thread.join()
        self._store.save_summaries()

    def _ask(self, work: list[Work], first: bool = False) -> None:
        with self._lock:
            (self._waiting.extendleft if first else self._waiting.extend)(work)
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
                work = self._waiting.popleft() if self._waiting else None
            if work:
                self._done.append(work())
                kept = False
                if self._wanted:
                    self.wake()
            else:
                self._store.save_summaries()
                kept = True

    def _read(self, run: Run, whole: bool) -> Callable[[], object]:
        read = Run(run.folder)
        with contextlib.suppress(Exception):  # whoever looks at the run meets it again, and says so
            read.read(lambda: self._closed)
            if self._store.summaries:
                self._store.summaries.put(read)
        return partial(self._give, run, read) if whole else run.touch

    def _give(self, run: Run, read: Run) -> None:
        self._wanted.discard(run)
        run.adopt(read)

    def _find(self, name: str, changed: int) -> Callable[[], object]:
        run = self._store.open_foreign(name)
        if run:
            with contextlib.suppress(Exception):  # as above
                _ = run.summary  # the list asks for it next
        return partial(self._put, name, changed, run)

    def _put(self, name: str, changed: int, run: Run | None) -> None:
        self._asked.discard(name)
        self._store.put_foreign(name, changed, run)

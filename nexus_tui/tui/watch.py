"""The one place that looks at the disk: often at what is alive, rarely at the rest, and never for nothing."""

import contextlib
import os
import time
from collections.abc import Callable

from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs

IDLE = 2.0
"""Seconds between looks at the folder."""

_Signature = frozenset[tuple[str, int, int, bool]]


class Watcher:
    """Keeps the runs of a folder up to date. `tick` is called all the time and mostly does nothing."""

    def __init__(self, store: Runs, clock: Callable[[], float] = time.monotonic) -> None:
        self.runs: list[Run] = []
        """Every run of the folder, newest journal first."""
        self._store = store
        self._clock = clock
        self._seen: _Signature | None = None
        self._looked = -IDLE

    def tick(self, *others: Run | None) -> bool:
        """Look if it is time; `others` are runs from elsewhere to watch too. True if anything changed."""
        changed = False
        if self._clock() - self._looked >= IDLE:
            changed = self._look_at_folder(others)
        for run in {*self.runs, *others}:
            if run is not None and run.holder:
                changed |= run.refresh()
        return changed

    def look(self) -> bool:
        """Look at everything now."""
        self._seen = None
        return self._look_at_folder(())

    def _look_at_folder(self, others: tuple[Run | None, ...]) -> bool:
        self._looked = self._clock()
        changed = False
        for run in {*others, *self.runs}:
            if run is not None and (run.foreign or run not in self.runs):
                changed |= run.refresh()
        signature = self._signature()
        if signature == self._seen:
            return changed
        self._seen = signature
        before = [(run, run.revision) for run in self.runs]
        self.runs = self._store.refresh()
        return changed or before != [(run, run.revision) for run in self.runs]

    def _signature(self) -> _Signature:
        """What tells that nothing happened: time and size of each journal, and whether it has a lock.

        Of what is no run of ours, its own time and size.
        """
        found = set()
        with contextlib.suppress(OSError), os.scandir(self._store.folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    own = entry.stat()
                    found.add((entry.name, own.st_mtime_ns, own.st_size, False))
                with contextlib.suppress(OSError):
                    stat = os.stat(os.path.join(entry.path, "journal.jsonl"))  # noqa: PTH116, PTH118
                    held = os.path.exists(os.path.join(entry.path, "lock"))  # noqa: PTH110, PTH118
                    found.add((entry.name, stat.st_mtime_ns, stat.st_size, held))
        return frozenset(found)

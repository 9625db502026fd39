"""The one place that looks at the disk: often at what is alive, rarely at the rest, and never for nothing."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from nexus_tui.runs.reading import JOURNAL, Stamp, stamp
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs
from nexus_tui.tui.fetching import Fetcher

IDLE = 2.0
"""Seconds from one round of looks at all runs to the next, where a round does not take longer."""
A_TICK = 128
"""Runs that are looked at in one tick: of thousands, each in its turn, so that no tick takes long."""
AT_FIRST, AT_ONCE = 4 << 20, 1 << 18
"""Bytes of journals that are read without a thread, at a look at everything and in a tick."""
OTHERS = 8
"""Other tools' runs that are read without a thread at a look at everything."""
SMALL = 1 << 20
"""A journal of no more bytes is read at once when its run is shown: 10 ms. Others are read in a thread."""


class Watcher:
    """Keeps the runs of a folder up to date. `tick` is called all the time and mostly does nothing."""

    def __init__(self, store: Runs, clock: Callable[[], float] = time.monotonic) -> None:
        self.runs: list[Run] = []
        """Every run of the folder, newest journal first."""
        self.fetcher = Fetcher(store)
        self._store = store
        self._clock = clock
        self._began = -IDLE
        """When the present round of looks began."""
        self._round: deque[Run] = deque()
        """Runs that are still to be looked at in it."""
        self._seen: dict[Run, tuple[Stamp, Stamp]] = {}
        """What told of each run of ours that nothing happened: time and size of its folder and journal."""
        self._live: set[Run] = set()

    def tick(self, *others: Run | None) -> bool:
        """Look if it is time; `others` are runs from elsewhere to watch too. True if anything changed."""
        changed = self.fetcher.take()
        if changed:
            self.runs = self._store.runs()
        if not self._round and self._clock() - self._began >= IDLE:
            changed |= self._begin_round(run for run in others if run is not None)
        news = [run for run in self._next() if self._look_at(run)]
        live = {run for run in {*self._live, *others} if run is not None and run.holder}
        for run in live.difference(news):
            changed |= run.refresh()
        self._live = {run for run in live if run.holder}
        if news:
            self.runs = self._store.runs()
            self._fill((run for run in news if not run.gone), AT_ONCE)
        return changed or bool(news)

    def look(self) -> bool:
        """Look at everything now."""
        changed = self.find()
        self.fill()
        return changed

    def find(self, named: str = "") -> bool:
        """Look at everything now, but read nothing that is not known yet: `fill` does.

        Of other tools' runs, which are read when they are found, only some, and the one that is `named`.
        """
        before = [(run, run.revision) for run in self.runs]
        self._began = self._clock()
        self._round.clear()
        self.runs = self._store.refresh(OTHERS)
        if named in self._store.unopened:
            changed = self._store.unopened[named]
            self._store.put_foreign(named, changed, self._store.open_foreign(named))
            self.runs = self._store.runs()
        self._seen = {run: (stamp(run.folder), run.signature.journal) for run in self.runs}
        self._live = {run for run in self.runs if run.holder}
        return before != [(run, run.revision) for run in self.runs]

    def fill(self) -> None:
        """Have read what the list needs and is not known: little of it now, the rest in a thread."""
        self._fill(self.runs, AT_FIRST)
        self.fetcher.find(self._store.unopened)

    def at_hand(self, run: Run) -> bool:
        """Whether a run can be shown at once. If not, it is being read, and a later tick brings it."""
        if run.is_read or run.size <= SMALL:
            return True
        self.fetcher.open(run)
        return False

    def close(self) -> None:
        """Look no more, and keep for the next start what is known."""
        if summaries := self._store.summaries:
            for run in self.runs:
                if run.is_read and not run.foreign:
                    summaries.put(run)
        self.fetcher.close()

    def _begin_round(self, others: Iterable[Run]) -> bool:
        self._began = self._clock()
        changed = self._store.find_new(0)
        self.fetcher.find(self._store.unopened)
        if changed:
            self.runs = self._store.runs()
            self._seen = {run: self._seen[run] for run in self.runs if run in self._seen}
        known = set(self.runs)
        self._round.extend([*self.runs, *(run for run in others if run not in known)])
        return changed

    def _next(self) -> Iterable[Run]:
        return [self._round.popleft() for _ in range(min(A_TICK, len(self._round)))]

    def _look_at(self, run: Run) -> bool:
        """Whether anything about a run has changed since the last look at it."""
        if run.foreign:
            return run.refresh()
        seen, before = (stamp(run.folder), stamp(f"{run.folder}/{JOURNAL}")), self._seen.get(run)
        if before == seen:
            return False
        self._seen[run] = seen
        changed = run.refresh() or before is None
        if run.holder:
            self._live.add(run)
        return changed

    def _fill(self, runs: Iterable[Run], bytes: int) -> None:
        """Read what the list needs of these and is not known: so many bytes now, the rest in a thread."""
        later = []
        for run in runs:
            if run.holder and self.at_hand(run):
                run.read()
            elif not run.summarised:
                bytes -= run.size
                if bytes >= 0 and self._store.summaries:
                    self._store.summaries.put(Run(run.folder))
                    run.touch()
                else:
                    later.append(run)
        self.fetcher.summarise(later)

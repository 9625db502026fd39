"""The list of runs as data: what is known of each, what a filter asks, and what each row says."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from nexus_tui.runs.filter import Facts, Filter, FilterError, parse, settings_of
from nexus_tui.runs.run import Run
from nexus_tui.tui.listing import Row
from nexus_tui.tui.run_order import Listed
from nexus_tui.tui.run_row import age_of, cells
from nexus_tui.tui.theme import Series


class RunList:
    """Keeps what was worked out for a run until the run changes, so that thousands of them cost little."""

    def __init__(self) -> None:
        self.all: list[Listed] = []
        """Every run, one's own first."""
        self._rows: dict[str, tuple[object, Row]] = {}

    def gather(self, own: Iterable[Run], shipped: Iterable[Run], now: float, pins: Iterable[str]) -> None:
        """Take the runs as they are; `now` in epoch seconds, `pins` names of runs."""
        pinned = frozenset(pins)
        self.all = [_listed(run, now, pinned) for run in own]
        taken = {listed.name for listed in self.all}
        for run in shipped:
            listed = _listed(run, now, pinned)
            self.all.append(replace(listed, shipped=True, hidden=listed.name in taken))

    def rows(self, shown: Sequence[Listed], now: float, mark: Callable[[Listed], Series | None]) -> list[Row]:
        """A row a run; those that read as before are the same objects."""
        kept, self._rows = self._rows, {}
        for listed in shown:
            facts = listed.facts
            age, sign = age_of(facts.summary, now), mark(listed)
            key = (listed.run.revision, facts.state, facts.pinned, age, sign)
            before = kept.get(listed.id)
            if before is None or before[0] != key:
                row = Row(listed.id, cells(facts.summary, facts.state, age, sign, facts.pinned))
                before = (key, row)
            self._rows[listed.id] = before
        return [self._rows[listed.id][1] for listed in shown]

    def settings(self) -> list[str]:
        """The dotted keys of all configurations."""
        return settings_of(listed.facts.summary.config for listed in self.all)


def _listed(run: Run, now: float, pinned: frozenset[str]) -> Listed:
    summary = run.summary
    state = "recorded" if summary.kind == "recorded" else run.state
    return Listed(run, Facts(summary, state, now, summary.name in pinned))


class Wanted:
    """The filter while it is written: what cannot be read yet leaves in force what could be."""

    def __init__(self, text: str = "") -> None:
        self.text = ""
        self.error: FilterError | None = None
        """What is wrong with the text; None if nothing is."""
        self.filter = Filter()
        """What is in force."""
        self.write(text, None)

    def write(self, text: str, settings: Sequence[str] | None) -> None:
        """Take another text; `settings` as `parse` takes them."""
        self.text = text.strip()
        try:
            self.filter, self.error = parse(text, settings), None
        except FilterError as error:
            # What stood there as a word was the beginning of what is wrong now, and is not looked for.
            self.filter, self.error = self.filter.without_word_at(error.start), error

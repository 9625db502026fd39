"""The list of runs as data: what is known of each, what a filter asks, and what each row says."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nexus_tui.runs.filter import KEYS, Facts, Filter, FilterError, Part, facts, parse, parts, settings_of
from nexus_tui.runs.run import Run
from nexus_tui.tui.listing import Cell, Row
from nexus_tui.tui.run_order import Listed
from nexus_tui.tui.run_row import age_of, cells
from nexus_tui.tui.theme import Series


class RunList:
    """Keeps what was worked out for a run until the run changes, so that thousands of them cost little."""

    def __init__(self) -> None:
        self.all: list[Listed] = []
        """Every run, one's own first."""
        self.by_id: dict[str, Listed] = {}
        self._known: dict[str, tuple[object, Listed]] = {}
        self._rows: dict[str, tuple[Listed, Series | None, Row]] = {}

    def gather(self, own: Iterable[Run], shipped: Iterable[Run], minute: int, pins: Iterable[str]) -> None:
        """Take the runs as they are now, `minute` minutes after the epoch; `pins` are names of runs."""
        before, self._known = self._known, {}
        pinned = frozenset(pins)
        self.all = [self._listed(run, minute, run.name in pinned, before) for run in own]
        taken = {listed.name for listed in self.all}
        self.all += [
            self._listed(run, minute, run.name in pinned, before, True, run.name in taken) for run in shipped
        ]
        self.by_id = {listed.id: listed for listed in self.all}

    def _listed(
        self, run: Run, minute: int, pinned: bool, before: dict[str, tuple[object, Listed]], *of: bool
    ) -> Listed:
        """What is known of a run: the same object as before where nothing is new."""
        id, key = str(run.folder), (run.revision, minute, pinned, of)
        known = before.get(id)
        if known is None or known[0] != key:
            known = (key, Listed(run, facts(run, 60.0 * minute, pinned), *of))
        self._known[id] = known
        return known[1]

    def rows(self, shown: Sequence[Listed], mark: Callable[[Listed], Series | None]) -> list[Row]:
        """A row a run, written when it is seen; those that read as before are the same objects."""
        before, self._rows = self._rows, {}
        for listed in shown:
            sign, known = mark(listed), before.get(listed.id)
            if known is None or known[0] is not listed or known[1] != sign:
                known = (listed, sign, Row(listed.id, _Cells(listed.facts, sign)))
            self._rows[listed.id] = known
        return [self._rows[listed.id][2] for listed in shown]

    def settings(self) -> list[str]:
        """The dotted keys of all configurations."""
        return settings_of(listed.facts.summary.config for listed in self.all)


class _Cells(Mapping[str, Cell]):
    """The cells of a row, worked out when the first of them is asked for: most rows are never seen."""

    def __init__(self, facts: Facts, mark: Series | None) -> None:
        self._facts, self._mark = facts, mark
        self._made: dict[str, Cell] | None = None

    def _make(self) -> dict[str, Cell]:
        if self._made is None:
            known = self._facts
            age = age_of(known.summary, known.now)
            self._made = cells(known.summary, known.state, age, self._mark, known.pinned)
        return self._made

    def __getitem__(self, key: str) -> Cell:
        return self._make()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make())

    def __len__(self) -> int:
        return len(self._make())


class Wanted:
    """The filter while it is written: what cannot be read yet leaves in force what could be."""

    def __init__(self, text: str = "") -> None:
        self.text = ""
        self.error: FilterError | None = None
        """What is wrong with the text; None if nothing is."""
        self.filter = Filter()
        """What is in force."""
        self.keys = tuple(KEYS)
        """What may be asked for by name."""
        self.write(text, None)

    def write(self, text: str, settings: Sequence[str] | None) -> None:
        """Take another text; `settings` as `parse` takes them."""
        self.text = text.strip()
        self.keys = (*KEYS, *dict.fromkeys(key.rpartition(".")[2] for key in settings or ()))
        try:
            self.filter, self.error = parse(text, settings), None
        except FilterError as error:
            # What stood there as a word was the beginning of what is wrong now, and is not looked for.
            self.filter, self.error = self.filter.without_word_at(error.start), error

    @property
    def begun(self) -> Part | None:
        """The last word, if it may become a key."""
        last = [*parts(self.text)][-1:]
        if not last or last[0].op or last[0].quoted or len(last[0].value) < 2:
            return None
        return last[0] if any(key.startswith(last[0].value.casefold()) for key in self.keys) else None

    def of(self, runs: Sequence[Listed], writing: bool) -> list[Listed]:
        """The runs that are asked for. While it is written, a word of none of them may yet become a key."""
        shown = [each for each in runs if self.filter(each.facts)]
        if not shown and writing and (begun := self.begun):
            earlier = self.filter.without_word_at(begun.start)
            shown = [each for each in runs if earlier(each.facts)]
        return shown

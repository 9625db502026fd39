"""The order of the list of runs: pinned ones first, then what is trained, then by a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nexus_tui.tui.story import STATES

if TYPE_CHECKING:
    from nexus_tui.runs.filter import Facts
    from nexus_tui.runs.run import Run

USUAL = "age"
"""The column that the list is sorted by unless the user says otherwise."""


@dataclass(frozen=True)
class Listed:
    """A run with what the list knows of it."""

    run: Run
    facts: Facts
    shipped: bool = False
    """It came with the program, and stands below one's own."""
    hidden: bool = False
    """Another run has its name, by which marks and pins are kept."""

    @property
    def name(self) -> str:
        """The run's."""
        return self.facts.summary.name

    @property
    def id(self) -> str:
        """What its row is known by."""
        return str(self.run.folder)

    @property
    def alive(self) -> bool:
        """Whether somebody trains it."""
        return self.facts.state in ("training", "paused")


_STATES = {state: place for place, state in enumerate(STATES)}
_VALUES: dict[str, tuple[Callable[[Facts], Any], bool]] = {
    "state": (lambda f: _STATES.get(f.state), False),
    "name": (lambda f: f.summary.name.casefold(), False),
    "model": (lambda f: f.summary.preset.casefold() or None, False),
    "corpus": (lambda f: f.summary.corpus.casefold() or None, False),
    "step": (lambda f: f.summary.step, True),
    "val": (lambda f: f.summary.best_loss, False),
    "bits": (lambda f: f.summary.best_bits, False),
    "best": (lambda f: f.summary.best_step, True),
    "age": (lambda f: None if f.summary.last_active is None else -f.summary.last_active, False),
}
"""By column: what a run has there, None if nothing; and whether the greatest usually comes first."""

SORTED_BY = tuple(_VALUES)
"""The columns that the list can be sorted by."""


def falling(column: str, turned: bool) -> bool:
    """Whether the greatest come first; `turned` is the other way round than usual for the column."""
    return _VALUES[column][1] != turned


def ordered(runs: Sequence[Listed], column: str = USUAL, turned: bool = False) -> list[Listed]:
    """The runs in order. Those without a value come last, either way; equal ones as `USUAL` has them."""
    by_age = _by(runs, USUAL, False)
    found = _by(by_age, column, turned) if column != USUAL or turned else by_age
    return sorted(found, key=lambda each: (each.shipped, not each.facts.pinned, not each.alive))


def _by(runs: Sequence[Listed], column: str, turned: bool) -> list[Listed]:
    value, _ = _VALUES[column]
    known = [(value(each.facts), each) for each in runs]
    there = [pair for pair in known if pair[0] is not None]
    there.sort(key=lambda pair: pair[0], reverse=falling(column, turned))
    return [each for _, each in there] + [each for found, each in known if found is None]


def before(run: Listed, runs: Sequence[Listed]) -> list[Listed]:
    """The run that was active last before this one, if there is one, and this one."""
    alike = [each for each in _by(runs, USUAL, False) if each.shipped == run.shipped]
    at = next(place for place, each in enumerate(alike) if each.id == run.id)
    return [*alike[at + 1 : at + 2], run]

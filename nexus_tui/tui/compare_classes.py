"""Where the loss lives: by class of character, or by token."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from nexus_tui.analysis.breakdown import ClassLoss, TokenLoss, by_class, by_token
from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.tui import format
from nexus_tui.tui.analyst import Job
from nexus_tui.tui.compare_section import Section, missing
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.heading import bar
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import fit, plain

TOKENS = 40
"""Tokens that are listed, those that contribute most."""
_NAME, _SHARE, _APART = 23, 7, 9


class ClassesSection(Section):
    """A row a class, a column a checkpoint; at the end how the chosen two differ."""

    NAME: ClassVar[str] = "classes"
    LETTER: ClassVar[str] = "c"
    PAIRED: ClassVar[bool] = True
    VIEWS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._tokens = False

    def jobs(self, c: Comparing) -> list[Job]:
        """Every token's loss, that of the chosen two first."""
        return [c.token_job(place) for place in range(len(c.rows))]

    def toggle(self) -> None:
        """Between classes and tokens."""
        self._tokens = not self._tokens
        if self.c:
            self.draw(self.c, top=True)

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """The table of what is known."""
        known = {place: tokens for place in range(len(c.rows)) if (tokens := c.tokens(place))}
        lines = missing(c, self.jobs(c), width)
        if not known:
            return lines
        tables = {place: _table(tokens, self._tokens) for place, tokens in known.items()}
        if lines:
            lines.append(())
        return [*lines, *_rows(c, tables, width, self._tokens)]


@lru_cache(32)
def _table(tokens: TokenLosses, single: bool) -> dict[str, ClassLoss | TokenLoss]:
    """Rows by name, those that contribute most first."""
    if single:
        # Enough of them that what one checkpoint finds hard is there for the others too.
        return {token_name(each.token): each for each in by_token(tokens, 4 * TOKENS)}
    return {each.name: each for each in by_class(tokens)}


def token_name(token: bytes) -> str:
    """A token as it is written in a list: spaces and line breaks as signs that can be seen."""
    text = token.decode("utf-8", "backslashreplace")
    return plain(text.replace("\n", "↵").replace(" ", "␣"))


def _rows(
    c: Comparing, tables: dict[int, dict[str, ClassLoss | TokenLoss]], width: int, single: bool
) -> list[Line]:
    a, b = c.pair
    both = a in tables and b in tables
    cell = (width - _NAME - _SHARE - (_APART if both else 0)) // len(tables)
    cell = max(8, min(cell, 30))
    head: list[Span] = [
        (fit("token" if single else "class", _NAME) + fit("share", _SHARE - 2, True) + "  ", "muted")
    ]
    head += [(fit(f"{c.rows[place].title[0]} nats", cell), c.rows[place].title[1]) for place in tables]
    if both:
        head.append((fit(f"{c.rows[b].letter} − {c.rows[a].letter}", _APART, right=True), "muted"))
    first = next(iter(tables.values()))
    names = list(first)[:TOKENS] if single else list(first)
    most = max(
        (row.loss for table in tables.values() for name in names if (row := table.get(name))), default=1.0
    )
    lines: list[Line] = [tuple(head)]
    for name in names:
        spans: list[Span] = [
            (fit(name, _NAME), "text"),
            (fit(_share(first[name].share), _SHARE - 2, right=True) + "  ", "muted"),
        ]
        for place, table in tables.items():
            spans += _cell(table.get(name), most, cell, c.rows[place].color)
        if both:
            spans.append(_apart(tables[a].get(name), tables[b].get(name)))
        lines.append(tuple(spans))
    other = "classes" if single else "tokens"
    turn: Line = (("   ← → another pair", "muted"),) if len(c.rows) > 2 else ()
    lines += [(), (("t", "text!"), (f" by {other}", "muted"), *turn)]
    return lines


def _cell(row: ClassLoss | TokenLoss | None, most: float, width: int, color: str) -> Sequence[Span]:
    """A number and, where there is room, a bar."""
    number = format.loss(row.loss) if row else format.MISSING
    room = width - 9
    spans: list[Span] = [(f"{number:<7}", "text")]
    if room < 4 or row is None:
        return [*spans, (" " * (width - 7), "text")]
    return [*spans, *bar(row.loss / most, room, color), ("  ", "text")]


def _apart(a: ClassLoss | TokenLoss | None, b: ClassLoss | TokenLoss | None) -> Span:
    if a is None or b is None:
        return (fit(format.MISSING, _APART, right=True), "faint")
    apart = b.loss - a.loss
    role = "good" if apart < -5e-5 else "warn" if apart > 5e-5 else "muted"
    return (fit(format.delta(apart), _APART, right=True), role)


def _share(share: float) -> str:
    """Of all targets; what is rare is not nothing."""
    return "<1 %" if 0 < share < 0.005 else format.percent(share)

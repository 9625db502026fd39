"""`d` in the list of runs: how some runs are configured otherwise, and what came of it. Only what differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.table import Table
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from nexus_tui.runs.numbers import number
from nexus_tui.runs.settings import ConfigDifference
from nexus_tui.tui import format as fmt
from nexus_tui.tui.dialogs import Dialog
from nexus_tui.tui.run_order import Listed
from nexus_tui.tui.story import STATES
from nexus_tui.tui.theme import Series, glyphs

MOST = 4
"""As many runs stand beside each other."""
_GAP = 3
"""Blank cells between columns."""


class DifferenceDialog(Dialog[None]):
    """A column a run, a row a setting that is not the same for all; beneath, the results side by side."""

    CSS_PATH: ClassVar[CSSPathType | None] = ["dialogs.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [Binding("d,q,enter", "dismiss(None)", "back", show=False)]
    DEFAULT_CSS = """
    DifferenceDialog .panel { width: auto; min-width: 50; max-width: 96%; }
    DifferenceDialog Static { width: auto; height: auto; }
    DifferenceDialog .rows { margin-bottom: 1; }
    """

    def __init__(
        self, runs: Sequence[Listed], differences: Sequence[ConfigDifference], marks: Sequence[Series | None]
    ) -> None:
        super().__init__()
        self._runs, self._differences, self._marks = runs, differences, marks

    def compose(self) -> ComposeResult:
        """Title, table, results, how to leave."""
        with VerticalScroll(classes="panel"):
            yield Static(self.ink(("What is configured otherwise", "text!")), classes="title")
            yield Static(self._table(), classes="rows")
            yield Static(self.ink(("esc", "live!"), (" back", "muted")))

    def _table(self) -> Table:
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(no_wrap=True)
        keys = max([len(row.key) for row in self._differences] + [14])
        room = int(self.app.size.width * 0.96) - 6 - keys - _GAP
        for _ in self._runs:
            table.add_column(max_width=max(12, room // len(self._runs) - _GAP), overflow="fold")
        heads = [
            self.ink(*(((f"{mark.sign} ", mark.color),) if mark else ()), (run.name, "text!"))
            for run, mark in zip(self._runs, self._marks, strict=True)
        ]
        table.add_row("", *heads)
        for row in self._differences:
            table.add_row(self.ink((row.key, "muted")), *(self.ink(written(value)) for value in row.values))
        if not self._differences:
            table.add_row(self.ink(("no setting differs", "muted")))
        table.add_row()
        for title, values, role in results(self._runs):
            best = lowest(values) if role else None
            texts = [text for text, _ in values]
            if len(set(texts)) > 1 or role:
                table.add_row(
                    self.ink((title, "muted")),
                    *(self.ink((t, "best" if at == best else "text")) for at, t in enumerate(texts)),
                )
        return table


Result = tuple[str, list[tuple[str, float]], bool]
"""What is measured, and of each run how it is written and its number; whether the lowest one is the best."""


def results(runs: Sequence[Listed]) -> list[Result]:
    """What came of some runs. Losses are ranked only where a token is the same for all."""
    summaries = [run.facts.summary for run in runs]
    one_tokenizer = len({summary.tokenizer for summary in summaries}) == 1
    losses = [(fmt.loss(s.best_loss), number(s.best_loss)) for s in summaries]
    bits = [(fmt.loss(s.best_bits), number(s.best_bits)) for s in summaries]
    at = [f"{glyphs().star} {s.best_name}" if s.best_name else fmt.MISSING for s in summaries]
    states = [STATES.get(run.facts.state, ("?", run.facts.state, ""))[:2] for run in runs]
    return [
        ("state", [(" ".join(state), math.nan) for state in states], False),
        ("parameters", [(fmt.short(s.parameters or None), math.nan) for s in summaries], False),
        ("step", [(f"{s.step:,}", math.nan) for s in summaries], False),
        ("best val, nats", losses, one_tokenizer),
        ("bits/byte", bits, True),
        ("at step", [(text, math.nan) for text in at], False),
    ]


def lowest(values: Sequence[tuple[str, float]]) -> int | None:
    """Place of the lowest number; None if there are not two to compare, or if they are written alike."""
    finite = {at: value for at, (_, value) in enumerate(values) if math.isfinite(value)}
    if len({values[at][0] for at in finite}) < 2:
        return None
    return min(finite, key=lambda at: finite[at])


def written(value: Any) -> str:
    """A setting as it is shown."""
    if value is None:
        return glyphs().missing
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(written(each) for each in value)
    return str(value)

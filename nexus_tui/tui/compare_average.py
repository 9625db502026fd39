"""The average of all compared checkpoints as a contender: scored on the same windows, saved if wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from nexus_tui.tui import format, theme
from nexus_tui.tui.analyst import Job
from nexus_tui.tui.compare_pairs import ROLES
from nexus_tui.tui.compare_section import Section, later
from nexus_tui.tui.comparing import METHODS, Compared, Comparing
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import plain

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average


class AverageSection(Section):
    """Nothing is worked out here before `a` asks for it."""

    NAME: ClassVar[str] = "average"
    LETTER: ClassVar[str] = "a"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Literal["uniform", "ema"]] = []
        """The methods that were asked for, the newest last; of these checkpoints alone."""
        self._of: tuple[Compared, ...] = ()

    def _about(self, c: Comparing) -> None:
        """Other checkpoints have another average: nothing of it was asked for, but what is known is shown."""
        if c.rows != self._of:
            self._of = c.rows
            self.asked = [method for method in METHODS if c.average(method) is not None]

    def ask(self, c: Comparing) -> str:
        """Ask for the next method; why not, or nothing."""
        self._about(c)
        for method in METHODS:
            if method not in self.asked or c.analyst.failure(c.average_key(method)):
                self.asked = [*(m for m in self.asked if m != method), method]
                return ""
        return "Both averages were worked out; s saves the one under the cursor, else the better one."

    def jobs(self, c: Comparing) -> list[Job]:
        """What was asked for."""
        self._about(c)
        return [c.average_job(method) for method in self.asked]

    def found(self, c: Comparing) -> dict[str, Average]:
        """By method, those that were worked out."""
        self._about(c)
        return {method: found for method in METHODS if (found := c.average(method)) is not None}

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """What it is, and what came out."""
        self._about(c)
        lines: list[Line] = []
        for method in self.asked:
            lines += [*_contender(c, method, width), ()]
        left = [method for method in METHODS if method not in self.asked]
        if left:
            what = f"  averages the weights of all {len(c.rows)}, each counted alike, and scores the result"
            what += " on the same windows."
            if left[0] == "ema":
                what = "  averages them again as an exponential moving average: the newest counts most."
            lines += flow([("a", "text!"), (what, "muted")], width)
        if self.found(c):
            lines += flow(
                [("s", "text!"), ("  saves it as a checkpoint, its parents on record.", "muted")], width
            )
        return lines


def _contender(c: Comparing, method: str, width: int) -> list[Line]:
    title: Span = (f"{method} average", "text!")
    average = c.average(method)
    if average is None:
        if failure := c.analyst.failure(c.average_key(method)):
            return flow([title, (f": {plain(failure)}", "error")], width)
        return [(title, ("  ", "text"), *later(c))]
    figures = (
        f"  {format.loss(average.loss)} ± {format.loss(average.stderr)} nats/token"
        f"   {format.loss(average.bits_per_byte)} bits/byte"
    )
    lines: list[Line] = [(title, (figures, "text"))]
    for place, pair in enumerate(average.pairs):
        undecided = "cannot be told from it" if pair.blocks else "cannot be tested"
        verdict = undecided if pair.verdict == "undecided" else pair.verdict
        star = f" {theme.glyphs().star}" if place == c.best else "  "
        lines.append(
            (
                ("  against ", "muted"),
                c.rows[place].title,
                (star, "best"),
                (f" {verdict:<22}", ROLES[pair.verdict]),
                (f"{format.delta(pair.mean):>9}", "text"),
                (f"   {format.delta(pair.low)} to {format.delta(pair.high)}", "muted"),
            )
        )
    return lines

"""What the compare screen draws: checkpoints side by side, verdicts, and what was worked out so far."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from nexus_tui.runs.comparison import Comparison, Pair, Subject, compare
from nexus_tui.runs.run import Run
from nexus_tui.runs.token_losses import TokenLosses
from nexus_tui.tui import theme
from nexus_tui.tui.analyst import Analyst, Job, Progress
from nexus_tui.tui.lines import Span
from nexus_tui.tui.marks import Marked

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average
    from nexus_tui.analysis.inside import Inside
    from nexus_tui.analysis.movement import Movement

METHODS: tuple[Literal["uniform", "ema"], ...] = ("uniform", "ema")
"""How checkpoints are averaged, in the order in which they are offered."""


@dataclass(frozen=True)
class Compared:
    """One of the checkpoints: its letter, its colour and sign, and what is known of it."""

    marked: Marked
    subject: Subject
    color: str
    sign: str

    @property
    def letter(self) -> str:
        """`A` to `H`."""
        return self.marked.letter

    @property
    def span(self) -> Span:
        """Its letter, in its colour."""
        return (self.letter, f"{self.color}!")

    @property
    def title(self) -> Span:
        """Letter and sign, in its colour."""
        return (f"{self.letter} {self.sign}", f"{self.color}!")

    def key(self, kind: str) -> Hashable:
        """Names a result about this checkpoint: another one for other weights and another text."""
        subject = self.subject
        protocol = subject.evaluation.event.protocol if subject.evaluation else ""
        return (kind, subject.run.folder, subject.name, subject.sha256, protocol)


@dataclass
class Comparing:
    """Two to eight checkpoints, by place; results are None until the analyst has them."""

    rows: tuple[Compared, ...]
    analyst: Analyst
    pair: tuple[int, int] = (0, 1)
    """The two that are looked at together."""

    @cached_property
    def comparison(self) -> Comparison:
        """The verdicts; those of checkpoints whose tokens were scored rest on these too."""
        return compare([self._measured(row) for row in self.rows])

    def _measured(self, row: Compared) -> Subject:
        found: TokenLosses | None = self.analyst.result(row.key("tokens"))
        return replace(row.subject, measured=found) if found else row.subject

    # Who is better ---------------------------------------------------------------------------------------

    @cached_property
    def mixed(self) -> bool:
        """Whether tokenizers differ: then only bits per byte compare."""
        if any(pair.unit == "bits/byte" for pair in self.comparison.pairs):
            return True
        subjects = self.comparison.subjects
        runs = [s.run for s in subjects if s.run.setting("data.tokenizer")]
        kinds = {(run.setting("data.tokenizer"), run.setting("model.vocab_size")) for run in runs}
        protocols = {s.protocol for s in subjects}  # of one protocol, they have read the same tokens
        return len(kinds) > 1 and (len(protocols) > 1 or "" in protocols)

    @cached_property
    def unit(self) -> str:
        """What differences are in: those of one tokenizer in nats, others in bits per byte."""
        units = list(dict.fromkeys(pair.unit for pair in self.comparison.pairs if pair.blocks))
        return "; across tokenizers ".join(sorted(units, reverse=True)) or "nats/token"

    @cached_property
    def values(self) -> list[float]:
        """What ranks each; NaN if it is not known."""
        return [s.bits_per_byte if self.mixed else s.loss for s in self.comparison.subjects]

    @cached_property
    def best(self) -> int | None:
        """The place of the lowest that can be compared with most of the others; None if none has a loss.

        One that the test calls worse than another is not the best, whatever the figures on record.
        """
        beaten = {pair.a if pair.verdict == "better" else pair.b for pair in self._decided}
        finite = [place for place, value in enumerate(self.values) if math.isfinite(value)]
        standing = [place for place in finite if place not in beaten] or finite
        return min(standing, key=lambda place: (-self._peers(place), self.values[place]), default=None)

    @property
    def _decided(self) -> list[Pair]:
        return [pair for pair in self.comparison.pairs if pair.verdict in ("better", "worse")]

    @cached_property
    def foremost(self) -> tuple[int, int]:
        """The pair to look at first: the best and the lowest of the others, in the order of marking."""

        def order(place: int) -> tuple[bool, bool, float]:
            value = self.values[place]
            if self.best is None or place == self.best:
                return place != self.best, False, 0.0
            apart = self.against(self.best, place).verdict == "incomparable"
            return True, apart, value if math.isfinite(value) else math.inf

        first, second = sorted(range(len(self.rows)), key=order)[:2]
        return min(first, second), max(first, second)

    def _peers(self, place: int) -> int:
        others = (other for other in range(len(self.rows)) if other != place)
        return sum(self.against(place, other).verdict != "incomparable" for other in others)

    def against(self, a: int, b: int) -> Pair:
        """A pair of places: mean, interval and verdict are of b against a."""
        return self.comparison.pair(a, b)

    # What was worked out ---------------------------------------------------------------------------------

    def tokens(self, place: int) -> TokenLosses | None:
        """Its loss on every token."""
        found: TokenLosses | None = self.analyst.result(self.rows[place].key("tokens"))
        return found

    def inside(self, place: int) -> Inside | None:
        """What its layers hold."""
        found: Inside | None = self.analyst.result(self.rows[place].key("inside"))
        return found

    def movement(self, a: int, b: int) -> Movement | None:
        """How far the weights of b are from those of a."""
        found: Movement | None = self.analyst.result(self._movement_key(a, b))
        return found

    def average(self, method: str) -> Average | None:
        """The average of all of them."""
        found: Average | None = self.analyst.result(self.average_key(method))
        return found

    def _movement_key(self, a: int, b: int) -> Hashable:
        return ("movement", self.rows[a].key("weights"), self.rows[b].key("weights"))

    def average_key(self, method: str) -> Hashable:
        """Names the average of all of them."""
        return ("average", method, *(row.key("weights") for row in self.rows))

    def token_job(self, place: int) -> Job:
        """Work out its loss on every token."""
        row = self.rows[place]

        def work(progress: Progress) -> Any:
            from nexus_tui.analysis.token_losses import token_losses

            return token_losses(_own(row.subject), progress)

        return Job(row.key("tokens"), f"{row.letter}: scoring every token", work)

    def inside_job(self, place: int) -> Job:
        """Work out what its layers hold."""
        row = self.rows[place]

        def work(progress: Progress) -> Any:
            from nexus_tui.analysis.inside import inside

            return inside(_own(row.subject), progress)

        return Job(row.key("inside"), f"{row.letter}: looking inside", work)

    def movement_job(self, a: int, b: int) -> Job:
        """Work out how far b is from a."""
        first, second = self.rows[a], self.rows[b]

        def work(_: Progress) -> Any:
            from nexus_tui.analysis.movement import movement

            return movement(_own(first.subject), _own(second.subject))

        return Job(self._movement_key(a, b), f"{first.letter} and {second.letter}: weights", work)

    def average_job(self, method: Literal["uniform", "ema"]) -> Job:
        """Work out the average of all, and its loss."""
        rows = self.rows

        def work(progress: Progress) -> Any:
            from nexus_tui.analysis.average import average

            return average([_own(row.subject) for row in rows], method, progress=progress)

        return Job(self.average_key(method), f"{method} average: scoring", work)


def comparing(marked: Sequence[Marked], analyst: Analyst, palette: theme.Palette) -> Comparing:
    """The marked checkpoints, ready to be drawn. Raises RunError unless there are two to eight."""
    rows = []
    for one in marked:
        series = theme.series(palette, one.place)
        rows.append(Compared(one, Subject(one.run, one.name), series.color, series.sign))
    return Comparing(tuple(rows), analyst)


def _own(subject: Subject) -> Subject:
    """The same checkpoint of a record of its own: the screen's is read anew while a thread works."""
    return subject if subject.run.foreign else Subject(Run(subject.run.folder), subject.name)

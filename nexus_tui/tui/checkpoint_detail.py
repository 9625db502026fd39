"""Everything on record about one checkpoint, in a pane of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from nexus_tui.runs.averages import words
from nexus_tui.runs.journal import SavedEvent, local
from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_rows import Row, samples, tokens_seen
from nexus_tui.tui.copying import short_path
from nexus_tui.tui.flow import flow
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.lines_view import LinesView
from nexus_tui.tui.safe import plain

LABEL = 10
"""Cells of the column of labels."""


def describe(run: Run, row: Row, mark: Span | None, again: Span | None, width: int) -> list[Line]:
    """The lines about a checkpoint.

    `mark` is what hashing its files has shown, in place of its weights; `again`, what computing its loss
    anew has.
    """
    facts = [("weights", [mark] if mark else _weights(row)), *_facts(run, row)]
    if again:
        facts.insert(1, ("checked", [again]))
    lines = flow(_drawn(_title(row)), width)
    for label, spans in facts:
        lines += flow(_drawn(spans), width, (label, "muted"), LABEL)
    for sample in samples(run, row):
        text: list[Span] = [(plain(sample.prompt, "\n"), "text!"), (plain(sample.text, "\n"), "muted")]
        lines += [(), *flow(text, width)]
    return lines


def _drawn(spans: list[Span]) -> list[Span]:
    return [(spell(words), role) for words, role in spans]


def _title(row: Row) -> list[Span]:
    title: Span = (row.title, "text!")
    if row.best:
        return [title, (f"  {theme.glyphs().star} the true best", "best")]
    if row.evaluation is None:
        return [title, ("  never evaluated", "muted")]
    if not row.ranked or math.isnan(row.delta):
        return [title]
    tie = "; cannot be told from it" if row.tied else "; ties unknown" if row.tied is None else ""
    return [title, (f"  {format.delta(row.delta)} from the best{tie}", "muted")]


def _weights(row: Row) -> list[Span]:
    if row.checkpoint:
        resume = "can be resumed" if row.checkpoint.resumable else "no optimizer state: cannot be resumed"
        if row.checkpoint.weights_alone and not row.averaged:
            resume = "weights alone: an optimizer begins anew"
        return [(f"kept, {format.size(row.checkpoint.bytes)}", "text"), (f"; {resume}", "muted")]
    if row.damage:
        return [(plain(row.damage), "error")]
    return [(row.weights or "never saved", "muted")]


def _facts(run: Run, row: Row) -> Iterator[tuple[str, list[Span]]]:
    """Labels and what stands beside them, the most important first."""
    if row.evaluation:
        yield "loss", _loss(row.evaluation)
    if row.saved and row.averaged:
        yield "average", _average(run, row.saved)
    elif trained := _trained(run, row):
        yield "trained", trained
    if row.saved:
        saved = local(row.saved.time).strftime("%Y-%m-%d %H:%M")
        digest = f"; sha-256 {plain(row.saved.sha256[:12])}" if row.saved.sha256 else ""
        yield "saved", [(saved, "text"), (digest, "muted")]
        yield "path", [(plain(short_path(path_of(run, row))), "text")]
    if row.evaluation:
        protocol: list[Span] = [(plain(row.evaluation.event.protocol) or format.MISSING, "muted")]
        if not row.ranked:
            protocol.append((" is not the newest: this loss cannot be compared", "warn"))
        yield "protocol", protocol


def _loss(evaluation: Evaluation) -> list[Span]:
    error = "" if math.isnan(evaluation.stderr) else f" ± {format.loss(evaluation.stderr)}"
    windows = f" over {evaluation.event.windows:,} windows" if evaluation.event.windows else ""
    return [(f"{format.loss(evaluation.loss)}{error} nats/token", "text"), (windows, "muted")]


def _trained(run: Run, row: Row) -> list[Span]:
    tokens, spans = tokens_seen(run, row), list[Span]()
    if tokens is not None:
        spans.append((f"{tokens:,} tokens", "text"))
    if len(run.branches) > 1:
        branch = run.branches[row.branch]
        came = "" if branch.parent is None else f"resumed from {branch.start:,}, "
        goes = "abandoned by a later resume" if row.abandoned else "led to the newest weights"
        spans.append((f"{'; ' if spans else ''}{came}{goes}", "muted"))
    return spans


def _average(run: Run, saved: SavedEvent) -> list[Span]:
    """Of what: its own run's checkpoints by step or name, those of others with their run."""
    return [(plain(words(saved, run.name).removeprefix("average ")), "text")]


def path_of(run: Run, row: Row) -> Path:
    """Where its files are, or were."""
    return run.weights_path(row.name) or run.folder / "checkpoints" / row.name


class CheckpointDetail(LinesView):
    """What is known of one checkpoint, wrapped to the width there is."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._about: tuple[Run, Row, Span | None, Span | None] | None = None

    def tell(
        self, run: Run | None, row: Row | None, mark: Span | None = None, again: Span | None = None
    ) -> None:
        """Describe a checkpoint, or nothing; `mark` and `again` as in `describe`."""
        before, self._about = self._about, (run, row, mark, again) if run and row else None
        another = before is None or self._about is None or before[1].name != self._about[1].name
        self._wrap(top=another)

    def on_resize(self) -> None:
        """Another width."""
        self._wrap()

    def _wrap(self, top: bool = False) -> None:
        if self.size.width:
            self.show(describe(*self._about, width=self.size.width) if self._about else [], top=top)

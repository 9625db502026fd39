"""Everything on record about one checkpoint, as lines of coloured text."""

from __future__ import annotations

import math
from pathlib import Path

from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_rows import Row, samples, tokens_seen
from nexus_tui.tui.checkpoint_table import drawn
from nexus_tui.tui.copying import short_path
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Lines, Span
from nexus_tui.tui.safe import plain


class CheckpointDetail(Lines):
    """What is known of one checkpoint, wrapped to the width there is."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._about: tuple[Run, Row, Span | None] | None = None

    def tell(self, run: Run | None, row: Row | None, mark: Span | None) -> None:
        """Describe a checkpoint, or nothing."""
        self._about = (run, row, mark) if run and row else None
        self._wrap()

    def on_resize(self) -> None:
        """Another width."""
        self._wrap()

    def _wrap(self) -> None:
        if self.size.width:
            self.show(describe(*self._about, width=self.size.width) if self._about else [])


LABEL = 10
"""Cells of the column of labels."""


def describe(run: Run, row: Row, mark: Span | None, width: int) -> list[Line]:
    """The lines about a checkpoint; `mark` is what hashing its files has shown, in place of its weights."""
    facts: list[tuple[str, list[Span]]] = [
        ("weights", [mark] if mark else _weights(row)),
        *_evaluation(row),
        *_training(run, row),
        *_file(run, row),
    ]
    lines = flow(_drawn(_title(row)), width)
    for label, spans in facts:
        lines += flow(_drawn(spans), width, (label, "muted"), LABEL)
    for sample in samples(run, row):
        text: list[Span] = [(plain(sample.prompt, "\n"), "text!"), (plain(sample.text, "\n"), "muted")]
        lines += [(), *flow(text, width)]
    return lines


def _drawn(spans: list[Span]) -> list[Span]:
    return [(drawn(words), role) for words, role in spans]


def _title(row: Row) -> list[Span]:
    title: Span = (f"step {row.step:,}", "text!")
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
        return [(f"kept, {format.size(row.checkpoint.bytes)}", "text"), (f"; {resume}", "muted")]
    if row.damage:
        return [(plain(row.damage), "error")]
    return [(row.weights or "never saved", "muted")]


def _evaluation(row: Row) -> list[tuple[str, list[Span]]]:
    if row.evaluation is None:
        return []
    event = row.evaluation.event
    stderr = row.evaluation.stderr
    error = "" if math.isnan(stderr) else f" ± {format.loss(stderr)}"
    windows = f", {event.windows:,} windows" if event.windows else ""
    loss: list[Span] = [
        (f"{format.loss(row.evaluation.loss)}{error} nats/token", "text"),
        (f"{windows}; {format.loss(row.evaluation.bits_per_byte)} bits/byte", "muted"),
    ]
    protocol: list[Span] = [(plain(event.protocol) or format.MISSING, "text")]
    if not row.ranked:
        protocol.append((" is not the newest: this loss cannot be compared", "warn"))
    return [("loss", loss), ("protocol", protocol)]


def _training(run: Run, row: Row) -> list[tuple[str, list[Span]]]:
    facts: list[tuple[str, list[Span]]] = []
    tokens = tokens_seen(run, row)
    if tokens is not None:
        facts.append(("trained", [(f"{tokens:,} tokens", "text")]))
    if len(run.branches) > 1:
        branch = run.branches[row.branch]
        came = "from step 0" if branch.parent is None else f"resumed from {branch.start:,}"
        goes = "abandoned by a later resume" if row.abandoned else "led to the newest weights"
        facts.append(("lineage", [(came, "text"), (f"; {goes}", "muted")]))
    return facts


def _file(run: Run, row: Row) -> list[tuple[str, list[Span]]]:
    if row.saved is None:
        return []
    saved = row.saved.time.astimezone().strftime("%Y-%m-%d %H:%M")
    path = plain(short_path(path_of(run, row)))
    digest = plain(row.saved.sha256[:16]) or format.MISSING
    return [("saved", [(saved, "text")]), ("sha-256", [(digest, "text")]), ("path", [(path, "text")])]


def path_of(run: Run, row: Row) -> Path:
    """Where its files are, or were."""
    return run.weights_path(row.name) or run.folder / "checkpoints" / row.name

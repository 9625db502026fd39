"""Everything on record about the checkpoint under the cursor; painted only when it changes."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_rows import Row, Span, samples, tokens_seen
from nexus_tui.tui.checkpoint_table import drawn
from nexus_tui.tui.copying import short_path
from nexus_tui.tui.safe import plain

Line = list[Span]
LABEL = 10


def describe(run: Run, row: Row, mark: str = "") -> list[Line]:
    """The lines about a checkpoint; `mark` is what hashing its files has shown."""
    lines = [_title(row), _weights(row, mark), *_loss(row)]
    tokens = tokens_seen(run, row)
    if tokens is not None:
        lines.append([("trained", "muted"), (f"{tokens:,} tokens", "text")])
    if len(run.branches) > 1:
        lines.append([("lineage", "muted"), (_lineage(run, row), "text")])
    if row.saved:
        saved = row.saved.time.astimezone().strftime("%Y-%m-%d %H:%M")
        lines.append([("saved", "muted"), (saved, "text")])
        lines.append([("sha-256", "muted"), (row.saved.sha256[:16], "text")])
        path = run.folder / "checkpoints" / row.name
        lines.append([("path", "muted"), (plain(short_path(path)), "text")])
    for sample in samples(run, row):
        lines.append([("", "muted")])
        lines.append([(plain(sample.prompt, "\n"), "text!"), (plain(sample.text, "\n"), "muted")])
    return lines


def _title(row: Row) -> Line:
    line = [(f"step {row.step:,}", "text!")]
    if row.best:
        line.append((f"  {theme.glyphs().star} the true best", "best"))
    elif row.ranked and row.delta == row.delta:
        tie = "; cannot be told from the best" if row.tied else ""
        line.append((f"  {format.delta(row.delta)} from the best{tie}", "muted"))
    elif row.evaluation is None:
        line.append(("  never evaluated", "muted"))
    return line


def _weights(row: Row, mark: str) -> Line:
    label = ("weights", "muted")
    if mark:
        return [label, (mark, "error" if "damaged" in mark else "good")]
    if row.checkpoint:
        resume = "can be resumed" if row.checkpoint.resumable else "without optimizer: cannot be resumed"
        return [label, (f"kept, {format.size(row.checkpoint.bytes)}; {resume}", "text")]
    if row.damage:
        return [label, (row.damage, "error")]
    return [label, ("gone" if row.saved else "never saved", "muted")]


def _loss(row: Row) -> list[Line]:
    if row.evaluation is None:
        return []
    event = row.evaluation.event
    lines: list[Line] = [
        [
            ("loss", "muted"),
            (f"{format.loss(event.loss)} ± {format.loss(event.stderr)} nats/token", "text"),
            (f", {event.windows:,} windows", "muted"),
        ],
        [("protocol", "muted"), (plain(event.protocol), "text")],
    ]
    if not row.ranked:
        lines.append([("", "muted"), ("not the newest protocol: its loss cannot be compared", "warn")])
    return lines


def _lineage(run: Run, row: Row) -> str:
    branch = run.branches[row.branch]
    came = "trained from step 0" if branch.parent is None else f"resumed from {branch.start:,}"
    return f"{came}; {'abandoned by a later resume' if row.abandoned else 'leads to the newest weights'}"


class CheckpointDetail(Widget):
    """The lines of one checkpoint."""

    DEFAULT_CSS = "CheckpointDetail { background: $background; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []

    def show(self, lines: list[Line]) -> None:
        """Show other lines; the same ones cost nothing."""
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render(self) -> Text:
        """The lines, their labels in a column, long values wrapped beside it."""
        palette, width = theme.palette(self.app), self.size.width
        text = Text(no_wrap=True, end="")
        for line in self._lines:
            text.append_text(self._row(line, palette, width))
            text.append("\n")
        return text

    def _row(self, line: Line, palette: theme.Palette, width: int) -> Text:
        labelled = line[0][1] == "muted" and len(line) > 1
        row, indent = Text(end=""), LABEL if labelled else 0
        for words, role in line[1:] if labelled else line:
            style = theme.style(palette, role.removesuffix("!"), bold=role.endswith("!"))
            row.append(drawn(words), style)
        wrapped = row.wrap(self.app.console, max(8, width - indent - 1))
        label = Text(line[0][0].ljust(LABEL) if labelled else "", theme.style(palette, "muted"), end="")
        for index, part in enumerate(wrapped):
            label.append_text(part)
            if index < len(wrapped) - 1:
                label.append("\n" + " " * indent)
        return label

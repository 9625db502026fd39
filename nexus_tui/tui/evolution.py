"""One prompt at every checkpoint of a run: which texts there are, and how they read. Draws nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nexus_tui.runs.journal import ResumedEvent, SampledEvent
from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui import grid_markdown as md
from nexus_tui.tui.checkpoint_rows import Row
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Span, width_of
from nexus_tui.tui.listing import Column, with_room
from nexus_tui.tui.prompts import Prompt
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.text_view import wrap
from nexus_tui.tui.voice import Part, Voice
from nexus_tui.untrusted import visible

COLUMNS = (
    Column("step", "step", 9, right=True),
    Column("loss", "val", 6, right=True),
    Column("copied", "copied", 6, right=True),
    Column("repeats", "repeats", 7, right=True),
    Column("known", "known", 6, right=True),
)
"""What stands before each text."""
GAP = 2
AVERAGE = "m"
"""The sign of an average, as in the chart of the checkpoints."""
SHORTEST = 8
"""Bytes of a copied span that is worth showing."""


@dataclass
class Sample:
    """One text of the evolution."""

    name: str
    step: int
    branch: int
    row: Row | None
    """The checkpoint; None for a text that was sampled where none was saved or evaluated."""
    recorded: SampledEvent | None
    """Where the text comes from, if it is on record and not written now."""
    voice: Voice

    @property
    def called(self) -> str:
        """Its step, or the name of an average."""
        return plain(self.name) if self.averaged else f"{self.step:,}"

    @property
    def best(self) -> bool:
        """Whether it is of the true best checkpoint."""
        return self.row is not None and self.row.best

    @property
    def abandoned(self) -> bool:
        """Whether a resume has left its checkpoint behind."""
        return self.row is not None and self.row.abandoned

    @property
    def averaged(self) -> bool:
        """Whether its checkpoint is an average of others."""
        return self.row is not None and self.row.averaged


def recorded(run: Run) -> dict[tuple[int, int], dict[str, SampledEvent]]:
    """The samples on record by branch and step, then by prompt; of several the newest."""
    branch = 0
    found: dict[tuple[int, int], dict[str, SampledEvent]] = {}
    for event in run.log:
        if isinstance(event, ResumedEvent):
            branch += 1
        elif isinstance(event, SampledEvent):
            found.setdefault((branch, event.step), {})[event.prompt] = event
    return found


def samples(
    run: Run, prompt: Prompt, settings: Mapping[str, Any], before: Sequence[Sample] = ()
) -> list[Sample]:
    """A text for every checkpoint that is kept or has one on record, in order of steps.

    Texts of `before` are kept as they are, where they are of the same checkpoint.
    """
    known = {sample.name: sample for sample in before}
    on_record = recorded(run)
    found = []
    for row in checkpoints(run):
        event = on_record.pop((row.branch, row.step), {}).get(str(prompt))
        sample = _sample(run, row, None if row.checkpoint else event, prompt, settings)
        if sample:
            found.append(sample)
    for (branch, step), events in on_record.items():
        if event := events.get(str(prompt)):
            voice = Voice(Part(run, None, prompt, recorded=event.text))
            found.append(Sample(f"{branch}:{step}", step, branch, None, event, voice))
    for sample in found:
        old = known.get(sample.name)
        if old and old.voice.part == sample.voice.part:
            sample.voice = old.voice
    return sorted(found, key=lambda sample: (sample.step, sample.branch))


def _sample(
    run: Run, row: Row, event: SampledEvent | None, prompt: Prompt, settings: Mapping[str, Any]
) -> Sample | None:
    if row.checkpoint:
        voice = Voice(Part(run, row.checkpoint, prompt, settings))
    elif event:
        voice = Voice(Part(run, None, prompt, recorded=event.text))
    elif row.weights == "damaged":
        voice = Voice(Part(run, None, prompt, settings))
        voice.state, voice.error = "failed", row.damage
    else:
        return None
    return Sample(row.name, row.step, row.branch, row, event, voice)


def begins_with(run: Run) -> str | None:
    """The prompt to begin with where nothing can be written: one on record; None if something can."""
    if any(row.checkpoint for row in checkpoints(run)):
        return None
    return next((event.prompt for event in run.samples), None)


# What it reads like ------------------------------------------------------------------------------------


def columns(found: Sequence[Sample]) -> tuple[Column, ...]:
    """The columns for these: that of steps as wide as the names of averages take, with a star."""
    named = max((width_of([(sample.called, "")]) for sample in found if sample.averaged), default=0)
    return with_room(COLUMNS, named + 2 if named else 0)


def title(columns: Sequence[Column] = COLUMNS) -> Line:
    """The titles of the columns."""
    cells = " ".join(f"{fit(column.title, column.width, column.right)} " for column in columns)
    return ((f" {cells} text", "muted"),)


def lines(sample: Sample, width: int, tall: int, columns: Sequence[Column] = COLUMNS) -> list[Line]:
    """A row: figures, then as much of the text as fits `tall` lines."""
    voice, glyphs = sample.voice, theme.glyphs()
    dim = sample.recorded is not None or sample.abandoned
    first, second = ("muted", "muted") if dim else ("text", "muted")
    novelty = voice.novelty
    evaluation = sample.row.evaluation if sample.row else None
    star = f"{glyphs.star} " if sample.best else ""
    cells: dict[str, Span] = {
        "step": (f"{star}{_sign(sample)}{sample.called}", "best!" if star else first),
        "loss": (format.loss(evaluation.loss) if evaluation else format.MISSING, second),
        "copied": (f"{novelty.longest:,} B" if novelty else format.MISSING, second),
        "repeats": (format.percent(novelty.repetition if novelty else None), second),
        "known": (format.percent(novelty.known_words if novelty else None), second),
    }
    spans: list[Span] = [(" ", "text")]
    for column in columns:
        words, role = cells[column.key]
        spans.append((fit(words, column.width, column.right) + " " * GAP, role))
    indent = width_of(spans)
    parts = _preview(sample, width - indent - 1, tall, first)
    return [
        (*spans, parts[0]) if index == 0 else ((" " * indent, "text"), part)
        for index, part in enumerate(parts)
    ]


def _sign(sample: Sample) -> str:
    if sample.recorded:
        return f"{on_record()} "
    return f"{theme.glyphs().cross} " if sample.abandoned and not sample.averaged else ""


def on_record() -> str:
    """The sign of a text that is on record and not written now."""
    return "o" if theme.glyphs().ascii else "○"


def _preview(sample: Sample, width: int, tall: int, role: str) -> list[Span]:
    """The beginning of a text on so many lines, its line breaks as signs."""
    voice = sample.voice
    if voice.error:
        return [(fit(plain(voice.error), width).rstrip(), "error")]
    if voice.state in ("waiting", "opening"):
        return [(theme.glyphs().ellipsis, "faint")]
    # More than enough for the cells: a character may be two of them, and none is less than one.
    text = plain(voice.text[: width * (tall + 1)], "\\n" if theme.glyphs().ascii else "⏎")
    cut = list(wrap(text, 0, len(text), max(1, width)))
    parts = [text[start:end] for start, end in cut[:tall]]
    if len(cut) > tall:
        parts[-1] = fit(text[cut[tall - 1][0] :], width)
    return [(part, role) for part in parts] or [("", role)]


def whole(sample: Sample, width: int) -> list[Line]:
    """All of a text and of what is known of it, the longest copied span underlined."""
    voice, glyphs = sample.voice, theme.glyphs()
    star = f"{glyphs.star} " if sample.best else ""
    head: list[Span] = [(f"{star}{sample.called}", "best!" if star else "text!")]
    if sample.recorded:
        event = sample.recorded
        head.append((f"   on record, temperature {event.temperature:g}, seed {event.seed}", "muted"))
    elif voice.figures.tokens:
        figures = voice.figures
        head += [
            (f"   {figures.tokens:,} tokens   {format.speed(figures.speed)}", "muted"),
            (f"   {format.loss(figures.bits_per_byte)} bits/byte", "text"),
        ]
    if sample.abandoned and not sample.averaged:
        head.append((f"   {glyphs.cross} abandoned by a resume", "muted"))
    found = voice.novelty
    if found and found.longest >= SHORTEST:
        head.append((f"   {found.longest:,} B as in line {found.line:,} of the training text", "muted"))
    while len(head) > 1 and width_of(head) > width:
        head.pop()
    body = flow(_text(voice), width)
    if voice.error:
        body = flow([(plain(voice.error), "error")], width)
    return [tuple(head), *body]


def _text(voice: Voice) -> list[Span]:
    """The text, its longest copied span underlined, a mark at its end while more may come."""
    text, ascii = voice.text, theme.glyphs().ascii
    start = end = len(text)
    if voice.novelty and voice.novelty.longest >= SHORTEST:
        start, end = voice.characters(*voice.novelty.span)
    spans = [(text[:start], "text"), (text[start:end], "note_"), (text[end:], "text")]
    shown = [(visible(words, ascii), role) for words, role in spans if words]
    if voice.live:
        shown.append(("_" if ascii else "▌", "live"))
    return shown


def markdown(run: Run, prompt: Prompt, settings: dict[str, object], found: Sequence[Sample]) -> str:
    """All texts and figures in one table."""
    head = ["step", "validation, nats/token", *md.FIGURES[1:], "text"]
    rows = []
    for sample in found:
        evaluation = sample.row.evaluation if sample.row else None
        star = " ★" if sample.best else " (on record)" if sample.recorded else ""
        figures = md.figures_cells(sample.voice, None)[1:]
        loss = format.loss(evaluation.loss if evaluation else None)
        called = md.escaped(sample.name) if sample.averaged else sample.called
        rows.append([f"{called}{star}", loss, *figures, md.text_cell(sample.voice, ())])
    return (
        f"{md.escaped(run.name)} after “{md.prompt_cell(prompt)}”; {md.settings_line(settings)}\n\n"
        f"{md.table(head, rows)}"
    )

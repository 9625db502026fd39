"""Checkpoints × prompts: which texts there are, and how they are laid out. Draws nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nexus_tui.tui import format, theme
from nexus_tui.tui import grid_markdown as md
from nexus_tui.tui.cell import novelty, partings, speed, text_lines, verdict
from nexus_tui.tui.grid_columns import Column
from nexus_tui.tui.lines import Line, Span, width_of
from nexus_tui.tui.parting import Relation
from nexus_tui.tui.prompts import Prompt, one_line
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.voice import Voice

NARROWEST = 34
"""Cells that a column needs."""
ONE_LINE = 70
"""Cells in which all figures of a text are on one line."""
BETWEEN = 3
"""Cells between two columns, with a rule in the middle."""


@dataclass(frozen=True)
class View:
    """What of the grid is in sight: columns by their index, each so many cells wide."""

    columns: tuple[int, ...]
    width: int


def view(count: int, reference: int, cursor: int, before: tuple[int, ...], width: int) -> View:
    """The columns for a width. Without room for all, the reference stays and the others pass beside it.

    Args:
        count: how many columns there are.
        reference: the one that stays; cursor: one that must be in sight.
        before: what was in sight, which moves no further than it has to.
        width: cells for all of them.
    """
    most = max(2, (width + BETWEEN) // (NARROWEST + BETWEEN))
    shown = tuple(range(count))
    if count > most:
        others = [index for index in range(count) if index != reference]
        room = most - 1
        seen = [index for index in before if index in others]
        first = others.index(seen[0]) if seen else 0
        if cursor != reference:
            place = others.index(cursor)
            first = min(max(first, place - room + 1), place)
        first = max(0, min(first, len(others) - room))
        shown = (reference, *others[first : first + room])
    each = (width - BETWEEN * (len(shown) - 1)) // max(1, len(shown))
    return View(shown, max(1, each))


def relations(voices: Sequence[Voice], reference: int) -> list[Relation | None]:
    """How each text of a row stands to the reference; None for the reference itself."""
    return [
        None if index == reference else voice.against(voices[reference]) for index, voice in enumerate(voices)
    ]


def cells(voices: Sequence[Voice], letters: Sequence[str], reference: int, seen: View) -> list[list[Line]]:
    """The texts of a row that are in sight, each as lines of at most `seen.width` cells, figures below."""
    stand = relations(voices, reference)
    if all(voice.state == "waiting" for voice in voices):
        return [text_lines(voices[index], seen.width) for index in seen.columns]
    others = [(letters[i], relation) for i in seen.columns if (relation := stand[i])]
    blocks, feet = [], []
    for index in seen.columns:
        voice, relation = voices[index], stand[index]
        places = partings(voice, others if relation is None else [("", relation)])
        shared = voice.characters(0, relation.at)[1] if relation and relation.at else 0
        blocks.append(text_lines(voice, seen.width, places, shared))
        feet.append(_foot(voice, relation, seen.width))
    tallest = max(map(len, blocks), default=0)
    gaps = [[()] * (tallest + 1 - len(block)) for block in blocks]
    return [[*block, *gap, *foot] for block, gap, foot in zip(blocks, gaps, feet, strict=True)]


def _foot(voice: Voice, relation: Relation | None, width: int) -> list[Line]:
    """How a text stands to the reference, and its figures, on one line where there is room."""
    figures = [tuple(speed(voice)), tuple(novelty(voice))]
    if width >= ONE_LINE:
        figures = [(*figures[0], ("   ", "text"), *figures[1])]
    if voice.state in ("waiting", "failed"):
        return [(), *[()] * len(figures)]
    return [(verdict(voice, relation),), *figures]


def beside(blocks: Sequence[Sequence[Line]], width: int) -> list[Line]:
    """Blocks of lines beside each other, each `width` cells wide, with rules between them."""
    rule: Span = (f" {theme.glyphs().rule} ", "ghost")
    lines = []
    for parts in zip(*blocks, strict=True):
        line: list[Span] = [(" ", "text")]
        for index, part in enumerate(parts):
            line += [rule] * (index > 0)
            line += [*part, (" " * (width - width_of(part)), "text")]
        lines.append(tuple(line))
    return lines


def title(number: int, prompt: Prompt, width: int, here: bool) -> Line:
    """The line above a row: its number, reversed under the cursor, and its prompt."""
    label = f" {number} "
    return (
        (" ", "text"),
        (label, "live~" if here else "muted"),
        (f" {one_line(prompt, width - 6)}", "text!"),
    )


def head(column: Column, reference: bool, here: bool, said: Span, width: int, several: bool) -> list[Line]:
    """The two lines above a column: letter, step and loss; run and how its texts stand to the reference."""
    row = column.row
    evaluation = row.evaluation if row else None
    star = f"{theme.glyphs().star} " if row and row.best else ""
    called = f"{row.step:,}" if row and not row.averaged else plain(column.name)
    first: list[Span] = [
        (f" {column.letter} ", "live~" if here else "text!"),
        (f" {star}{called}", "best!" if star else "text!"),
    ]
    if evaluation:
        first.append((f"   {format.loss(evaluation.loss)} nats/token", "muted"))
    second: list[Span] = [("reference", "good")] if reference else [said]
    if several:
        name = fit(plain(column.run.name), min(20, width // 2)).rstrip()
        second = [(f"{name}   ", "muted"), *second]
    return [_cut(first, width), _cut(second, width)]


def _cut(spans: list[Span], width: int) -> Line:
    while len(spans) > 1 and width_of(spans) > width:
        spans = spans[:-1]
    return tuple(spans) if width_of(spans) <= width else ((fit(spans[0][0], width), spans[0][1]),)


def markdown(
    columns: Sequence[Column],
    prompts: Sequence[Prompt],
    voices: Sequence[Sequence[Voice]],
    reference: int,
    settings: dict[str, Any],
) -> str:
    """All texts in one table, their figures in another."""
    names = [f"{c.letter}: {md.escaped(c.run.name)}, {md.escaped(c.name)}" for c in columns]
    letters = [column.letter for column in columns]
    texts, figures = [], []
    for prompt, row in zip(prompts, voices, strict=True):
        stand = relations(row, reference)
        others = [(letters[i], relation) for i, relation in enumerate(stand) if relation]
        places = [partings(v, others if r is None else [("", r)]) for v, r in zip(row, stand, strict=True)]
        cells = [md.text_cell(voice, place) for voice, place in zip(row, places, strict=True)]
        texts.append([md.prompt_cell(prompt), *cells])
        for letter, voice, relation in zip(letters, row, stand, strict=True):
            figures.append([md.prompt_cell(prompt), letter, *md.figures_cells(voice, relation)])
    return (
        f"Reference {letters[reference]}; {md.settings_line(settings)}\n\n"
        f"{md.table(['prompt', *names], texts)}\n{md.table(['prompt', '', *md.FIGURES], figures)}"
    )


def summary(stand: Sequence[tuple[Voice, Relation | None]]) -> Span:
    """How the texts of a column stand to the reference, in a few words."""
    known = [relation for voice, relation in stand if relation and voice.state not in ("waiting", "failed")]
    parted = sum(relation.kind == "parts" for relation in known)
    ended = sum(relation.kind in ("same", "as far") for relation in known)
    if parted:
        return (f"parts in {parted} of {len(stand)}", "live")
    if ended and ended == len(stand):
        return ("no difference", "good")
    return (f"no difference in {ended} of {len(stand)}", "muted") if ended else ("", "muted")

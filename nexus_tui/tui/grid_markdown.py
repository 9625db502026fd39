"""Texts beside each other as Markdown tables; nothing in a text is read as Markdown or HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nexus_tui.tui import format
from nexus_tui.tui.cell import Parting, text_spans, verdict
from nexus_tui.tui.parting import Relation
from nexus_tui.tui.prompts import Prompt, shown
from nexus_tui.tui.voice import Voice
from nexus_tui.untrusted import visible

_MEANS = re.compile(r"([\\`*_{}\[\]<>#|&~$])")
"""What Markdown reads amid a line; `-`, `+` and `!` mean something only at its start or before a bracket."""


def escaped(text: str) -> str:
    """A text for a cell of a table: control characters as symbols, line breaks as `<br>`."""
    return _MEANS.sub(r"\\\1", visible(text.replace("\r\n", "\n"))).replace("\n", "<br>")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def text_cell(voice: Voice, places: Sequence[Parting]) -> str:
    """A text, the tokens at which it parts from others underlined."""
    if voice.error:
        return escaped(voice.error)
    parts = [(escaped(text), role) for text, role in text_spans(voice, places)]
    return "".join(f"<u>{text}</u>" if role.endswith("_") else text for text, role in parts)


def figures_cells(voice: Voice, relation: Relation | None) -> list[str]:
    """How it stands to the reference, tok/s, bits/byte, copied span, repetition, known words."""
    found = voice.novelty
    return [
        verdict(voice, relation)[0] or "reference",
        format.count(voice.figures.speed),
        format.loss(voice.figures.bits_per_byte),
        format.count(found.longest) if found else format.MISSING,
        format.percent(found.repetition if found else None),
        format.percent(found.known_words if found else None),
    ]


FIGURES = ("against the reference", "tok/s", "bits/byte", "copied, bytes", "repeated", "known words")


def settings_line(settings: dict[str, Any]) -> str:
    """The settings as `temperature 0.8, seed 0`."""
    said = [
        f"{name.replace('_', ' ')} {escaped(' or '.join(map(repr, value)) if name == 'stop' else str(value))}"
        for name, value in settings.items()
        if name != "stop" or value
    ]
    return ", ".join(said)


def prompt_cell(prompt: Prompt) -> str:
    """A prompt as a cell."""
    return escaped(shown(prompt)) or "(none)"

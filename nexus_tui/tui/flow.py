"""Coloured text wrapped to a width."""

from collections.abc import Sequence

from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.text_view import wrap


def flow(spans: Sequence[Span], width: int, label: Span = ("", "text"), indent: int = 0) -> list[Line]:
    """Lines of at most `width` cells; `label` stands before the first one, the others are indented as far."""
    text = "".join(words for words, _ in spans)
    lines: list[Line] = []
    start = 0
    for paragraph in text.split("\n"):
        end = start + len(paragraph)
        for first, last in wrap(text, start, end, max(1, width - indent)):
            before = (label[0].ljust(indent), label[1]) if not lines else (" " * indent, "text")
            lines.append((before, *_cut(spans, first, last)))
        start = end + 1
    return lines


def _cut(spans: Sequence[Span], first: int, last: int) -> list[Span]:
    """The part of the spans between two offsets."""
    parts, offset = [], 0
    for words, role in spans:
        part = words[max(0, first - offset) : max(0, last - offset)]
        if part:
            parts.append((part, role))
        offset += len(words)
    return parts

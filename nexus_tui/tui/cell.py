"""One of several texts as lines: what it shares with the reference stands back, where they part is marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nexus_tui.tui import format, theme
from nexus_tui.tui.flow import flow
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.parting import Relation
from nexus_tui.tui.safe import plain
from nexus_tui.tui.voice import Voice
from nexus_tui.untrusted import visible


@dataclass(frozen=True)
class Parting:
    """A place where texts part: the token there is underlined, with a sign before it."""

    start: int
    """First character of the token."""
    end: int
    label: str = ""
    """Which texts part here, where that is not plain."""


def partings(reference: Voice, others: Sequence[tuple[str, Relation]]) -> tuple[Parting, ...]:
    """Where other texts part from the reference, as places in it; `others` by their letters."""
    found: dict[tuple[int, int], str] = {}
    for letter, relation in others:
        token = reference.token(relation.at) if relation.kind == "parts" else None
        if token:
            found[token] = found.get(token, "") + letter
    alone = len(others) == 1
    return tuple(Parting(*token, "" if alone else letters) for token, letters in sorted(found.items()))


def text_spans(voice: Voice, places: Sequence[Parting], shared: int = 0) -> list[Span]:
    """A text as spans; the first `shared` characters stand back, and each place is marked."""
    text, ascii = voice.text, theme.glyphs().ascii
    spans: list[Span] = []
    at = 0

    def take(end: int, mark: bool = False) -> None:
        nonlocal at
        for stop in (min(max(shared, at), end), end):
            if stop > at:
                words, role = visible(text[at:stop], ascii), "muted" if at < shared else "text"
                spans.append((_solid(words) if mark else words, "live!_" if mark else role))
                at = stop

    for place in places:
        if place.start < at:  # overlaps the one before: that one is marked already
            continue
        take(place.start)
        spans.append((f"{place.label}{theme.glyphs().part}", "live!"))
        take(place.end, mark=True)
    take(len(text))
    if voice.live and voice.state != "waiting":
        spans.append(("_" if ascii else "▌", "live"))
    return spans


def _solid(token: str) -> str:
    """A token that can be seen, also one of white space alone."""
    if not token.isspace():
        return token
    space, line_break = ("_", "\\n") if theme.glyphs().ascii else ("␣", "⏎")
    return token.replace(" ", space).replace("\n", f"{line_break}\n")


def text_lines(voice: Voice, width: int, places: Sequence[Parting] = (), shared: int = 0) -> list[Line]:
    """A text in lines of at most `width` cells; instead of a missing one, why it is missing."""
    lines = flow(text_spans(voice, places, shared), width) if voice.text or voice.live else []
    if voice.state == "waiting":
        return [((theme.glyphs().ellipsis, "faint"),)]
    if voice.error:
        lines += flow([(plain(voice.error), "error")], width)
    return lines or [(("nothing was written", "muted"),)]


def verdict(voice: Voice, relation: Relation | None) -> Span:
    """How a text stands to the reference, in a few words; None: it is the reference."""
    if voice.state in ("waiting", "failed"):
        return ("", "muted")
    if relation is None:
        return ("", "muted")
    stopped = "stopped: " if voice.state == "stopped" else ""
    if relation.kind == "parts":
        return (f"{stopped}parts at byte {relation.at + 1:,}", "live")
    if relation.kind == "same":
        return ("no difference", "good")
    if relation.kind == "as far":
        return (f"{stopped}no difference in {relation.at:,} bytes, as far as both go", "good")
    return (f"no difference in {relation.at:,} bytes so far", "muted")


def speed(voice: Voice) -> list[Span]:
    """How fast it was written, and how probable it was to its model."""
    figures = voice.figures
    return [
        (format.speed(figures.speed).ljust(11), "muted"),
        (f"   {format.loss(figures.bits_per_byte)} bits/byte", "text"),
    ]


def novelty(voice: Voice) -> list[Span]:
    """What is copied, repeated and known; dashes while that is not known."""
    if voice.unknown:
        return [("no training text to compare with", "muted")]
    found = voice.novelty
    longest = f"{found.longest:,} B" if found else format.MISSING
    return [
        ("copied ", "muted"),
        (longest, "text"),
        ("  repeats ", "muted"),
        (format.percent(found.repetition if found else None), "text"),
        ("  known ", "muted"),
        (format.percent(found.known_words if found else None), "text"),
    ]

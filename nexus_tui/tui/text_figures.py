"""The figures of a text in two lines: how it came and what it costs; what of it is copied."""

from __future__ import annotations

import math

from nexus_tui.tui import format
from nexus_tui.tui.desk import Version
from nexus_tui.tui.lines import Line, Span, spread, width_of
from nexus_tui.tui.safe import plain
from nexus_tui.tui.thoughts import NAT

_STATES: dict[str, Span] = {
    "opening": ("opening the checkpoint", "live"),
    "reading": ("reading the prompt", "live"),
    "writing": ("writing", "live"),
    "done": ("done", "good"),
    "stopped": ("stopped", "warn"),
    "failed": ("failed", "error"),
}


def first_line(version: Version, width: int, elsewhere: bool = False) -> Line:
    """State, tokens, speed, wait, bits/byte; at the right from what. The least needed gives way first.

    `elsewhere` is a text from another checkpoint than the one that is chosen now: that is always said.
    """
    left = _state(version)
    right: Line = ((source(version), "text" if elsewhere else "muted"),)
    if version.source.error:
        return spread([*left, (f": {plain(version.source.error)}", "error")], (), width)
    parts = _scored(version) if version.scored else _written(version)
    short: Line = right if elsewhere or version.scored else ((_seed(version), "muted"),)
    for kept in range(len(parts), -1, -1):
        some = [span for _, span in sorted(parts[:kept])]
        for end in (right, short):
            if width_of([*left, *some, *end]) < width:
                return spread([*left, *some], end, width)
    return spread([*left, *(span for _, span in sorted(parts[:2]))], (), width)


def source(version: Version) -> str:
    """The checkpoint of a text, and its seed."""
    name = plain(version.label)
    return name if version.scored else f"{name}  {_seed(version)}"


def _seed(version: Version) -> str:
    return f"seed {version.settings.get('seed')}"


def _state(version: Version) -> list[Span]:
    state, (done, total) = version.source.state, version.source.progress
    if state == "reading":
        what = "scoring" if version.scored else "reading the prompt"
        return [(f"{what}: {done:,} of {total:,} tokens" if total > done else what, "live")]
    if version.scored and state in ("writing", "done"):
        return [("scoring", "live") if state == "writing" else ("scored", "good")]
    return [_STATES[state]]


Part = tuple[int, Span]
"""Its place in the line, and itself; parts are listed the most needed first."""


def _written(version: Version) -> list[Part]:
    figures, thoughts = version.source.figures, version.thoughts
    if not len(thoughts):
        return []
    parts: list[Part] = [
        (0, (f"   {_tokens(version)}", "text")),
        (1, (f"   {format.speed(figures.speed)}", "text")),
        (3, (f"   {format.loss(bits_per_byte(version))} bits/byte", "text")),
    ]
    if figures.tokens:
        parts.append((2, (f"   first after {figures.wait:.2f} s", "muted")))
    return parts


def _scored(version: Version) -> list[Part]:
    thoughts = version.thoughts
    if not len(thoughts):
        return []
    nats = thoughts.nats
    perplexity = math.exp(min(nats / len(thoughts), 700))
    return [
        (0, (f"   {_tokens(version)}", "text")),
        (2, (f"   {format.loss(bits_per_byte(version))} bits/byte", "text")),
        (1, (f"   {nats:,.2f} nats", "text")),
        (3, (f"   perplexity {format.perplexity(perplexity)} a token", "muted")),
    ]


def _tokens(version: Version) -> str:
    count = len(version.thoughts)
    return f"{count:,} token{'s' if count != 1 else ''}"


def bits_per_byte(version: Version) -> float:
    """Of all tokens; NaN before the first."""
    thoughts = version.thoughts
    return thoughts.nats * NAT / thoughts.bytes if thoughts.bytes else math.nan


def second_line(version: Version, place: int, count: int, width: int) -> Line:
    """What is copied, repeated and known; at the right which of how many texts it is."""
    right: Line = ((f"text {place} of {count}", "muted"),) if count > 1 else ()
    return spread(_novelty(version), right, width)


def _novelty(version: Version) -> list[Span]:
    novelty = version.novelty
    if novelty is None:
        why = getattr(version.source, "no_novelty", "")
        return [(plain(why), "muted")] if why else []
    spans: list[Span] = [("copied ", "muted"), (f"{novelty.longest:,} bytes", "text")]
    if novelty.longest:
        spans.append((f" at line {novelty.line:,}", "muted"))
    if novelty.within:
        spans.append((f" in the first {novelty.within >> 20} MB", "muted"))
    if not math.isnan(novelty.repetition):
        spans += [("   repeated ", "muted"), (format.percent(novelty.repetition), "text")]
    if not math.isnan(novelty.known_words):
        spans += [("   known words ", "muted"), (format.percent(novelty.known_words), "text")]
    return spans

"""What moved between the chosen two, layer by layer, and what each layer of every checkpoint holds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from nexus_tui.tui import format
from nexus_tui.tui.analyst import Job
from nexus_tui.tui.compare_section import Section, missing
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.heading import bar
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import fit

if TYPE_CHECKING:
    from nexus_tui.analysis.inside import AttentionInside, LayerInside, MambaInside
    from nexus_tui.analysis.movement import LayerMovement, Movement

_NAME, _CHANGE, _PART = 12, 9, 11
_PARTS = (
    ("mixer", ("mamba", "attention")),
    ("feed-fwd", ("feed_forward",)),
    ("recurrence", ("recurrence",)),
    ("norms", ("norms",)),
)
"""Columns of the table of movement, and the parts that each shows."""


class LayersSection(Section):
    """Movement, then the layers."""

    NAME: ClassVar[str] = "layers"
    LETTER: ClassVar[str] = "l"
    PAIRED: ClassVar[bool] = True

    def jobs(self, c: Comparing) -> list[Job]:
        """The weights of the chosen two, then the inside of each."""
        return [c.movement_job(*c.pair), *self._insides(c)]

    def _insides(self, c: Comparing) -> list[Job]:
        chosen = [*c.pair, *(place for place in range(len(c.rows)) if place not in c.pair)]
        return [c.inside_job(place) for place in chosen]

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """Both tables."""
        a, b = (c.rows[place].title for place in c.pair)
        turn = "another pair" if len(c.rows) > 2 else "turns it"
        lines: list[Line] = [
            (
                ("how far the weights moved from ", "muted"),
                a,
                (" to ", "muted"),
                b,
                (f"   ← → {turn}", "muted"),
            )
        ]
        moved = c.movement(*c.pair)
        lines += _movement(moved, width) if moved else missing(c, [c.movement_job(*c.pair)], width)
        return [*lines, (), *_insides(c, width), *missing(c, self._insides(c), width)]


# How far the weights are apart ---------------------------------------------------------------------------


def _movement(moved: Movement, width: int) -> list[Line]:
    parts = width >= _NAME + _CHANGE + len(_PARTS) * _PART + 8
    room = max(6, min(40, width - _NAME - _CHANGE - (len(_PARTS) * _PART if parts else 0) - 2))
    names = "".join(f"{name:>{_PART}}" for name, _ in _PARTS) if parts else ""
    head = f"{'':{_NAME}}{'change':>{_CHANGE - 1}} {'':{room}}  {names}"
    lines: list[Line] = [((head, "muted"),)]
    whole = [*moved.blocks, *_outside(moved)]
    # The head may move many times as far as any block: the blocks set the scale.
    most = max((row.change for row in moved.blocks if math.isfinite(row.change)), default=0.0) or 1.0
    for row in whole:
        name = f"{row.layer} {row.kind}" if row.layer is not None else row.part.replace("matrices", "all")
        role = "text" if row.layer is not None else "muted"
        spans: list[Span] = [(f"{name:<{_NAME}}", role), (f"{_percent(row.change):>{_CHANGE - 1}} ", role)]
        spans += bar(min(1.0, row.change / most), room, "live" if row.layer is not None else "muted")
        if parts and row.layer is not None:
            spans.append(("  ", "text"))
            spans += [(_part(moved.of(row.layer), kinds), "muted") for _, kinds in _PARTS]
        lines.append(tuple(spans))
    return lines


def _outside(moved: Movement) -> list[LayerMovement]:
    rows = [row for row in moved.of(None) if row.part in ("embedding", "head")]
    return [*rows, moved.total]


def _part(rows: list[LayerMovement], kinds: tuple[str, ...]) -> str:
    found = next((row for row in rows if row.part in kinds), None)
    return f"{_percent(found.change) if found else format.MISSING:>{_PART}}"


def _percent(share: float) -> str:
    return "∞" if math.isinf(share) else f"{100 * share:.1f} %"


# What the layers hold ------------------------------------------------------------------------------------


def _insides(c: Comparing, width: int) -> list[Line]:
    """A row for each layer of each checkpoint, those of one layer together."""
    known = {place: found for place in range(len(c.rows)) if (found := c.inside(place))}
    if not known:
        return []
    first = next(iter(known.values()))
    what = f"inside, over the first {first.windows} windows; memory in tokens, at its 5, 50 and 95 %"
    titles = ("stream", "added", "state", "dt 5", "50", "95 %", "mem 5", "50", "95 %")
    head = " " * (_NAME + 2) + "".join(f"{title:>7}" for title in titles)
    lines: list[Line] = [((fit(what, width), "muted"),), ((head, "muted"),)]
    for layer in range(max(len(found.layers) for found in known.values())):
        named = False
        for place, found in known.items():
            if layer >= len(found.layers):
                continue
            row = found.layers[layer]
            name = "" if named else f"{row.layer} {row.kind}"
            named = True
            lines.append(_layer(c, place, name, row))
    return lines


def _layer(c: Comparing, place: int, name: str, row: LayerInside) -> Line:
    who = c.rows[place]
    start: Line = (
        (f"{name:<{_NAME}}", "text"),
        (f"{who.letter} ", who.title[1]),
        (f"{figure(row.residual):>7}{figure(row.added):>7}", "text"),
    )
    if row.mamba:
        return (*start, (_mamba(row.mamba), "text"))
    return (*start, (_attention(row.attention) if row.attention else "", "text"))


def _mamba(mamba: MambaInside) -> str:
    dt, memory = mamba.dt, mamba.memory
    values = (mamba.state, dt.p5, dt.median, dt.p95, memory.p5, memory.median, memory.p95)
    return "".join(f"{figure(value):>7}" for value in values)


def _attention(attention: AttentionInside) -> str:
    mean = sum(attention.entropy) / len(attention.entropy)
    shares = " ".join(f"{100 * share:.0f}" for share in attention.share)
    return f"  entropy {mean:.2f} nats; heads {shares} % of even"


def figure(value: float) -> str:
    """Three significant figures in six cells: 0.0012, 1.23, 31.4, 310, 12.3k."""
    size = abs(value)
    if not math.isfinite(value):
        return format.MISSING
    if size >= 9999.5:
        return format.short(value)
    if size >= 99.95:
        return f"{value:.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    if size >= 0.9995:
        return f"{value:.2f}"
    return f"{value:.4f}" if size >= 0.00095 or not size else f"{value:.0e}"

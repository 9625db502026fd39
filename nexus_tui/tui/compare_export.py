"""A comparison as Markdown: the verdict, the table, every pair, and whatever was worked out by then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from nexus_tui.runs.comparison import CONFIDENCE
from nexus_tui.tui import format
from nexus_tui.tui.compare_head import validation_texts
from nexus_tui.tui.compare_table import step
from nexus_tui.tui.compare_words import verdict
from nexus_tui.tui.comparing import METHODS, Comparing
from nexus_tui.tui.text_markdown import words


def stem(now: datetime) -> str:
    """Name of the file that `w` writes."""
    return f"comparison-{now:%Y%m%d-%H%M%S}"


def markdown(c: Comparing) -> str:
    """All of it; sections that were not worked out are left out."""
    said = words("".join(text for text, _ in verdict(c)))
    text = words(f"Validation: {validation_texts(c)[0]}.")
    level = f"{100 * CONFIDENCE:.0f} % intervals that hold for all pairs at once."
    parts = [
        f"# Comparison of {len(c.rows)} checkpoints",
        said,
        text,
        _overview(c),
        "## Pairs",
        level,
        _pairs(c),
    ]
    for title, table in (
        ("Position in the window", _positions(c)),
        ("Classes", _classes(c)),
        ("Weights", _weights(c)),
        ("Averages", _averages(c)),
        ("Configuration", _config(c)),
    ):
        if table:
            parts += [f"## {title}", table]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(words(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _overview(c: Comparing) -> str:
    rows = []
    for place, row in enumerate(c.rows):
        s = c.comparison.subjects[place]
        loss = f"{format.loss(s.loss)} ± {format.loss(s.stderr)}"
        nats = [loss, format.perplexity(s.perplexity), format.delta(s.gap)]
        if c.mixed:
            nats = [format.MISSING] * 3
        rows.append(
            [
                row.letter,
                s.run.name,
                step(c, place),
                format.count(s.tokens),
                nats[0],
                nats[1],
                format.loss(s.bits_per_byte),
                nats[2],
                format.size(s.bytes),
                s.lineage,
            ]
        )
    head = ["", "run", "step", "tokens", "loss, nats/token", "perplexity", "bits/byte", "validation − train"]
    return _table([*head, "size", "lineage"], rows)


def _pairs(c: Comparing) -> str:
    rows = []
    for pair in c.comparison.pairs:
        interval = f"{format.delta(pair.low)} to {format.delta(pair.high)}" if pair.blocks else format.MISSING
        amount = (
            f"{pair.windows:,} windows" if pair.windows else f"{pair.bytes:,} bytes" if pair.bytes else ""
        )
        first, second = c.rows[pair.a].letter, c.rows[pair.b].letter
        names = {
            "undecided": "cannot be told from",
            "same": "has the weights of",
            "incomparable": "cannot be compared with",
        }
        said = names.get(pair.verdict, f"{pair.verdict} than")
        rows.append(
            [
                f"{second} {said} {first}",
                f"{format.delta(pair.mean)} {pair.unit}",
                interval,
                amount,
                pair.reason,
            ]
        )
    return _table(["verdict", "difference", "interval", "over", "note"], rows)


def _positions(c: Comparing) -> str:
    from nexus_tui.analysis.breakdown import by_position
    from nexus_tui.tui.compare_position import FIRST, figures

    rows = []
    for place, row in enumerate(c.rows):
        if tokens := c.tokens(place):
            first, last = figures(by_position(tokens).mean)
            rows.append([row.letter, format.loss(first), format.loss(last), format.loss(first - last)])
    return _table(["", f"first {FIRST} tokens", "last quarter", "context is worth"], rows) if rows else ""


def _classes(c: Comparing) -> str:
    from nexus_tui.analysis.breakdown import by_class

    known = {place: by_class(tokens) for place in range(len(c.rows)) if (tokens := c.tokens(place))}
    if not known:
        return ""
    tables = {place: {row.name: row for row in rows} for place, rows in known.items()}
    rows = []
    for row in next(iter(known.values())):
        losses = [table[row.name].loss if row.name in table else None for table in tables.values()]
        rows.append([row.name, format.percent(row.share), *(format.loss(loss) for loss in losses)])
    return _table(["class", "share", *(f"{c.rows[place].letter}, nats" for place in known)], rows)


def _weights(c: Comparing) -> str:
    moved = c.movement(*c.pair)
    if moved is None:
        return ""
    a, b = (c.rows[place].letter for place in c.pair)
    rows = [[f"{row.layer} {row.kind}", f"{100 * row.change:.1f} %"] for row in moved.blocks]
    rows.append(["all", f"{100 * moved.total.change:.1f} %"])
    return _table(["block", f"change from {a} to {b}"], rows)


def _averages(c: Comparing) -> str:
    rows = []
    for method in METHODS:
        if average := c.average(method):
            for place, pair in enumerate(average.pairs):
                undecided = "cannot be told from" if pair.blocks else "cannot be tested against"
                said = undecided if pair.verdict == "undecided" else f"{pair.verdict} than"
                loss = f"{format.loss(average.loss)} ± {format.loss(average.stderr)}"
                rows.append([method, loss, f"{said} {c.rows[place].letter}", format.delta(pair.mean)])
    return _table(["average", "loss, nats/token", "verdict", "difference"], rows) if rows else ""


def _config(c: Comparing) -> str:
    rows = [
        [row.key, *(format.MISSING if value is None else str(value) for value in row.values)]
        for row in c.comparison.config
    ]
    return _table(["setting", *(row.letter for row in c.rows)], rows) if rows else ""

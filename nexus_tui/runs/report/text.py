"""Markdown's pieces: tables, numbers, and text from outside made harmless."""

import math
import re
from collections.abc import Iterable, Sequence

NONE = "–"
"""In a cell: nothing on record."""


def visible(text: str) -> str:
    """Text on one line, control characters shown (␛), so that a terminal that prints it obeys none."""
    return "".join(
        "↵" if c == "\n" else c if c.isprintable() else chr(0x2400 + ord(c)) if ord(c) < 0x20 else "\ufffd"
        for c in text
    )


def escape(text: str) -> str:
    """Text within a line or a cell that Markdown shows as it is: no markup, link or HTML of its own."""
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", visible(text))


def code(text: str) -> str:
    """Text as a code span that it cannot end, also inside a table."""
    text = visible(text).replace("|", "\\|")
    if not text:
        return ""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    stripped = text[0] == text[-1] == " " and text.strip()  # Markdown would take one space off each end
    padding = " " if text[0] == "`" or text[-1] == "`" or stripped else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a head that begins with `>` is aligned right. Cells are Markdown already."""
    lines = ["| " + " | ".join(title.removeprefix(">") for title in head) + " |"]
    lines.append("|" + "|".join("---:" if title.startswith(">") else "---" for title in head) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many decimals, or NONE."""
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def rate(value: float | None) -> str:
    """A learning rate, such as 2.52e-4, or NONE."""
    if value is None or not math.isfinite(value):
        return NONE
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """Seconds, and how long that is: `5227.2 s (~87 min)`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds:.1f} s (~{seconds / 60:.0f} min)"


def count(parameters: int) -> str:
    """A number of parameters, such as 6.74M."""
    return f"{parameters / 1e6:.2f}M" if parameters >= 1e6 else f"{parameters:,}"

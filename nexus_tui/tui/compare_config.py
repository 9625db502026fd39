"""The configured values that are not the same for all."""

from __future__ import annotations

from typing import Any, ClassVar

from nexus_tui.tui.compare_section import Section
from nexus_tui.tui.comparing import Comparing
from nexus_tui.tui.lines import Line, Span
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.theme import glyphs

_KEY = 26


class ConfigSection(Section):
    """A row a key, a column a checkpoint."""

    NAME: ClassVar[str] = "config"
    LETTER: ClassVar[str] = "f"

    def lines(self, c: Comparing, width: int) -> list[Line]:
        """The table, or that there is nothing in it."""
        differences = c.comparison.config
        if not differences:
            runs = {row.subject.run.folder for row in c.rows}
            same = "They are of one run." if len(runs) == 1 else "Their runs are configured alike."
            return [((f"{same} No setting differs.", "muted"),)]
        cell = max(6, min(24, (width - _KEY) // len(c.rows)))
        head: list[Span] = [(fit("", _KEY), "text")]
        head += [(fit(row.title[0], cell - 1) + " ", row.title[1]) for row in c.rows]
        lines: list[Line] = [tuple(head)]
        for difference in differences:
            texts = [_written(value) for value in difference.values]
            usual = max(set(texts), key=texts.count) if len(texts) > 2 else None
            spans: list[Span] = [(fit(plain(difference.key), _KEY - 2) + "  ", "muted")]
            spans += [(fit(text, cell - 1) + " ", "muted" if text == usual else "text!") for text in texts]
            lines.append(tuple(spans))
        return lines


def _written(value: Any) -> str:
    if value is None:
        return glyphs().missing
    return f"{value:g}" if isinstance(value, float) else plain(str(value))

"""Texts at which writing stops, found in a text that comes piece by piece."""

from collections.abc import Sequence

from nexus_tui.lm.drawing import SamplingError


class StopTexts:
    """Passes a text on until one of some texts is in it; no part of that one is ever passed on.

    What may become a stop text is held back until it is one or cannot be any more. Where a text ends does
    not depend on how it was cut into pieces: at the stop text that is complete first (of two that end in the
    same place, the longer).

    Raises SamplingError for an empty stop text.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if not all(texts):
            raise SamplingError("A stop text is empty; give at least one character, or none at all.")
        self._texts = tuple(texts)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """What may be shown after some more text, and whether a stop text has come."""
        if not self._texts:
            return text, False
        held = self._held + text
        found = [(place + len(stop), place) for stop in self._texts if (place := held.find(stop)) >= 0]
        if found:
            self._held = ""
            return held[: min(found)[1]], True
        keep = max(_overlap(held, stop) for stop in self._texts)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep], False

    def finish(self) -> str:
        """What was held back and became no stop text."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text may be the beginning of a stop text, not the whole of it."""
    return next(
        (count for count in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:count])), 0
    )


def read_escapes(written: str) -> str:
    r"""A stop text as typed into one line: \n is a line break, \t a tab, \\ a backslash."""
    parts = written.split("\\\\")
    return "\\".join(part.replace("\\n", "\n").replace("\\t", "\t") for part in parts)

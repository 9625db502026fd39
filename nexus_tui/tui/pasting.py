"""Pasted text as it is: nothing in it is a key.

Textual reads what comes from the terminal as one stream, and takes an escape character amid a bracketed paste
for the start of a key: what follows it is then typed, not pasted. A text that somebody else wrote could press
keys that way, wherever the terminal passes escape characters on (tmux does).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

START, END = "\x1b[200~", "\x1b[201~"
_KEPT = {"\n", "\r", "\t"}


class PasteParser(XTermParser):
    """Collects pasted text itself, from the mark at its start to the one at its end."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._before = ""
        """The newest characters, as long as a mark may have begun with them."""
        self._chunks: list[str] | None = None
        """What was pasted so far; None outside a paste."""

    def feed(self, data: str) -> Iterable[Message]:
        """Everything that came, as events."""
        if not data:
            yield from super().feed(data)
        while data:
            data = (yield from self._type(data)) if self._chunks is None else (yield from self._paste(data))

    def _type(self, data: str) -> Generator[Message, None, str]:
        """Keys, up to the start of a paste; what comes after it."""
        joined = self._before + data
        place = joined.find(START)
        end = len(data) if place < 0 else place + len(START) - len(self._before)
        self._before = joined[1 - len(START) :] if place < 0 else ""
        if place >= 0:
            self._chunks = []
        yield from super().feed(data[:end])
        return data[end:]

    def _paste(self, data: str) -> Generator[Message, None, str]:
        """Pasted text, up to its end; what comes after it."""
        assert self._chunks is not None
        joined = self._before + data
        place = joined.find(END)
        if place < 0:
            self._chunks.append(data)
            self._before = joined[1 - len(END) :]
            return ""
        text = "".join(self._chunks) + data
        rest = joined[place + len(END) :]
        text = text[: len(text) - len(rest) - len(END)]
        self._before, self._chunks = "", None
        for event in super().feed(END):
            if not isinstance(event, events.Paste):  # its own is empty
                yield event
        yield pasted(text)
        return rest


def pasted(text: str) -> events.Paste:
    """A paste whose `text` has no control characters, for fields that show what they get; see `exact`."""
    event = events.Paste(
        "".join(c for c in text if c in _KEPT or not (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0))
    )
    event.exact = text  # type: ignore[attr-defined]
    return event


def exact(event: events.Paste) -> str:
    """What was pasted, character by character."""
    return str(getattr(event, "exact", event.text))

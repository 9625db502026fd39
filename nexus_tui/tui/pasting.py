"""What comes from the terminal: keys, and pasted text as it is, in which nothing is a key.

Textual reads both as one stream, and takes an escape character amid a bracketed paste for the start of a key:
what follows it is then typed, not pasted. A text that somebody else wrote could press keys that way, wherever
the terminal passes escape characters on (tmux does). And some sequences, which a bad line can make of others,
end its thread: no key would be heard any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable

from textual import events
from textual._xterm_parser import XTermParser
from textual.keys import Keys
from textual.message import Message

START, END = "\x1b[200~", "\x1b[201~"
QUIET = 2.0
"""Seconds without news after which a paste may have been cut off: one lone key of WAY_OUT then ends it."""
ALONE = 0.2
"""Seconds in which nothing follows a lone key."""
WAY_OUT = ("\x1b", "\x03")
FLOOD = 256
"""Characters that come at once and are no typing: a terminal that marks no pastes sends one."""
PAUSE = 0.05
"""Seconds without news that end it."""
_KEPT = {"\n", "\r", "\t"}


class PasteParser(XTermParser):
    """Collects pasted text itself, from the mark at its start to the one at its end.

    A paste whose end never comes would take every key for text: esc or ctrl+c, alone after a silence, leaves
    it.
    """

    def __init__(self, debug: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(debug)
        self._clock = clock
        self._heard = clock()
        self._lone = False
        """Whether the newest that came, amid a paste, is a lone key that may end it."""
        self._flood: list[str] = []
        """A paste without marks, so far."""
        self._before = ""
        """The newest characters, as long as a mark may have begun with them."""
        self._chunks: list[str] | None = None
        """What was pasted so far; None outside a paste."""

    def feed(self, data: str) -> Iterable[Message]:
        """Everything that came, as events."""
        if not data:
            yield from super().feed(data)
        now = self._clock()
        self._lone = self._chunks is not None and data in WAY_OUT and now - self._heard > QUIET
        self._heard = now
        if self._flooded(data):
            self._flood.append(data)
            return
        yield from self._flood_ends()
        while data:
            data = (yield from self._type(data)) if self._chunks is None else (yield from self._paste(data))

    def _flooded(self, data: str) -> bool:
        """Whether this is of a paste without marks: much text at once, or what follows such."""
        if self._chunks is not None or not _KEPT.issuperset(c for c in data if c < " "):
            return False
        begun = any(START.startswith(self._before[-length:]) for length in range(1, len(self._before) + 1))
        return bool(self._flood) or (len(data) >= FLOOD and not begun)

    def _flood_ends(self) -> Iterable[Message]:
        if self._flood:
            text = "".join(self._flood)
            self._flood.clear()
            self._before = ""
            yield pasted(text)

    def tick(self) -> Iterable[Message]:
        """What the time that has passed makes of what came, as events."""
        if self._clock() - self._heard > PAUSE:
            yield from self._flood_ends()
        if self._lone and self._clock() - self._heard > ALONE:
            self._lone, self._before, self._chunks = False, "", None
            list(super().feed(END))  # Textual's own paste ends too, and is empty
        yield from super().tick()

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        """The keys of a sequence. One that names no character is no key."""
        try:
            found = list(super()._sequence_to_key_events(sequence, alt))
        except (ValueError, OverflowError):
            return [events.Key(Keys.Ignore, sequence)]
        return [key if _encodable(key.character) else events.Key(Keys.Ignore, sequence) for key in found]

    def parse_mouse_code(self, code: str) -> Message | None:
        """A movement or a press, in cells: nobody has asked for pixels."""
        self.mouse_pixels = False
        return super().parse_mouse_code(code)

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


def _encodable(character: str | None) -> bool:
    """Whether it can be shown and kept: half a pair of UTF-16 cannot."""
    return not any(0xD800 <= ord(c) < 0xE000 for c in character or "")


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

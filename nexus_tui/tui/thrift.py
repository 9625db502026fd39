"""What goes to the terminal, in few bytes: no cell that did not change, no colour that is set already.

Textual sends every changed span from the left edge of its widget on, and ends each piece of text with a
reset, after which the next one names all of its colours again: of a live chart's bytes that is most.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate

_SGR = re.compile(r"\x1b\[([\d;]*)m")
_ENDS = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "8": "28", "9": "29"}
"""What ends each attribute, and with it those that end alike."""
_ARGUMENTS = {"2": 4, "5": 2}
"""Codes that name a colour after 38 or 48: RGB, or one of 256."""


class Pen(NamedTuple):
    """How the terminal draws: attributes, colour and background, as their codes; empty: its own."""

    attributes: frozenset[str] = frozenset()
    color: str = ""
    background: str = ""


_PLAIN = Pen()


class CroppedUpdate(ChopsUpdate):
    """A part of the screen, cut at both ends of each changed span."""

    @classmethod
    def of(cls, update: ChopsUpdate) -> CroppedUpdate:
        """The same part."""
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """What draws it."""
        sent: list[str] = []
        cursor = (-1, -1)
        for y, left, right in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x >= right or end <= left:
                    continue
                start, stop = max(x, left), min(end, right)
                if cursor != (start, y):
                    sent.append(Control.move_to(start, y).segment.text)
                sent.append(strip.crop(start - x, stop - x).render(console))
                cursor = (stop, y)
        return "".join(sent)


def thrifty(data: str) -> str:
    """The same drawing with the fewest changes of colours; it begins and ends with the terminal's own."""
    sent: list[str] = []
    drawn, wanted, place = _PLAIN, _PLAIN, 0
    for match in _SGR.finditer(data):
        if match.start() > place:
            text = data[place : match.start()]
            change, drawn = _turned(text, drawn, wanted)
            sent += (change, text)
        wanted, place = _read(match[1], wanted), match.end()
    if place < len(data):
        change, drawn = _turned(data[place:], drawn, wanted)
        sent += (change, data[place:])
    sent.append(_change(drawn, wanted))
    return "".join(sent)


def _turned(text: str, drawn: Pen, wanted: Pen) -> tuple[str, Pen]:
    """What must be sent before a text, and how the terminal draws then.

    A movement of the cursor draws nothing; whether anything else does that is no text, nobody knows.
    """
    if wanted == _PLAIN and text.startswith("\x1b[") and _MOVES.fullmatch(text):
        return "", drawn
    return _change(drawn, wanted), wanted


_MOVES = re.compile(r"(?:\x1b\[\d*(?:;\d*)?H)+")


@lru_cache(4096)
def _change(old: Pen, new: Pen) -> str:
    """The codes that lead from one way of drawing to another."""
    if old == new:
        return ""
    if new == _PLAIN:
        return "\x1b[0m"
    codes: list[str] = []
    ended = {_ENDS[one] for one in old.attributes - new.attributes}
    kept = {one for one in old.attributes if _ENDS[one] not in ended}
    codes += [*sorted(ended), *sorted(new.attributes - kept)]
    if old.color != new.color:
        codes.append(new.color or "39")
    if old.background != new.background:
        codes.append(new.background or "49")
    return f"\x1b[{';'.join(codes)}m"


@lru_cache(4096)
def _read(codes: str, pen: Pen) -> Pen:
    """How the terminal draws after these codes."""
    attributes, color, background = set(pen.attributes), pen.color, pen.background
    parts = codes.split(";")
    index = 0
    while index < len(parts):
        code, number = parts[index], int(parts[index] or 0)
        if number in (38, 48):
            length = _ARGUMENTS.get(parts[index + 1], 1) if index + 1 < len(parts) else 0
            whole = ";".join(parts[index : index + 1 + length])
            color, background = (whole, background) if number == 38 else (color, whole)
            index += length
        elif number == 0:
            attributes, color, background = set(), "", ""
        elif code in _ENDS:
            attributes.add(code)
        elif code in _ENDS.values():
            attributes = {one for one in attributes if _ENDS[one] != code}
        elif 30 <= number <= 39 or 90 <= number <= 97:
            color = "" if number == 39 else code
        elif 40 <= number <= 49 or 100 <= number <= 107:
            background = "" if number == 49 else code
        index += 1
    return Pen(frozenset(attributes), color, background)

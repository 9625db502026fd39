"""What a monkey does at a keyboard: a function of a seed, so that what broke something can be done again."""

# ruff: noqa: E501 (lists)

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from textual.keys import key_to_character

from nexus_tui.tui.keys import TABLE

SEQUENCES = {
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
    "pageup": "\x1b[5~", "pagedown": "\x1b[6~", "shift+tab": "\x1b[Z", "shift+left": "\x1b[1;2D",
    "shift+right": "\x1b[1;2C", "delete": "\x1b[3~", "escape": "\x1b", "enter": "\r", "tab": "\t",
    "backspace": "\x7f", "space": " ", "shift+up": "\x1b[1;2A", "shift+down": "\x1b[1;2B", "plus": "+",
    "slash": "/", "minus": "-",
}  # fmt: skip
"""What a terminal sends for the keys whose names are no names of characters."""
LEAVING = {b"q", b"\x11", b"\x03", b"\x1c", b"\x1a"}
"""Keys that may end or stop the program, the last two while it does not have the terminal to itself."""
ODD = (
    "\x1b[I", "\x1b[O", "\x1b[12;40R", "\x1b[?2026;2$y", "\x1b[?2048;1$y", "\x1b[?62;22c", "\x1b]11;rgb:0/0/0\x1b\\",
    "\x1bOP", "\x1b[15~", "\x1b[24;5~", "\x1b[1;5A", "\x1b[97;5u", "\x1b[97:65;2u", "\x1b[57441;1u", "\x1b[57399u",
    "\x1b[99999999999;5u", "\x1b[55296;1u", "\x1b[97;1;98:99u", "\x1b[;;u", "\x1b[0;0;0u", "\x1b[48;24;80;0;0t",
    "\x1b[48;1;1;1;1t", "\x1b[48;48;160;960;1600t", "\x1b[M !!", "\x1b[<0;-1;-1M", "\x1b[<99999;1;1M",
    "\x1b[201~", "\x1b[27;5;9~", "\x1b\x1b", "\x1b\x1b[A", "\x1b[200~\x1b[201~", "\x1b[3;3;3;3;3~", "\x9b1;5A",
)  # fmt: skip
"""Sequences that some terminal sends some time, and some that none does; none that begins a paste for ever."""
HALVES = (
    "\x1b[", "\x1b[1", "\x1b[1;", "\x1bO", "\x1b[<0;5", "\x1b[<0;5;", "\x1b]52;c;", "\x1bP+r", "\x1b[200",
    "\x1b[48;24;", "\x1b[97;", "\x1b[M ", "\x1b_G",
)  # fmt: skip
WORDS = (
    "To be, or not", "0.5", "2", "1e-3", "best<2.0", "lr>=", "step>9", "-note:x", "state:", "(((", "\u202eabc", "é",
    "\U0001f9b8\u200d\u2640", "\u0301\u0301", "漢字", "../..", "/etc/passwd", "~", "step_1", "a" * 300, "\t", "\0", "%s{}",
)  # fmt: skip


@dataclass(frozen=True)
class Act:
    """Some bytes that a terminal sends at once or one after the other, as so many presses."""

    what: str
    parts: tuple[bytes, ...]

    @property
    def presses(self) -> int:
        """How many keys, sequences or movements it is."""
        return len(self.parts)


def written(key: str) -> bytes:
    """What a terminal sends for a key by its name in the table of keys."""
    if key in SEQUENCES:
        return SEQUENCES[key].encode()
    if key.startswith("ctrl+"):
        return bytes([ord(key[-1]) & 0x1F])
    return (key_to_character(key) or key).encode()


KEYS = tuple(sorted({written(key) for row in TABLE for key in row.keys.split(",") if key}))
"""Every key that does anything anywhere."""


class Monkey:
    """An endless row of acts. `leaves` says whether it may press the keys that end the program."""

    def __init__(self, seed: int, *, leaves: bool = False) -> None:
        self._random = random.Random(seed)
        self._leaves = leaves
        self._kinds: tuple[tuple[int, Callable[[], Act]], ...] = (
            (60, self._key),
            (8, self._screen),
            (6, self._text),
            (9, self._mouse),
            (4, self._odd),
            (3, self._half),
            (2, self._bytes),
            (2, self._cut),
            (1, self._paste),
            (5, self._purpose),
        )

    def __iter__(self) -> Iterator[Act]:
        weights = [weight for weight, _ in self._kinds]
        kinds = [kind for _, kind in self._kinds]
        while True:
            act = self._random.choices(kinds, weights)[0]()
            if self._leaves or not LEAVING & set(act.parts):
                yield act

    def size(self) -> tuple[int, int]:
        """Columns and rows of a terminal, the smallest and the largest among them."""
        usual = [(1, 1), (300, 100), (80, 24), (120, 36), (160, 48), (300, 1), (1, 100), (2, 2)]
        if self._random.random() < 0.5:
            return self._random.choice(usual)
        return self._random.randint(1, 300), self._random.randint(1, 100)

    def _key(self) -> Act:
        key = self._random.choice(KEYS)
        times = self._random.choice((1, 1, 1, 1, 2, 5))  # held
        return Act("key", (key,) * times)

    def _screen(self) -> Act:
        return Act("screen", (b"\x1b", self._random.choice((b"1", b"2", b"3", b"4", b"5"))))

    def _text(self) -> Act:
        return Act("text", tuple(c.encode() for c in self._random.choice(WORDS) if c.encode() not in LEAVING))

    def _mouse(self) -> Act:
        x, y = self._random.randint(0, 310), self._random.randint(0, 104)
        code = self._random.choice((0, 0, 0, 1, 2, 32, 35, 64, 65, 66, 4, 16, 128))
        down = f"\x1b[<{code};{x};{y}M".encode()
        moved = f"\x1b[<{code | 32};{x + self._random.randint(-9, 9)};{y + 1}M".encode()
        up = f"\x1b[<{code};{x};{y}m".encode()
        return Act("mouse", self._random.choice(((down, up), (down, moved, up), (down,), (up,), (moved,))))

    def _odd(self) -> Act:
        return Act("sequence", (self._random.choice(ODD).encode(),))

    def _half(self) -> Act:
        return Act("half a sequence", (self._random.choice(HALVES).encode(),))

    def _bytes(self) -> Act:
        data = bytes(
            b for b in self._random.randbytes(self._random.randint(1, 12)) if bytes([b]) not in LEAVING
        )
        return Act("bytes", (data,))

    def _cut(self) -> Act:
        whole = self._random.choice(("é", "漢", "\U0001f9b8")).encode()
        return Act("half a character", (whole[: self._random.randint(1, len(whole) - 1)],))

    def _paste(self) -> Act:
        text = "".join(self._random.choice(WORDS) for _ in range(self._random.randint(1, 40)))
        return Act("paste", (f"\x1b[200~{text}\x1b[201~".encode(),))

    def _purpose(self) -> Act:
        """A dialog that is filled in, which keys at random hardly ever do."""
        text = self._random.choice(WORDS)[:60].encode()
        number = str(self._random.choice((0, 0.5, 1, 2, -1, "x", 1e9))).encode()
        down = b"\x1b[B"
        steps = self._random.choice((
            (b"2", b"L", *_each(number), b"\r"),
            (b"2", b"m", *_each(text), b"\r"),
            (b"2", b"S", self._random.choice((b"s", b"x"))),
            (b"1", b"/", *_each(text), b"\r"),
            (b"1", b"N", *_each(text), b"\r"),
            (b"1", b"R", *_each(b"renamed"), *_each(number), b"\r"),
            (b"1", b"D", self._random.choice((b"y", b"\r", b"d"))),
            (b"1", b" ", down, b" ", b"o"),
            (b"3", b" ", down, b" ", b"c", b"\t"),
            (b"3", down, b"r"),
            (b"3", b"\r", b"\x12"),
            (b"5", b"e", *_each(text), b"\x12"),
            (b"5", b"\x07"), (b"5", b"\x05"), (b"5", b"\x0c"), (b"5", b"\x14", b"\r"),
            (b"\x10", *_each(text), b"\r"), (b"\x10", *_each(self._random.choice((b"theme", b"sav", b"ex"))), b"\r"),
        ))  # fmt: skip
        return Act("purpose", tuple(part for part in (b"\x1b", *steps) if part not in LEAVING))


def _each(data: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([b]) for b in data)

"""The signs that the program draws, and their ASCII for terminals that have no others."""

from __future__ import annotations

import locale
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Glyphs:
    """Every sign that the program draws besides letters."""

    ascii: bool
    line: str
    dot: str
    star: str
    up: str
    down: str
    cross: str
    shade: str
    vertical: str
    axis: str
    tick: str
    left_tick: str
    corner: str
    rule: str
    resume: str
    note: str
    warn: str
    missing: str
    ellipsis: str
    part: str
    pin: str
    signs: tuple[str, ...]


_UNICODE = Glyphs(
    ascii=False,
    line="─",
    dot="●",
    star="★",
    up="▲",
    down="▼",
    cross="×",
    shade="░",
    vertical="┊",
    axis="─",
    tick="┬",
    left_tick="┤",
    corner="└",
    rule="│",
    resume="↻",
    note="◆",
    warn="!",
    missing="–",
    ellipsis="…",
    part="▸",
    pin="▴",
    signs=("●", "■", "◆", "+", "○", "□", "◇", "×"),
)
_ASCII = Glyphs(
    ascii=True,
    line="-",
    dot="o",
    star="*",
    up="^",
    down="v",
    cross="x",
    shade=":",
    vertical=":",
    axis="-",
    tick="+",
    left_tick="+",
    corner="+",
    rule="|",
    resume="r",
    note="n",
    warn="!",
    missing="-",
    ellipsis="~",
    part=">",
    pin="^",
    signs=("o", "#", "@", "+", "%", "&", "=", "x"),
)

_SPELLED = str.maketrans(
    {
        "∞": "inf",
        "–": "-",
        "—": "-",
        "─": "-",
        "−": "-",
        "×": "x",
        "°": "",
        "·": ".",
        "…": "~",
        "±": "+-",
        "≈": "~",
        "≤": "<=",
        "≥": ">=",
        "→": "->",
        "←": "<-",
        "↑": "^",
        "↓": "v",
        "Δ": "d",
        "★": "*",
        "●": "o",
        "░": ":",
        "○": "o",
        "‖": "=",
        "✓": "v",
        "■": "#",
        "✗": "x",
        "“": '"',
        "”": '"',
        "’": "'",
        "⇧": "^",
        "├": "|",
        "└": "`",
        "│": "|",
        "↵": "$",
        "␣": "_",
    }
)

_ascii: bool | None = None


def use_ascii(wanted: bool | None = True) -> None:
    """Draw with ASCII only (`--ascii`); None asks the locale again."""
    global _ascii
    _ascii = wanted


def spell(text: str) -> str:
    """Text as this terminal can show it: itself, or in ASCII with `?` for what has no spelling."""
    if not glyphs().ascii or text.isascii():
        return text
    return text.translate(_SPELLED).encode("ascii", "replace").decode("ascii")


def glyphs() -> Glyphs:
    """The glyphs that this terminal can show."""
    global _ascii
    if _ascii is None:
        encoding = getattr(sys.__stdout__, "encoding", None) or locale.getpreferredencoding(False)
        _ascii = "utf" not in encoding.lower()
    return _ASCII if _ascii else _UNICODE

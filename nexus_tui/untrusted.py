"""Text that a model or a file wrote, made safe to show: nothing in it can steer the terminal."""

from __future__ import annotations

import json
import unicodedata

# Format, private-use, surrogate and unassigned characters, and separators that are no space: some reorder or
# hide what stands beside them, others have no glyph.
_HIDDEN = {"Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def visible(text: str, ascii: bool = False) -> str:
    """Control characters as symbols (ESC: `␛`, with `ascii` `^[`), hidden ones as `�`; line breaks stay."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(_character(character, ascii) for character in text)


def as_json(value: object) -> str:
    """JSON on one line that is harmless on a terminal, too: what `visible` would replace is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        json.dumps(each)[1:-1] if unicodedata.category(each) in _HIDDEN or 0x7F <= ord(each) < 0xA0 else each
        for each in text
    )


def _character(character: str, ascii: bool) -> str:
    code = ord(character)
    if character == "\n":
        return character
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}" if ascii else "␡" if code == 0x7F else chr(0x2400 + code)
    if 0x80 <= code < 0xA0 or unicodedata.category(character) in _HIDDEN:
        return "?" if ascii else "�"
    return character.encode("ascii", "replace").decode() if ascii else character

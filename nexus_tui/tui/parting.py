"""Where two texts part: the first byte that differs, and the token of each of them that it belongs to.

Bytes and not tokens decide, so that texts of different tokenizers can be set against each other.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["open", "parts", "same", "as far"]


@dataclass(frozen=True)
class Relation:
    """How a text stands to the one that it is set against."""

    kind: Kind
    """`parts`: they differ; `same`: they are equal to the end; `as far`: both have ended, and one of them is
    how the other begins; `open`: one is still being written, and they are equal until now."""
    at: int
    """The first byte that differs; where they do not part, how many bytes they have in common."""


def relation(reference: bytes, text: bytes, ended: bool) -> Relation:
    """How `text` stands to `reference`; `ended` says that nothing comes to either of them any more."""
    common = min(len(reference), len(text))
    if reference[:common] != text[:common]:
        return Relation("parts", _first_difference(reference, text, common))
    if not ended:
        return Relation("open", common)
    return Relation("same" if len(reference) == len(text) else "as far", common)


def _first_difference(a: bytes, b: bytes, length: int) -> int:
    """The first place at which two texts differ that are known to differ before `length`."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


def token_at(ends: Sequence[int], at: int) -> tuple[int, int] | None:
    """First byte and end of the token that holds byte `at`; `ends` [tokens] are where tokens end.

    None if it is behind the last token.
    """
    index = bisect_right(ends, at)
    return (ends[index - 1] if index else 0, ends[index]) if index < len(ends) else None


def characters(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The characters, as offsets, that bytes `start` to `end` of a text are part of.

    The text as it is shown: UTF-8, with U+FFFD for what is none. At least one character, if there is any.
    """
    first, last = _decoded(text[:start]), _decoded(text[:end])
    return first, max(last, first + 1)


def _decoded(text: bytes) -> int:
    """How many characters are whole."""
    return len(codecs.getincrementaldecoder("utf-8")(errors="replace").decode(text))

"""How much of a sample is the training text's own words: copied spans, repetition, vocabulary."""

import math
import re
from dataclasses import dataclass

from nexus_tui.data.longest_copy import longest_copy

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
"""Letters, with apostrophes and hyphens among them."""
_GRAM = 4
LIMIT = 32 << 20
"""Bytes of a training text that samples are held against: ten seconds to begin with, 0.3 s a kilobyte."""


@dataclass(frozen=True)
class Novelty:
    """Figures of a sample against the text that its model was trained on."""

    longest: int
    """Bytes of the longest span of the sample that the training text has word for word."""
    span: tuple[int, int]
    """Where it starts and ends in the sample, bytes; of several, the one first in the training text."""
    offset: int
    """Where it stands in the training text, bytes from the start; the first place of several."""
    line: int
    """… and its line there, counted from 1."""
    repetition: float
    """Share of the sample's word 4-grams that it has had before: 1 - distinct / all; NaN below 4 words."""
    known_words: float
    """Share of the sample's whole words that the training text has too, in any case; NaN without a word."""
    within: int = 0
    """Bytes from the start of the training text that were looked at; 0 for all of it."""


class Originals:
    """A training text, ready to be asked what of a sample is copied from it.

    Reads the words of the text once: a third of a second for a megabyte. Any number of threads may ask. Of a
    text of more than LIMIT bytes only the first so many are known.
    """

    def __init__(self, text: bytes | memoryview) -> None:
        self.text = bytes(text[:LIMIT])
        self.within = LIMIT if len(text) > LIMIT else 0
        """Bytes of the text that are known; 0 for all."""
        self.words = frozenset(match.group() for match in _WORD.finditer(_folded(self.text)))
        """The words of the text, in lower case."""

    def figures(self, sample: bytes) -> Novelty:
        """The figures of a sample, its prompt left out: milliseconds for a kilobyte.

        A word that touches either end of the sample may be cut off there: it is none for `known_words`. The
        sample need not be UTF-8.

        Source: Welleck et al., arXiv 1908.04319 (seq-rep-4, there of tokens, here of words).
        """
        copy = longest_copy(sample, self.text)
        text = _folded(sample)
        found = list(_WORD.finditer(text))
        whole = [word.group() for word in found if word.start() > 0 and word.end() < len(text)]
        known = sum(word in self.words for word in whole) / len(whole) if whole else math.nan
        words = [word.group() for word in found]
        grams = [tuple(words[i : i + _GRAM]) for i in range(len(words) - _GRAM + 1)]
        return Novelty(
            longest=copy.length,
            span=(copy.here, copy.here + copy.length),
            offset=copy.there,
            line=self.text.count(b"\n", 0, copy.there) + 1,
            repetition=1 - len(set(grams)) / len(grams) if grams else math.nan,
            known_words=known,
            within=self.within,
        )


def _folded(text: bytes) -> str:
    return text.decode(errors="replace").lower()

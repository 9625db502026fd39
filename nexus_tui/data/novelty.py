"""How much of a sample is the training text's own words: copied spans, repetition, vocabulary."""

from dataclasses import dataclass


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


class Originals:
    """A training text, ready to be asked what of a sample is copied from it."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def figures(self, sample: bytes) -> Novelty:
        """The figures of a sample, its prompt left out: milliseconds for a kilobyte."""
        raise NotImplementedError

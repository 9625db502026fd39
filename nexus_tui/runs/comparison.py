"""Two to eight checkpoints side by side, and of each pair whether one is better: all verdicts at once.

Every pair is tested over the same validation text, block by block, with one critical value for the largest
of all pairs' differences: of checkpoints that are equally good, no pair is told apart CONFIDENCE of the
time (Tukey's question, with each pair's own standard error instead of a common one; simulated).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nexus_tui.runs.subject import Subject, find_subject, find_subjects
from nexus_tui.runs.ties import CONFIDENCE

__all__ = [
    "AT_MOST", "CONFIDENCE", "Comparison", "ConfigDifference", "Pair", "Subject", "Unit", "Verdict",
    "compare", "find_subject", "find_subjects",
]  # fmt: skip

AT_MOST = 8
"""Checkpoints that are compared at once."""

Verdict = Literal["better", "worse", "same", "undecided", "incomparable"]
"""Of the second of a pair: `same` means identical weights, `undecided` that the text cannot tell."""
Unit = Literal["nats/token", "bits/byte"]


@dataclass(frozen=True)
class Pair:
    """How much higher b's loss is than a's. Negative: b is better."""

    a: int
    b: int
    """Places among the subjects, a before b."""
    verdict: Verdict
    unit: Unit
    mean: float
    """Loss of b less loss of a; NaN if they are incomparable."""
    low: float
    high: float
    """The interval of `mean`; all pairs' together hold CONFIDENCE of the time. NaN without a test."""
    windows: int = 0
    """How many validation windows were compared; 0 for bits per byte, where they are not the same ones."""
    blocks: int = 0
    """How many stretches of the text were the units of the test; 0 without one."""
    bytes: int = 0
    """How much text was compared, where that is known."""
    reason: str = ""
    """Why there is no test or no comparison, in one sentence; empty if there is one."""


@dataclass(frozen=True)
class ConfigDifference:
    """A configured value that is not the same for all subjects."""

    key: str
    values: tuple[Any, ...]
    """One a subject, None where it is not on record."""


@dataclass(frozen=True)
class Comparison:
    """What `compare` found."""

    subjects: tuple[Subject, ...]
    pairs: tuple[Pair, ...]
    """Every two of them, in order."""
    config: tuple[ConfigDifference, ...]

    def pair(self, a: int, b: int) -> Pair:
        """The pair of two places, as seen from a: mean, interval and verdict are of b against a."""
        raise NotImplementedError

    def sentence(self, pair: Pair) -> str:
        """A pair in words, with the interval and what it rests on."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """As `compare --json` prints it; what is not known is None."""
        raise NotImplementedError


def compare(subjects: Sequence[Subject]) -> Comparison:
    """Compare two to eight checkpoints, of one run or several. Raises RunError for another number of them."""
    raise NotImplementedError

"""Two to eight checkpoints side by side, and of each pair whether one is better: all verdicts at once.

Losses in nats per token are compared only under one protocol: the same windows of the same text in the same
tokens. Everything else that was validated on the same text is compared in bits per byte of it, which takes
the loss of every token. `pairs` has the test.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from nexus_tui.runs.numbers import finite
from nexus_tui.runs.pairs import Apart, paired, paired_bits
from nexus_tui.runs.run import RunError
from nexus_tui.runs.settings import ConfigDifference, config_differences
from nexus_tui.runs.subject import Subject, find_subject, find_subjects
from nexus_tui.runs.ties import CONFIDENCE

__all__ = [
    "AT_LEAST", "AT_MOST", "CONFIDENCE", "WIDER", "Comparison", "ConfigDifference", "Pair", "Subject",
    "Unit", "Verdict", "compare", "config_differences", "find_subject", "find_subjects",
]  # fmt: skip

AT_LEAST, AT_MOST = 2, 8
"""How many checkpoints are compared at once."""

WIDER = (
    "Intervals of all pairs at once are wider than those of the list of checkpoints, which tests each "
    "against the best alone; the more are compared, the wider."
)
"""Why a comparison may not tell what the list of checkpoints tells."""

Verdict = Literal["better", "worse", "same", "undecided", "incomparable"]
"""Of the second of a pair: `same` means identical weights, `undecided` that the text cannot tell."""
Unit = Literal["nats/token", "bits/byte"]

_MIRRORED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class Pair:
    """How much higher b's loss is than a's. Negative: b is better, and so says the verdict."""

    a: int
    b: int
    """Places among the subjects."""
    verdict: Verdict
    unit: Unit = "nats/token"
    mean: float = math.nan
    """Loss of b less loss of a; NaN if that is not known."""
    low: float = math.nan
    high: float = math.nan
    """The interval of `mean`; all pairs' together hold CONFIDENCE of the time. NaN without a test."""
    windows: int = 0
    """How many validation windows were compared; 0 for bits per byte, where they are not the same ones."""
    blocks: int = 0
    """How many stretches of the text were the units of the test; 0 without one."""
    bytes: int = 0
    """How much text was compared; 0 where that is not known."""
    reason: str = ""
    """Why there is no test or no comparison, in one sentence; empty if there is one."""
    computable: bool = False
    """Whether the losses of all tokens, of weights that are here, might give the verdict that is missing."""

    def mirrored(self) -> "Pair":
        """The same two the other way round: of a against b."""
        verdict = _MIRRORED.get(self.verdict, self.verdict)
        return replace(
            self, a=self.b, b=self.a, verdict=verdict, mean=-self.mean, low=-self.high, high=-self.low
        )


@dataclass(frozen=True)
class Comparison:
    """What `compare` found."""

    subjects: tuple[Subject, ...]
    pairs: tuple[Pair, ...]
    """Every two of them, a before b."""
    config: tuple[ConfigDifference, ...]

    def pair(self, a: int, b: int) -> Pair:
        """Two different places in any order: mean, interval and verdict are of b against a."""
        for pair in self.pairs:
            if (pair.a, pair.b) == (a, b):
                return pair
            if (pair.b, pair.a) == (a, b):
                return pair.mirrored()
        raise IndexError(f"there is no pair {a}, {b}")

    @property
    def unbeaten(self) -> tuple[int, ...]:
        """Places of those that no other one is better than, among those that were compared at all."""
        beaten = {pair.a if pair.verdict == "better" else pair.b for pair in self.pairs if _decided(pair)}
        compared = {place for pair in self.pairs if pair.blocks for place in (pair.a, pair.b)}
        return tuple(sorted(compared - beaten))

    @property
    def one_protocol(self) -> bool:
        """Whether losses and perplexities of all can be read side by side: of the same windows and tokens."""
        pairs = combinations([subject for subject in self.subjects if subject.scored], 2)
        return all(_one_protocol(first, second) for first, second in pairs)

    def sentence(self, pair: Pair) -> str:
        """A pair in words: the verdict with its interval, or why there is none."""
        a, b = self.subjects[pair.a].label, self.subjects[pair.b].label
        if pair.reason:
            return f"{b} and {a}: {pair.reason}."
        interval = f"{signed(pair.low)} to {signed(pair.high)}"
        if pair.verdict == "undecided":
            return f"{b} cannot be told from {a}: {signed(pair.mean)} {pair.unit}, {interval}."
        return f"{b} is {pair.verdict} than {a}: {signed(pair.mean)} {pair.unit}, {interval}."

    def as_dict(self) -> dict[str, Any]:
        """As `compare --json` prints it: losses in nats per token; what is not known is None."""
        return {
            "confidence": CONFIDENCE,
            "subjects": [subject.as_dict() for subject in self.subjects],
            "pairs": [self._pair_row(pair) for pair in self.pairs],
            "unbeaten": [self.subjects[place].label for place in self.unbeaten],
            "config": {difference.key: difference.plain() for difference in self.config},
        }

    def _pair_row(self, pair: Pair) -> dict[str, Any]:
        places = {"better": pair.b, "worse": pair.a}
        better = self.subjects[places[pair.verdict]].label if pair.verdict in places else None
        return {
            "a": self.subjects[pair.a].label,
            "b": self.subjects[pair.b].label,
            "verdict": pair.verdict,
            "better": better,
            "unit": pair.unit,
            "difference": finite(pair.mean),
            "low": finite(pair.low),
            "high": finite(pair.high),
            "windows": pair.windows,
            "blocks": pair.blocks,
            "bytes": pair.bytes or None,
            "reason": pair.reason or None,
        }


def signed(value: float) -> str:
    """A difference to four digits, without a negative zero: `+0.0022`, `+0.0000`."""
    return f"{round(value, 4) + 0.0:+.4f}"


def compare(subjects: Sequence[Subject]) -> Comparison:
    """Compare two to eight checkpoints, of one run or several. Raises RunError for another number of them."""
    if not AT_LEAST <= len(subjects) <= AT_MOST:
        raise RunError(
            f"{AT_LEAST} to {AT_MOST} checkpoints are compared at once, not {len(subjects)}: name others."
        )
    drafts = [_untested(subjects, a, b) for a, b in combinations(range(len(subjects)), 2)]
    # Checkpoints that are one another's copies, or part of no test, are no chance to be wrong.
    tested = {place for pair in drafts if not pair.reason for place in (pair.a, pair.b)}
    different = {subjects[place].sha256 or place for place in tested}
    pairs = [pair if pair.reason else _tested(subjects, pair, max(2, len(different))) for pair in drafts]
    return Comparison(tuple(subjects), tuple(pairs), tuple(config_differences(subjects)))


def _untested(subjects: Sequence[Subject], a: int, b: int) -> Pair:
    """The pair with the reason for which it cannot be tested; without one, it can be."""
    first, second = subjects[a], subjects[b]
    if first.same_weights(second):
        windows = 0 if first.window_losses is None else len(first.window_losses)
        reason = "their weights are the same, bit for bit"
        return Pair(a, b, "same", mean=0.0, low=0.0, high=0.0, windows=windows, reason=reason)
    here = first.checkpoint is not None and second.checkpoint is not None
    missing = next((each for each in (first, second) if not each.scored), None)
    if missing:
        reason = f"{missing.label} was never evaluated"
        if any(e.name == missing.name for e in missing.run.evaluations):
            reason = f"{missing.label} was not evaluated as the rest of its run was last"
        return Pair(a, b, "incomparable", reason=reason, computable=here)
    if not _one_protocol(first, second):
        if first.measured and second.measured:
            return Pair(a, b, "undecided", "bits/byte")
        reason, hopeless = _why_incomparable(first, second)
        return Pair(a, b, "incomparable", reason=reason, computable=here and not hopeless)
    return _windows(a, b, first, second, here)


def _windows(a: int, b: int, first: Subject, second: Subject, here: bool) -> Pair:
    """A pair of one protocol."""
    mean = second.loss - first.loss
    for subject in (first, second):
        if not math.isfinite(subject.loss):
            return Pair(a, b, "undecided", reason=f"the loss of {subject.label} is no finite number")
        if subject.window_losses is None:
            reason = f"the losses of {subject.label} by window are not on record, so there is no test"
            return Pair(a, b, "undecided", mean=mean, reason=reason, computable=here)
    one, other = first.window_losses, second.window_losses
    if one is None or other is None or one.shape != other.shape or len(one) < 2:
        reason = "their losses by window do not match, or are of one window alone"
        return Pair(a, b, "undecided", mean=mean, reason=reason)
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return Pair(a, b, "undecided", mean=mean, reason="the loss of a window is no finite number")
    return Pair(a, b, "undecided", windows=len(one))


def _tested(subjects: Sequence[Subject], pair: Pair, checkpoints: int) -> Pair:
    """The pair with its verdict, as one of those among so many checkpoints."""
    first, second = subjects[pair.a], subjects[pair.b]
    try:
        apart = _apart(first, second, pair.unit, checkpoints)
    except ValueError as error:
        reason = f"{first.label} and {second.label} {error}"
        return replace(pair, verdict="incomparable", reason=reason)
    verdict: Verdict = "better" if apart.high < 0 else "worse" if apart.low > 0 else "undecided"
    return replace(
        pair, verdict=verdict, mean=apart.mean, low=apart.low, high=apart.high, blocks=apart.blocks,
        bytes=apart.bytes,
    )  # fmt: skip


def _apart(first: Subject, second: Subject, unit: Unit, checkpoints: int) -> Apart:
    if unit == "bits/byte" and first.measured and second.measured:
        return paired_bits(first.measured, second.measured, checkpoints)
    one, other = first.window_losses, second.window_losses
    assert one is not None and other is not None
    return paired(one, other, checkpoints)


def _one_protocol(first: Subject, second: Subject) -> bool:
    """Whether both losses are over the same windows. Within a run that does not say, they are taken to be."""
    if not first.protocol or not second.protocol:
        return first.protocol == second.protocol and first.run.folder.resolve() == second.run.folder.resolve()
    return first.protocol == second.protocol


def _why_incomparable(first: Subject, second: Subject) -> tuple[str, bool]:
    """Why two protocols differ, and whether no computation can help, as far as the record tells."""
    for subject in (first, second):
        if not subject.protocol:
            return f"the record of {subject.run.name} does not say which text its loss is of", True
    texts = [subject.run.started.corpus_sha256 for subject in (first, second) if subject.run.started]
    if len(set(texts)) > 1 and all(texts):
        return "they were validated on different texts", True
    tokenizers = [
        (subject.run.setting("data.tokenizer"), subject.run.setting("model.vocab_size"))
        for subject in (first, second)
    ]
    what = "other windows of the text"
    if tokenizers[0] != tokenizers[1]:
        what = "other tokens"
    return (
        f"their losses are over {what}, so only bits per byte of the same text compare, "
        "for which the loss of every token is needed"
    ), False


def _decided(pair: Pair) -> bool:
    return pair.verdict in ("better", "worse")

"""Which of the compared checkpoints is better, and whether the test can tell: in one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nexus_tui.runs.comparison import Pair
from nexus_tui.tui import format
from nexus_tui.tui.comparing import METHODS, Comparing
from nexus_tui.tui.lines import Span
from nexus_tui.tui.safe import plain

LISTED = 3
"""As many worse ones are told with their differences; of more, the range."""


def verdict(c: Comparing) -> list[Span]:
    """The sentence, its letters in their colours."""
    return [*_checkpoints(c), *_averages(c)]


def explained(c: Comparing) -> list[Span]:
    """The sentence, and what must be known to read the table under it."""
    spans = verdict(c)
    if c.mixed:
        text = "\nTokenizers differ: nats and perplexity do not compare, bits/byte ranks."
        spans.append((text, "muted"))
    return spans


def _averages(c: Comparing) -> list[Span]:
    """How the averages that were worked out stand against the best."""
    spans: list[Span] = []
    for method in METHODS:
        average = c.average(method)
        if average is None or c.best is None:
            continue
        pair = average.pairs[c.best]
        best = c.rows[c.best].span
        name = f" Their {method} average "
        if not pair.blocks:
            spans += [(f"{name}cannot be tested against ", "text"), best, (f": {_reason(c, pair)}.", "text")]
            continue
        if pair.verdict == "undecided":
            how = "lower" if pair.mean < 0 else "higher"
            chance = f"{name}is {how} by {_amount(pair)}, but cannot be told from "
            spans += [(chance, "text"), best, (".", "text")]
            continue
        role = "good!" if pair.verdict == "better" else "text"
        than = (f"{pair.verdict} than ", role)
        spans += [(f"{name}is ", "text"), than, best, (f" by {_amount(pair)}.", "text")]
    return spans


def _checkpoints(c: Comparing) -> list[Span]:
    best = c.best
    if best is None:
        return [("No loss of these is on record; ", "warn"), ("position (o) scores their tokens.", "text")]
    others = [place for place in range(len(c.rows)) if place != best]
    if len(others) == 1:
        return _two(c, best, others[0])
    return _several(c, best, others)


def _two(c: Comparing, best: int, other: int) -> list[Span]:
    pair = c.against(best, other)
    first, second = c.rows[best].span, c.rows[other].span
    ordered = [c.rows[0].span, (" and ", "text"), c.rows[1].span]
    if pair.verdict == "same":
        return [*ordered, (" are the same model: their weights are equal, bit for bit.", "text")]
    if pair.verdict == "incomparable":
        return [*ordered, (f" cannot be compared: {_reason(c, pair)}.{_help(c, [pair])}", "warn")]
    if not pair.blocks:
        lower = [first, (" has the lower loss, by ", "text"), (_amount(pair), "text!")]
        return [*lower, (f", but no test can tell: {_reason(c, pair)}.{_help(c, [pair])}", "warn")]
    if pair.verdict == "undecided":
        chance = f"; {c.rows[best].letter} is lower by {_amount(pair)}, which may be chance"
        return [*ordered, (" cannot be told apart", "text!"), (f"{chance}{_tested([pair])}.", "muted")]
    return [
        first, (" is better than ", "text"), second, (f" by {_amount(pair)} {pair.unit}", "text"),
        (f"{_tested([pair])}.", "muted"),
    ]  # fmt: skip


def _several(c: Comparing, best: int, others: Sequence[int]) -> list[Span]:
    pairs = {place: c.against(best, place) for place in others}
    peers = [place for place in others if pairs[place].verdict != "incomparable"]
    if not peers:
        reasons = _grouped(c, pairs, others, "")
        return [
            ("No two of these can be compared: ", "warn"),
            *reasons[1:],
            (f".{_help(c, list(pairs.values()))}", "muted"),
        ]
    tested = [pair for pair in pairs.values() if pair.blocks]
    group = f"{len(c.rows)}" if len(peers) == len(others) else f"the {len(peers) + 1} that compare"
    title = f" is the best of {group}" if tested else f" has the lowest loss of {group}"
    spans: list[Span] = [c.rows[best].span, (title, "text!")]
    same = [place for place in peers if pairs[place].verdict == "same"]
    tied = [place for place in peers if pairs[place].verdict == "undecided" and pairs[place].blocks]
    if same:
        have = "have" if len(same) > 1 else "has"
        spans += [("; ", "text"), *_letters(c, same), (f" {have} the same weights", "text")]
    if tied:
        spans += [("; ", "text"), *_letters(c, tied), (" cannot be told from it", "text")]
    spans += _worse(c, pairs, [place for place in peers if pairs[place].verdict == "worse"])
    spans.append((_tested(tested), "muted"))
    untested = [place for place in peers if pairs[place].verdict == "undecided" and not pairs[place].blocks]
    apart = [place for place in others if place not in peers]
    spans += _grouped(c, pairs, untested, " cannot be tested against it")
    spans += _grouped(c, pairs, apart, " cannot be compared with it")
    return [*spans, (f".{_help(c, [pairs[place] for place in (*untested, *apart)])}", "muted")]


def _grouped(c: Comparing, pairs: dict[int, Pair], places: Sequence[int], what: str) -> list[Span]:
    """Those for which there is no test, by the reason."""
    reasons: dict[str, list[int]] = {}
    for place in places:
        reasons.setdefault(_reason(c, pairs[place]), []).append(place)
    spans: list[Span] = []
    for reason, alike in reasons.items():
        spans += [("; ", "text"), *_letters(c, alike), (f"{what}: {reason}", "warn")]
    return spans


def _worse(c: Comparing, pairs: dict[int, Pair], worse: list[int]) -> list[Span]:
    if not worse:
        return []
    units = {pairs[place].unit for place in worse}
    if len(worse) > LISTED and len(units) == 1:
        means = [pairs[place].mean for place in worse]
        how = f"{min(means):.4f} to {max(means):.4f} {units.pop()}"
        if len(worse) == len(c.rows) - 1:
            return [(f"; every other one is worse, by {how}", "text")]
        return [("; ", "text"), *_letters(c, worse), (f" are worse by {how}", "text")]
    spans: list[Span] = []
    for index, place in enumerate(sorted(worse, key=lambda place: pairs[place].mean)):
        before = "; " if not index else " and " if index == len(worse) - 1 else ", "
        verb = " is worse by " if not index else " by "
        unit = f" {pairs[place].unit}" if len(units) > 1 or index == len(worse) - 1 else ""
        spans += [(before, "text"), c.rows[place].span, (f"{verb}{_amount(pairs[place])}{unit}", "text")]
    return spans


def _letters(c: Comparing, places: Sequence[int]) -> list[Span]:
    """`A, C and D`, each in its colour."""
    spans: list[Span] = []
    for index, place in enumerate(places):
        if index:
            spans.append((" and " if index == len(places) - 1 else ", ", "text"))
        spans.append(c.rows[place].span)
    return spans


def _amount(pair: Pair) -> str:
    """A difference and half its interval."""
    half = (pair.high - pair.low) / 2
    return f"{abs(pair.mean):.4f}{f' ± {half:.4f}' if math.isfinite(half) and pair.blocks else ''}"


def _tested(pairs: Sequence[Pair]) -> str:
    windows = {pair.windows for pair in pairs if pair.blocks and pair.windows}
    if len(windows) == 1:
        return f" (paired over {format.count(windows.pop())} windows)"
    amount = {pair.bytes for pair in pairs if pair.blocks and pair.bytes}
    return f" (paired over {format.count(max(amount))} bytes of text)" if amount else ""


def _reason(c: Comparing, pair: Pair) -> str:
    """Why a pair has no test, its checkpoints named by their letters."""
    reason = plain(pair.reason).rstrip(".")
    for row in c.rows:
        reason = reason.replace(plain(row.subject.label), row.letter)
    return reason


def _help(c: Comparing, pairs: Sequence[Pair]) -> str:
    """What to do about it, if anything can be done."""
    wanting = [p for p in pairs if getattr(p, "computable", False)]
    scored = all(c.tokens(place) for pair in wanting for place in (pair.a, pair.b))
    return " Position (o) computes it." if wanting and not scored else ""

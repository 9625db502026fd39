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
    spans = _checkpoints(c)
    if (averages := _averages(c)) and spans[-1][0].endswith("."):
        text, role = spans[-1]
        spans[-1] = (text[:-1], role)
        spans += [*averages, (".", "muted")]
    return spans


def _averages(c: Comparing) -> list[Span]:
    """How the averages that were worked out stand against the best."""
    spans: list[Span] = []
    for method in METHODS:
        average = c.average(method)
        if average is None or c.best is None:
            continue
        pair = average.pairs[c.best]
        how = {
            "better": f" is better still, by {_amount(pair)}",
            "worse": f" is worse by {_amount(pair)}",
        }.get(pair.verdict, " cannot be told from it")
        role = "good!" if pair.verdict == "better" else "text"
        spans += [("; ", "text"), (f"their {method} average", "text"), (how, role)]
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
    # The lowest mean need not be the one that the test calls better only where the two disagree on nothing.
    return [
        first, (" is better than ", "text"), second, (f" by {_amount(pair)} {pair.unit}", "text"),
        (f"{_tested([pair])}.", "muted"),
    ]  # fmt: skip


def _several(c: Comparing, best: int, others: Sequence[int]) -> list[Span]:
    pairs = {place: c.against(best, place) for place in others}
    spans: list[Span] = [c.rows[best].span]
    decided = [place for place in others if pairs[place].blocks]
    title = f" is the best of {len(c.rows)}" if decided else f" has the lowest loss of {len(c.rows)}"
    spans.append((title, "text!"))
    told = [
        (
            [p for p in others if pairs[p].verdict == "same"],
            " has the same weights",
            " have the same weights",
        ),
        (
            [p for p in others if pairs[p].verdict == "undecided" and pairs[p].blocks],
            " cannot be told from it",
            " cannot be told from it",
        ),
    ]
    for places, one, many in told:
        if places:
            spans += [("; ", "text"), *_letters(c, places), (many if len(places) > 1 else one, "text")]
    spans += _worse(c, pairs, [p for p in others if pairs[p].verdict == "worse"])
    untested = [p for p in others if pairs[p].verdict == "undecided" and not pairs[p].blocks]
    if untested:
        spans += [("; ", "text"), *_letters(c, untested), (" cannot be tested against it", "warn")]
    apart = [p for p in others if pairs[p].verdict == "incomparable"]
    if apart:
        spans += [("; ", "text"), *_letters(c, apart), (" cannot be compared with it", "warn")]
    rest = [pairs[p] for p in (*untested, *apart)]
    if rest:
        spans.append((f": {_reason(c, rest[0])}.{_help(c, rest)}", "warn"))
    spans.append((_tested(list(pairs.values())), "muted"))
    if not rest:
        spans.append((".", "muted"))
    return spans


def _worse(c: Comparing, pairs: dict[int, Pair], worse: list[int]) -> list[Span]:
    if not worse:
        return []
    if len(worse) > LISTED:
        means = [pairs[place].mean for place in worse]
        how = f"{min(means):.4f} to {max(means):.4f} {c.unit}"
        return [("; ", "text"), *_letters(c, worse), (f" are worse by {how}", "text")]
    spans: list[Span] = []
    for index, place in enumerate(sorted(worse, key=lambda place: pairs[place].mean)):
        before = "; " if not index else " and " if index == len(worse) - 1 else ", "
        verb = " is worse by " if not index else " by "
        spans += [(before, "text"), c.rows[place].span, (f"{verb}{_amount(pairs[place])}", "text")]
    return [*spans, (f" {c.unit}", "text")]


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

"""Contenders run in turn, A B A B, in one process: what disturbs the machine disturbs them all."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of every repetition of one contender, by round."""

    rounds: list[list[float]]

    @property
    def seconds(self) -> list[float]:
        """All repetitions."""
        return [seconds for repetitions in self.rounds for seconds in repetitions]

    @property
    def median(self) -> float:
        """The median repetition, seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """Fastest and slowest repetition, seconds."""
        return f"{min(self.seconds):.4g} – {max(self.seconds):.4g}"

    def over(self, other: "Timing") -> list[float]:
        """How many times as long as the other this one took in each round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return [statistics.median(own) / statistics.median(others) for own, others in pairs]


def in_turn(
    contenders: Mapping[str, Callable[[], object]],
    repetitions: int,
    warm_up: int = 1,
    often: Mapping[str, int] | None = None,
) -> dict[str, Timing]:
    """Time every contender in `repetitions` rounds, one after the other in each.

    `often` says who runs more than once in a round. `warm_up` rounds, in which each runs once, do not count.
    """
    rounds: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for repetition in range(-warm_up, repetitions):
        for name, run in contenders.items():
            seconds = []
            for _ in range((often or {}).get(name, 1) if repetition >= 0 else 1):
                started = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - started)
            if repetition >= 0:
                rounds[name].append(seconds)
    return {name: Timing(values) for name, values in rounds.items()}


def spread(values: list[float], digits: int = 2) -> str:
    """The median of some ratios, and between which half of them lie (of a few: all)."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    low, high = min(values), max(values)
    if len(values) > 3:
        low, _, high = statistics.quantiles(values, n=4)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def table(timings: Mapping[str, Timing], unit: str, per_run: float) -> str:
    """A Markdown table: `per_run` units of work a repetition; ratios of times, by round, to the first."""
    lines = [
        f"| | {unit}/s | s (median) | s (fastest – slowest) | runs | × the first's time (half of rounds) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    first = next(iter(timings.values()))
    for name, timing in timings.items():
        lines.append(
            f"| {name} | {per_run / timing.median:,.1f} | {timing.median:.4g} | {timing.spread} "
            f"| {len(timing.seconds)} | {spread(timing.over(first))} |"
        )
    return "\n".join(lines)


def goal(what: str, wanted: float, measured: float, unit: str, of: str = "", *, least: bool = False) -> str:
    """A line that says whether a goal was met: `what` is at most `wanted`, or with `least` at least."""
    met = measured >= wanted if least else measured <= wanted
    wish = " ".join(filter(None, [what, "≥" if least else "≤", f"{wanted:g}", unit, of]))
    count = f"{measured:,}" if isinstance(measured, int) else f"{measured:.3g}"
    found = " ".join(filter(None, [count, unit]))
    return f"- Goal: {wish}. Measured: {found}, **{'met' if met else 'not met'}**."

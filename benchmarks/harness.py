"""Contenders run in turn, A B A B, in one process: what disturbs the machine disturbs them all."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of every repetition of one contender."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The median repetition, seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> str:
        """Fastest and slowest repetition, seconds."""
        return f"{min(self.seconds):.4g} – {max(self.seconds):.4g}"


def in_turn(
    contenders: dict[str, Callable[[], object]], repetitions: int, warm_up: int = 1
) -> dict[str, Timing]:
    """Time every contender `repetitions` times, one after the other in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repetition in range(-warm_up, repetitions):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if repetition >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(values) for name, values in seconds.items()}


def table(timings: dict[str, Timing], unit: str, per_run: float) -> str:
    """A Markdown table: `per_run` units of work a repetition; ratios to the first contender."""
    lines = [
        f"| | {unit}/s | s (median) | s (fastest – slowest) | runs | ratio |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    first = next(iter(timings.values()))
    for name, timing in timings.items():
        lines.append(
            f"| {name} | {per_run / timing.median:,.1f} | {timing.median:.4g} | {timing.spread} "
            f"| {len(timing.seconds)} | {timing.median / first.median:.2f} × |"
        )
    return "\n".join(lines)

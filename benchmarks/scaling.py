"""Forward and backward of a training step as one size grows: length, batch, width, threads.

The model has 6.74M parameters (more or fewer at other widths); each case has a process of its own. Over
length the tokens of a step stay the same; "SSM layer" is one Mamba mixer of the model. Memory is the peak of
the process during its first step beyond what it had before: what is kept for the backward pass, and the
gradients. A scan that materialised its states would keep them in a tensor [batch, length, channel, state]: a
layer whose peak is below that tensor's size cannot have had one.
"""

import argparse
import multiprocessing
import statistics
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.charts import Chart, Series, svg, terminal
from benchmarks.harness import goal
from benchmarks.machine import cores
from benchmarks.scaling_case import Case, Result, measure

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "scaling.svg"
TOKENS = 8192
LENGTHS = tuple(128 << power for power in range(7))
BATCHES = tuple(1 << power for power in range(7))
WIDTHS = tuple(64 << power for power in range(5))
THREADS = tuple(sorted({1, cores()}))
COLOURS = dict(zip(THREADS, ("#d97706", "#2563eb"), strict=False))
Results = dict[Case, Result]


def long(length: int, threads: int, alone: bool = False) -> Case:
    """The same tokens in fewer and longer windows."""
    return Case(TOKENS // length, length, threads=threads, alone=alone)


def cases() -> list[Case]:
    """Every case once, those to compare beside each other."""
    found = [long(length, threads, True) for threads in THREADS for length in LENGTHS]
    found += [long(length, threads) for threads in THREADS for length in LENGTHS]
    found += [Case(batch, 128, threads=threads) for threads in THREADS for batch in BATCHES]
    found += [Case(4, 128, hidden, threads) for threads in THREADS for hidden in WIDTHS]
    return list(dict.fromkeys(found))


def measured(chosen: Sequence[Case]) -> Results:
    """Each case in a new process, from a server that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.scaling_case"])
    results: Results = {}
    twice = [*chosen, *(case for case in chosen if case.alone)]  # what is compared, in two rounds
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:
        for number, case in enumerate(twice, 1):
            result = processes.submit(measure, case).result()
            if before := results.get(case):
                result = Result(before.seconds + result.seconds, max(before.peak, result.peak))
            results[case] = result
            print(f"{number} of {len(twice)}: {case}", file=sys.stderr)
    return results


def speed(case: Case, results: Results) -> float:
    """Tokens/s of the median step."""
    return case.batch * case.length / statistics.median(results[case].seconds)


def on(threads: int) -> str:
    """`1 thread`, `2 threads`."""
    return f"{threads} thread{'s' * (threads > 1)}"


def table(head: str, rows: Sequence[int], case: Callable[[int, int], Case], results: Results) -> str:
    """tokens/s (slowest – fastest step, runs) by number of threads, and the peak memory."""
    cells = "".join(f" tokens/s, {on(threads)} (spread, runs) |" for threads in THREADS)
    lines = [f"| {head} |{cells} peak, MB |", f"|---:|{'---:|' * (len(THREADS) + 1)}"]
    for row in rows:
        line = f"| {row:,} |"
        for threads in THREADS:
            one = case(row, threads)
            every = [one.batch * one.length / seconds for seconds in results[one].seconds]
            line += f" {speed(one, results):,.0f} ({min(every):,.0f} – {max(every):,.0f}, {len(every)}) |"
        lines.append(f"{line} {results[case(row, THREADS[-1])].peak / 1e6:,.0f} |")
    return "\n".join(lines)


def charts(results: Results) -> list[Chart]:
    """Speed over every size, and memory over length and batch."""

    def lines(rows: Sequence[int], case: Callable[[int, int], Case]) -> list[Series]:
        return [
            Series(
                on(threads),
                [(row, speed(case(row, threads), results)) for row in rows],
                COLOURS[threads],
            )
            for threads in reversed(THREADS)
        ]

    def memory(name: str, colour: str, of: Sequence[tuple[int, Case]]) -> Series:
        return Series(name, [(row, results[case].peak / 1e6) for row, case in of], colour)

    most, across = THREADS[-1], f"sequence length, {TOKENS:,} tokens a step"
    layer = [(length, long(length, most, True)) for length in LENGTHS]
    tensor = Series(
        "[batch, length, channel, state]", [(x, c.states_bytes / 1e6) for x, c in layer], "#6b7280", True
    )
    return [
        Chart(
            "The model by length", "sequence length, 8,192 tokens a step", "tokens/s", lines(LENGTHS, long)
        ),
        Chart(
            "An SSM layer alone by length",
            across,
            "tokens/s",
            lines(LENGTHS, lambda length, threads: long(length, threads, True)),
        ),
        Chart("The model by batch", "batch, windows of 128", "tokens/s", lines(BATCHES, batched)),
        Chart("The model by width", "d_model, batch 4 × 128", "tokens/s", lines(WIDTHS, wide), log=True),
        Chart(
            "Peak memory of an SSM layer",
            across,
            "MB",
            [memory("measured", "#2563eb", layer), tensor],
        ),
        Chart(
            "Peak memory of the model",
            "batch, windows of 128",
            "MB",
            [memory("measured", "#2563eb", [(batch, batched(batch, most)) for batch in BATCHES])],
            log=True,
        ),
    ]


def batched(batch: int, threads: int) -> Case:
    """So many windows of 128."""
    return Case(batch, 128, threads=threads)


def wide(hidden: int, threads: int) -> Case:
    """A model of so many channels."""
    return Case(4, 128, hidden, threads)


def main() -> None:
    """Print tables, goals and, on the error output, charts; write the picture."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--picture", type=Path, default=PICTURE, help="default: docs/pictures/scaling.svg")
    picture = parser.parse_args().picture
    results = measured(cases())
    drawn = charts(results)
    picture.write_text(svg(drawn), "utf-8")
    for chart in drawn:
        print(f"\n{terminal(chart)}", file=sys.stderr)
    print("![tokens/s over length, batch and width, and peak memory](pictures/scaling.svg)\n")
    tables = (
        ("SSM layer: length", LENGTHS, lambda length, threads: long(length, threads, True)),
        ("model: length", LENGTHS, long),
        ("model: batch × 128", BATCHES, batched),
        ("model: d_model, batch 4 × 128", WIDTHS, wide),
    )
    for head, rows, case in tables:
        print(table(head, rows, case, results), "\n")
    for threads in THREADS:
        ends = [speed(long(length, threads, True), results) for length in (LENGTHS[-1], LENGTHS[0])]
        what = f"an SSM layer's tokens/s at length 8,192 on {on(threads)} are"
        print(goal(what, 0.7, ends[0] / ends[1], "×", "those at 128", least=True))
    share = max(results[case].peak / case.states_bytes for case in results if case.alone)
    print(goal("an SSM layer's peak memory is", 1, share, "×", "one tensor [batch, length, channel, state]"))


if __name__ == "__main__":
    main()

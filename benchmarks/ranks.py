"""A training step by several processes: what two gain, and what more of them would, on paper.

`nexus-byte`, 6.74M parameters, a batch of 16 × 128 bytes, forward to update. Two processes of one thread
share the batch over gloo on this machine: their gradients are summed (DDP), or the model is divided (FSDP2).
Processor time is that of all processes of a contender: what it takes besides one's is the price of sharing,
also where other work on the machine spoils the time on the clock.

On paper, a step of n processes is the processor time of its rows, a + b · rows from two batches measured,
and that of a sum around a ring: 2 (n - 1) / n of the gradients' bytes over the slowest link, and 2 (n - 1)
times its latency (Patarasuk and Yuan, J. Parallel Distrib. Comput. 69, 2009). That nothing of it hides behind
the backward pass is assumed, though much does.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.harness import goal, in_turn, table

STEPS = 2
"""In a repetition."""
BATCH = 16
LINKS = {
    "1 Gbit/s, 100 µs": (0.125e9, 1e-4),
    "10 Gbit/s, 50 µs": (1.25e9, 5e-5),
    "100 Gbit/s, 10 µs": (12.5e9, 1e-5),
}
"""Bytes a second and seconds of one message."""
LARGE = ["model.hidden_size=768", "model.intermediate_size=2688", "model.num_attention_heads=24"]
LARGE += ["model.num_key_value_heads=6", "model.mamba_dt_rank=48", "budget.batch=2", "data.window=32"]


class Case:
    """Processes that take steps together when they are told to."""

    def __init__(self, size: int, threads: int, *arguments: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        shared |= {"WORLD_SIZE": str(size), "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "benchmarks.ranks_case", *arguments]
        self.spent: list[float] = []
        """Processor seconds of a step, of each repetition."""
        self.others = [
            subprocess.Popen(command, env=os.environ | shared | {"RANK": str(rank)})
            for rank in range(1, size)
        ]
        self.first = subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, line: str) -> list[float]:
        """What process 0 answers."""
        assert self.first.stdin and self.first.stdout
        self.first.stdin.write(f"{line}\n")
        self.first.stdin.flush()
        answer: list[float] = json.loads(self.first.stdout.readline())
        return answer

    def step(self) -> None:
        """Take STEPS steps."""
        before = self.processor()
        self.ask(str(STEPS))
        self.spent.append((self.processor() - before) / STEPS)

    def processor(self) -> float:
        """Seconds of processor time that all of them have taken."""
        ticks = 0
        for process in (self.first, *self.others):
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def case(size: int, threads: int, *arguments: str) -> Iterator[Case]:
    """Processes, of which none outlives this."""
    made = Case(size, threads, *arguments)
    try:
        yield made
        assert made.first.stdin
        made.first.stdin.close()
        made.first.wait(60)
    finally:
        for process in (made.first, *made.others):
            process.kill()
            process.wait()


def on_paper(
    rows: tuple[float, float], parameters: float, link: tuple[float, float], n: int, batch: float
) -> float:
    """Seconds of a step of n processes with a batch: `rows` are a and b, `link` bytes/s and seconds."""
    a, b = rows
    speed, latency = link
    return a + b * batch / n + (2 * (n - 1) / n * 4 * parameters / speed + 2 * (n - 1) * latency) * (n > 1)


def paper(rows: tuple[float, float], parameters: float) -> str:
    """A table: by how much n processes are faster, with one batch shared and with a batch for each."""
    lines = ["| processes | " + " | ".join(LINKS) + " |", "|---:|" + "---:|" * len(LINKS)]
    for n in (2, 4, 8, 16, 64):
        cells = []
        for link in LINKS.values():
            one = on_paper(rows, parameters, link, 1, BATCH)
            own = n * one / on_paper(rows, parameters, link, n, BATCH * n)
            shared = f"{one / on_paper(rows, parameters, link, n, BATCH):.1f}" if n <= BATCH else "–"
            cells.append(f"{shared} · {own:.1f}")
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def memory() -> dict[str, list[float]]:
    """Parameters, and the most bytes of process 0 for each, of a larger model: alone, with two, divided."""
    found = {}
    for name, size, options in (("one", 1, []), ("DDP", 2, []), ("FSDP2", 2, ["--shard"])):
        with case(size, 1, *LARGE, *options) as made:
            made.ask("3")
            found[name] = made.ask("memory")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=12)
    repetitions = parser.parse_args().repetitions
    kinds: Mapping[str, tuple[int, int, list[str]]] = {
        "one process, one thread": (1, 1, []),
        "one process, two threads": (1, 2, []),
        "two processes of one thread (DDP)": (2, 1, []),
        "two processes of one thread (FSDP2)": (2, 1, ["--shard"]),
        "one process, one thread, half the batch": (1, 1, [f"budget.batch={BATCH // 2}"]),
    }
    with ExitStack() as stack:
        cases = {name: stack.enter_context(case(*kind[:2], *kind[2])) for name, kind in kinds.items()}
        parameters = cases["one process, one thread"].ask("memory")[0]
        timings = in_turn({name: each.step for name, each in cases.items()}, repetitions, warm_up=2)
    print(table(timings, "batches", STEPS), "\n")
    print("| | processor s of a step (median) | × the first's |\n|---|---:|---:|")
    spent = {name: statistics.median(each.spent) for name, each in cases.items()}
    first = spent["one process, one thread"]
    for name, seconds in spent.items():
        print(f"| {name} | {seconds:.3f} | {seconds / first:.2f} |")
    print()
    one, threads, ddp, _, _ = timings.values()
    whole, part = first, spent["one process, one thread, half the batch"]
    rows = (max(2 * part - whole, 0.0), (whole - max(2 * part - whole, 0.0)) / BATCH)
    print(f"A step of one thread is {rows[0]:.3f} s and {rows[1]:.4f} s for each row.\n")
    print(goal("two processes (DDP) take", 0.65, statistics.median(ddp.over(one)), "×", "the time of one"))
    shared = spent["two processes of one thread (DDP)"] / first
    print(goal("both of them together take", 1.2, shared, "×", "the processor time of one"))
    print(goal("they take", 1.15, statistics.median(ddp.over(threads)), "×", "that of one with two threads"))
    print(
        "\nTimes as fast as one process, on paper: with its batch shared · with as large a batch for each.\n"
    )
    print(paper(rows, parameters), "\n")
    found = memory()
    print(
        f"Most memory of process 0, a model of {found['one'][0] / 1e6:.0f}M parameters, bytes a parameter:\n"
    )
    print("| one process | two (DDP) | two (FSDP2) |\n|---:|---:|---:|")
    print("| " + " | ".join(f"{bytes:.1f}" for _, bytes in found.values()) + " |\n")
    print(
        goal(
            "two that divide the model take",
            0.9,
            found["FSDP2"][1] / found["one"][1],
            "×",
            "the memory of one",
        )
    )


if __name__ == "__main__":
    main()

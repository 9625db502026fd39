"""Feed every parser, and say what became of it: `python -m tools.fuzz [--share 1] [--seconds 900] [--lines]`.

`--share` is of the inputs that a whole run has, a little more than a million; `--seconds` bounds each parser.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.machine import machine
from tools.fuzz.targets import Target, targets


@dataclass(frozen=True)
class Fed:
    """One parser, and what became of its inputs."""

    target: Target
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    grown: int = 0
    lines: str = ""
    """Of its functions, reached and all; empty where that was not asked."""
    defects: tuple[str, ...] = ()


def feed_all(seconds: float, share: float = 1.0, lines: bool = False, at_once: int = 2) -> Iterator[Fed]:
    """Feed every parser for so many seconds at most, so many at once; each as it ends."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda target: feed(target, seconds, share, lines), targets().values())


def feed(target: Target, seconds: float, share: float, lines: bool) -> Fed:
    """Feed one parser in a process of its own."""
    inputs = max(10, int(target.inputs * share))
    with tempfile.TemporaryDirectory() as corpus:
        asked = [target.name, "--inputs", str(inputs), "--seconds", str(seconds), "--corpus", corpus]
        if not guided():
            asked.append("--unguided")
        done = _python("tools.fuzz.one", *asked, limit=seconds + 120)
        told = _last_json(done.stdout)
        if told is None:
            why = f"the process ended with {done.returncode}: {done.stderr.strip()[-300:]}"
            return Fed(target, defects=(why,))
        reached = (
            _python("tools.fuzz.lines", target.name, corpus, limit=seconds + 120).stdout if lines else ""
        )
    return Fed(
        target, told["inputs"], told["refused"], told["seconds"], told["slowest"], told["grown"],
        reached.strip(), tuple(f"{where}: {what}" for where, what in told["defects"].items()),
    )  # fmt: skip


def guided() -> bool:
    """Whether atheris is there to guide by coverage."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        return False
    return True


def table(all_fed: Iterable[Fed]) -> list[str]:
    """A row for each parser."""
    rows = [
        "| what is read | inputs | refused | lines reached | slowest, ms | grown, MB | seconds | defects |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return rows + [
        f"| {f.target.name} | {f.inputs:,} | {f.refused:,} | {f.lines or '–'} | {f.slowest * 1000:.0f} "
        f"| {f.grown / 1e6:.1f} | {f.seconds:.0f} | {len(f.defects)} |"
        for f in all_fed
    ]


def _python(module: str, *arguments: str, limit: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it did not end within {limit:.0f} s")


def _last_json(printed: str) -> dict[str, object] | None:
    for line in reversed(printed.splitlines()):
        if line.startswith('{"inputs"'):
            found: dict[str, object] = json.loads(line)
            return found
    return None


def main() -> int:
    """Feed all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--lines", action="store_true")
    asked = parser.parse_args()
    began = time.monotonic()
    found = []
    for fed in feed_all(asked.seconds, asked.share, asked.lines, asked.at_once):
        found.append(fed)
        print(f"{fed.target.name}: {fed.inputs:,}", file=sys.stderr, flush=True)
    defects = [f"- {fed.target.name}: {defect}" for fed in found for defect in fed.defects]
    inputs, how = sum(f.inputs for f in found), "guided by coverage" if guided() else "changed at random"
    took = f"{time.monotonic() - began:,.0f} s, {asked.at_once} at once"
    told = [f"## {inputs:,} inputs", "", f"{date.today().isoformat()} · {machine()} · {took} · {how}", ""]
    told += [*table(found), "", *(defects or ["No defect."])]
    print(Path(__file__).with_name("page.md").read_text("utf-8").replace("{run}", "\n".join(told)), end="")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())

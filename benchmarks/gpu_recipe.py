"""The tuned byte recipe on a GPU, from its first step to its last, and the loss that it reaches.

2,000 steps of 16 × 128 tokens, 4.1M in all, as `nexus-tui train` runs them: the trainer, its journal,
checkpoints and samples. First a run of a few steps, with which kernels are compiled, once on a machine.
Then the recipe with its evaluation, checkpoint and samples at the end, whose steps the goal is about: the
clock runs from the journal's `started` until the loss of the last step is in it, evaluation apart. Then the
recipe as it is, with ten of each.
"""

import json
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.gpu_case import Place, configuration, place
from benchmarks.harness import goal
from nexus_tui.runs.run import Run
from nexus_tui.training.launch import Launch
from nexus_tui.training.session import Session

RECIPE, TINY = "nexus-byte-tuned", "nexus-tiny"
RECORDED = Path(__file__).parents[1] / "models" / RECIPE
SHORT = 20
WANTED = 15.0
NEAR = 0.02
"""Nats per token between trainings that leave out other numbers (dropout), and no more."""


@dataclass(frozen=True)
class Trained:
    """What became of a run; times are seconds."""

    steps: int
    tokens: int
    stepping: float
    """From the first step's beginning until the last one's loss is known, and whatever was done meanwhile."""
    evaluating: float
    """In evaluations."""
    whole: float
    """Of everything, from the call that began it."""
    loss: float
    """Of the last evaluation, nats per token."""
    device: str


def trained(where: Place, folder: Path, name: str, steps: int, every: int) -> Trained:
    """Train the recipe so far, evaluated and saved every so many steps."""
    settings: dict[str, Any] = {"evaluation.every": every, "checkpoint.every": every}
    if where.quick:
        settings |= {"schedule.warmup": 1, "sampling.max_tokens": 4}
        settings["data.corpus"] = str(folder / "text.txt")
        Path(settings["data.corpus"]).write_text("To be, or not to be. " * 100, "utf-8")
    config = configuration(TINY if where.quick else RECIPE, settings | {"budget.steps": steps})
    began = time.perf_counter()
    session = Session.start(folder, config, name, launch=Launch(device=where.device.type))
    session.join()
    whole, run = time.perf_counter() - began, Run.open(session.folder)
    if not run.ended or run.ended.reason != "finished":
        raise SystemExit(f"The training of {name} ended: {run.ended.message if run.ended else session.error}")
    return told(run, whole)


def told(run: Run, whole: float) -> Trained:
    """Of a run that has ended, what its journal says."""
    lines = (run.folder / "journal.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    of: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        of.setdefault(event["event"], []).append(event)
    stepped, evaluated = of["step"][-1], of["evaluated"]
    times = [datetime.fromisoformat(event["time"]) for event in (of["started"][0], stepped)]
    return Trained(
        steps=stepped["step"],
        tokens=stepped["tokens"],
        stepping=(times[1] - times[0]).total_seconds(),
        evaluating=sum(event.get("seconds", 0.0) for event in evaluated),
        whole=whole,
        loss=evaluated[-1]["loss"],
        device=of["device"][0]["device"],
    )


def main() -> None:
    """Print the table and the goal."""
    where = place(__doc__, repetitions=1)
    steps = 4 if where.quick else 2000
    short = 2 if where.quick else SHORT
    cases = {
        f"{short} steps, the first on this machine": (short, short),
        f"{steps:,} steps, evaluated at the end": (steps, steps),
        f"{steps:,} steps, evaluated ten times": (steps, max(1, steps // 10)),
    }
    print("| | first step to last, s | evaluations, s | all, s | tokens/s, first step to last | nats/token |")
    print("|---|---:|---:|---:|---:|---:|")
    found: list[Trained] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (count, every)) in enumerate(cases.items()):
            one = trained(where, Path(folder), f"run-{number}", count, every)
            found.append(one)
            print(
                f"| {name} | {one.stepping:.2f} | {one.evaluating:.2f} | {one.whole:.2f} "
                f"| {one.tokens / one.stepping:,.0f} | {one.loss:.4f} |",
                flush=True,
            )
    recorded = Run.open(RECORDED)
    reached = next(each.loss for each in recorded.trained if each.step == recorded.total_steps)
    end = found[1]
    print(f"\nTrained on {end.device}. On record, trained on CPUs: {reached:.4f} nats per token.\n")
    print(goal(f"the {end.steps:,} steps of the tuned byte recipe take", WANTED, end.stepping, "s"))
    print(goal("the loss that they reach is above the one on record by", NEAR, end.loss - reached, "nats"))


if __name__ == "__main__":
    main()

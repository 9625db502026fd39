"""What equal time buys: bits per byte of runs after so many minutes of training on this machine.

The runs are on record: the tuned byte and BPE models in models/, and in benchmarks/runs a plain GPT of their
size over bytes (tools/train_gpt.py), with the better of two recipes that were tried for it; and there, as
`…-start`, the first minutes of all three once more, evaluated within them. How long a step takes is measured
here, all three in turn, and not taken from the record: a loss at a step does not depend on what else a
machine had to do. Evaluations, some seconds each, are not counted.
"""

import argparse
import math
from pathlib import Path

from benchmarks.gpt import GPTLearner
from benchmarks.harness import in_turn, table
from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.runs.run import Run
from nexus_tui.training.learner import Learner

RUNS = Path(__file__).parent / "runs"
SHIPPED = Path(__file__).parents[1] / "models"
NAMES = ("nexus-byte-tuned", "nexus-bpe-tuned", "gpt")
MINUTES = (1, 5, 15, 45)


def learner(run: Run) -> Learner | GPTLearner:
    """A learner by the recipe of a run, at its beginning."""
    config = RunConfig.check(run.config, run.name)
    data = config.data
    dataset = prepare(load_corpus(data.corpus), data.tokenizer, config.model.vocab_size, data.validation)
    return (GPTLearner if run.kind == "gpt" else Learner)(config, dataset)


def after(run: Run, minutes: float, seconds: float) -> str:
    """Bits per byte at the last evaluation within so many minutes, of `seconds` a step, and its step."""
    start = RUNS / f"{run.name}-start"
    evaluations = [*(Run.open(start).trained if start.exists() else []), *run.trained]
    reached = [
        evaluation
        for evaluation in evaluations
        if evaluation.step * seconds <= minutes * 60 and math.isfinite(evaluation.bits_per_byte)
    ]
    if not reached:
        return "–"
    last = max(reached, key=lambda evaluation: evaluation.step)
    ended = ", its end" if last.step == run.total_steps else ""
    return f"{last.bits_per_byte:.4f} (step {last.step:,}{ended})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    runs = {name: Run.open((RUNS if name == "gpt" else SHIPPED) / name) for name in NAMES}
    learners = {name: learner(run) for name, run in runs.items()}
    timings = in_turn({name: one.advance for name, one in learners.items()}, arguments.repetitions, warm_up=2)
    print(table(timings, "tokens", 2048))
    print("\n| minutes of training | " + " | ".join(runs) + " |\n|---:|" + "---|" * len(runs))
    for minutes in MINUTES:
        cells = (after(run, minutes, timings[name].median) for name, run in runs.items())
        print(f"| {minutes} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

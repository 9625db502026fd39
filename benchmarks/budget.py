"""What equal time buys: bits per byte of runs after so many minutes of training on this machine.

The runs are on record in benchmarks/runs: the tuned byte and BPE models, a plain GPT of their size
(tools/train_gpt.py), and as `…-start` the first steps of each once more, evaluated more often. How long a
step takes is measured here, all three in turn, and not taken from the record: a loss at a step does not
depend on what else their machine had to do.
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
    evaluations = [*Run.open(RUNS / f"{run.name}-start").evaluations, *run.evaluations]
    reached = [e for e in evaluations if e.step * seconds <= minutes * 60 and math.isfinite(e.bits_per_byte)]
    if not reached:
        return "–"
    last = max(reached, key=lambda e: e.step)
    ended = " (end)" if last.step == run.evaluations[-1].step else ""
    return f"{last.bits_per_byte:.4f} at {last.step:,}{ended}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=10)
    arguments = parser.parse_args()
    runs = {name: Run.open(RUNS / name) for name in NAMES}
    timings = in_turn(
        {name: learner(run).advance for name, run in runs.items()}, arguments.repetitions, warm_up=2
    )
    print(table(timings, "tokens", 2048))
    print("\n| minutes of training | " + " | ".join(runs) + " |\n|---:|" + "---|" * len(runs))
    for minutes in MINUTES:
        cells = (after(run, minutes, timings[name].median) for name, run in runs.items())
        print(f"| {minutes} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

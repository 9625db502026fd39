"""Train a plain GPT of the reference model's size on the same windows, and keep that as a run.

    python tools/train_gpt.py RUNS --model nexus-byte-tuned

follows the recipe of that preset and writes RUNS/gpt: a journal that the app reads like any other.
It has no checkpoints.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.gpt import GPTLearner
from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.runs import journal as j
from nexus_tui.training.evaluation import Validation, summary, validation


def train(learner: GPTLearner, scored: Validation, journal: j.Journal) -> None:
    """Train to the end of the budget, putting every step and evaluation on record."""
    config = learner.config
    while learner.step < config.budget.steps:
        done, step = learner.advance(), learner.step
        journal.append(
            j.StepEvent(
                step=step,
                loss=done.loss,
                lr=done.lr,
                grad_norm=done.grad_norm,
                tokens=step * config.budget.batch * config.data.window,
                seconds=round(done.seconds, 6),
            )
        )
        if step % config.evaluation.every == 0 or step == config.budget.steps:
            loss, stderr = summary(np.concatenate(list(scored.losses(learner.model))))  # type: ignore[arg-type]
            journal.append(
                j.EvaluatedEvent(
                    step=step,
                    checkpoint="",
                    loss=loss,
                    stderr=stderr,
                    bits_per_byte=scored.bits_per_byte(loss),
                    windows=len(scored.inputs),
                    protocol=scored.protocol,
                )
            )


def main() -> None:
    """Train it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--name", default="gpt")
    parser.add_argument("--model", default="nexus-byte", help="the preset whose recipe is followed")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    arguments = parser.parse_args()
    config = RunConfig.load(arguments.model, arguments.set)
    data = config.data
    dataset = prepare(load_corpus(data.corpus), "byte", 256, data.validation, holdout=data.holdout)
    folder = arguments.runs / arguments.name
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(config.to_toml())
    journal = j.Journal(folder / "journal.jsonl")
    learner = GPTLearner(config, dataset)
    journal.append(
        j.StartedEvent(
            kind="gpt",
            parameters=sum(parameter.numel() for parameter in learner.model.parameters()),
            train_tokens=len(dataset.train),
            validation_tokens=len(dataset.validation),
            validation_bytes=dataset.validation_bytes,
        )
    )
    train(learner, validation(dataset, data.window), journal)
    journal.append(j.EndedEvent(step=config.budget.steps, reason="finished"))


if __name__ == "__main__":
    main()

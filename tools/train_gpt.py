"""Train a plain GPT of the reference model's size on the same windows, and keep that as a run.

    python tools/train_gpt.py RUNS --model nexus-byte-tuned

follows the recipe of that preset and writes RUNS/gpt: a journal that the app reads like any other.
It has no checkpoints.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.gpt import GPTLearner
from nexus_tui import Journal
from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.training.evaluation import Validation, validation


def train(learner: GPTLearner, scored: Validation, journal: Journal) -> None:
    """Train to the end of the budget, putting every step and evaluation on record."""
    config = learner.config
    while learner.step < config.budget.steps:
        done, step = learner.advance(), learner.step
        tokens = step * config.budget.batch * config.data.window
        journal.step(step, done.loss, done.lr, grad_norm=done.grad_norm, tokens=tokens, seconds=done.seconds)
        if step % config.evaluation.every == 0 or step == config.budget.steps:
            losses = np.concatenate(list(scored.losses(learner.model)))  # type: ignore[arg-type]
            bits = scored.bits_per_byte(float(losses.mean(dtype=np.float64)))
            journal.evaluate(step, losses, bits_per_byte=bits, protocol=scored.protocol)


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
    learner = GPTLearner(config, dataset)
    with Journal.create(
        arguments.runs / arguments.name,
        config.model_dump(),
        parameters=sum(parameter.numel() for parameter in learner.model.parameters()),
        train_tokens=len(dataset.train),
        validation_tokens=len(dataset.validation),
        validation_bytes=dataset.validation_bytes,
    ) as journal:
        train(learner, validation(dataset, data.window), journal)


if __name__ == "__main__":
    main()

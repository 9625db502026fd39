"""The batch of a step, to be read: where its windows are in the training part, and their text."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_tui.config import ConfigError, RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.data.tokenizer import load_tokenizer
from nexus_tui.data.windows import window_starts
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.preparing import shuffled


@dataclass(frozen=True)
class Seen:
    """One window of a batch."""

    place: int
    """Its first token, counted from the beginning of the training part."""
    text: str
    """Of its inputs; bytes that are no character are shown as such."""


def windows_of(dataset: Dataset, config: RunConfig, step: int) -> list[Seen]:
    """The windows that a step learns from, in the order of the batch. Raises CorpusError."""
    window, size = config.data.window, config.budget.batch
    starts = window_starts(dataset.train, window, size, config.run.seed, step, dataset.shuffle)
    words = dataset.token_bytes

    def text(start: int) -> str:
        ids = dataset.train[start : start + window]
        return b"".join(words[int(id)] for id in ids).decode("utf-8", "replace")

    return [Seen(int(start), text(int(start))) for start in starts]


def batch_of(run: Run, step: int) -> tuple[RunConfig, list[Seen]]:
    """A run's configuration and the batch of one of its steps, from its corpus as it is now.

    Raises RunError if the corpus is not the run's any more; ConfigError, CorpusError, ValueError.
    """
    if run.kind != "run" or not run.config:
        raise RunError(f"{run.name} is a record of another program's run: what it learned from is not known.")
    config = RunConfig.check(run.config, str(run.folder / "run.toml"))
    if step < 1:
        raise ConfigError(f"There is no step {step}: steps count from 1.")
    corpus = load_corpus(config.data.corpus, config.data.field)
    if run.started and run.started.corpus_sha256 not in ("", corpus.sha256):
        raise RunError(f"the corpus {config.data.corpus} is not the one that {run.name} was trained on.")
    path = run.folder / "tokenizer.json"
    dataset = prepare(
        corpus,
        config.data.tokenizer,
        config.model.vocab_size,
        config.data.validation,
        holdout=config.data.holdout,
        tokenizer=load_tokenizer(path) if path.is_file() else None,
    )
    return config, windows_of(shuffled(dataset, config, run.started), config, step)

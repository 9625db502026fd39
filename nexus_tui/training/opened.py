"""A checkpoint with the validation windows it was evaluated on: the one way to compute its losses anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.data.tokenizer import load_tokenizer
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import load_model
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.evaluation import Validation, validation


@dataclass(frozen=True, eq=False)
class Opened:
    """A checkpoint's model and the text that it is scored on."""

    checkpoint: Checkpoint
    dataset: Dataset
    validation: Validation

    @cached_property
    def model(self) -> HybridLM:
        """Its model, read when first asked for. Raises ValueError or OSError if that fails.

        The weights are taken as they are on disk: whether their SHA-256 is right is another question
        (`Checkpoint.verify`).
        """
        return load_model(self.checkpoint.path).eval()


def opened(run: Run, checkpoint: Checkpoint, protocol: str = "") -> Opened:
    """Open a kept checkpoint of a run; `protocol` is that of its evaluation on record, if it has one.

    Raises RunError if that was over other windows than the corpus gives now, CorpusError, ConfigError and
    ValueError for what cannot be read.
    """
    config = RunConfig.check(run.config, str(run.folder / "run.toml"))
    dataset = prepare(
        load_corpus(config.data.corpus, config.data.field),
        config.data.tokenizer,
        config.model.vocab_size,
        config.data.validation,
        holdout=config.data.holdout,
        tokenizer=load_tokenizer(checkpoint.path / "tokenizer.json"),
    )
    windows = validation(dataset, config.data.window)
    if protocol and windows.protocol != protocol:
        raise RunError(
            f"step {checkpoint.step} was evaluated on another text, tokenizer or window than "
            f"{config.data.corpus} gives now; put the old corpus back to compare."
        )
    return Opened(checkpoint, dataset, windows)

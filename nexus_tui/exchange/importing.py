"""A Hugging Face model folder as a run of ours: to sample, score, compare, and train on."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nexus_tui import __version__
from nexus_tui.config import RunConfig
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint, link_best, save_checkpoint, save_window_losses
from nexus_tui.runs.naming import NAME, why_not_called
from nexus_tui.runs.run import Run

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from nexus_tui.data.dataset import Dataset
    from nexus_tui.lm.hybrid import HybridLM

TOKENIZER = "tokenizer.json"
CHECKPOINT = "step_0"
IMPORTED = "imported"
"""How such a run ended, until somebody trains it on."""


@dataclass(frozen=True)
class _Taken:
    """What an import is made of, all of it checked."""

    source: Path
    model: HybridLM
    tokenizer: Tokenizer
    config: RunConfig
    dataset: Dataset | None
    """None where no corpus was named."""


def import_folder(
    source: Path, runs_folder: Path, name: str = "", *, corpus: str = "", settings: Sequence[str] = ()
) -> Run:
    """Make a run of a Jamba-type model folder with one expert a layer; its weights become step 0.

    With a `corpus` (a name or path) the model is evaluated on its validation windows, and can be trained on:
    by the usual recipe, as `settings` (`table.key=value`) change it. The name defaults to the folder's.
    The run appears whole, or not at all. Raises ExchangeError, ConfigError, CorpusError, TokenizerError,
    FileNotFoundError or ValueError, each in a sentence that names what is wrong.
    """
    taken = _taken(source, corpus, settings)
    place = runs_folder / (name or _free_name(runs_folder, source))
    if why := why_not_called(runs_folder, place.name):
        raise ExchangeError(why)
    hidden: Path | None = None
    try:
        runs_folder.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".importing-", dir=runs_folder))
        folder = hidden / place.name  # one deeper: half a run is none to who lists the runs folder
        folder.mkdir()
        _write(folder, taken)
        if os.path.lexists(place):
            raise ExchangeError(why_not_called(runs_folder, place.name))
        folder.rename(place)
    except OSError as error:
        raise ExchangeError(f"{place} cannot be written ({error.strerror or error}).") from error
    finally:
        if hidden:
            shutil.rmtree(hidden, ignore_errors=True)
    return Run(place)


def _taken(source: Path, corpus: str, settings: Sequence[str]) -> _Taken:
    from nexus_tui.data.corpus import load_corpus
    from nexus_tui.data.dataset import prepare
    from nexus_tui.data.tokenizer import is_bytes
    from nexus_tui.lm.pretrained import load_config, load_model

    if not source.is_dir():
        raise ExchangeError(f"{source} is no folder; name one with config.json and model.safetensors in it.")
    model_config = load_config(source)
    tokenizer = _tokenizer(source, model_config.vocab_size)
    plain = is_bytes(tokenizer)
    tables = {
        "description": f"imported from {source.resolve().name}",
        "preset": source.resolve().name,
        "model": model_config.model_dump(),
        "data": {"tokenizer": "byte" if plain else "bpe", "corpus": corpus},
        "sampling": {},
    }
    config = RunConfig.overridden(tables, settings, str(source))
    if config.model != model_config:
        raise ExchangeError("--set model.…: the architecture is that of the folder and cannot be changed.")
    dataset = None
    if config.data.corpus:
        dataset = prepare(
            load_corpus(config.data.corpus, config.data.field),
            config.data.tokenizer,
            model_config.vocab_size,
            config.data.validation,
            holdout=config.data.holdout,
            tokenizer=tokenizer,
        )
        dataset.require(config.data.window)
    model = load_model(source).eval()
    for tensor_name, tensor in model.state_dict().items():
        if not tensor.isfinite().all():
            raise ExchangeError(
                f"{source}: {tensor_name} holds numbers that are not finite; nothing was taken."
            )
    return _Taken(source, model, tokenizer, config, dataset)


def _tokenizer(source: Path, vocabulary: int) -> Tokenizer:
    """The folder's tokenizer with an id for every row of the embeddings, which are often a few more."""
    from tokenizers import AddedToken

    from nexus_tui.data.tokenizer import load_tokenizer, token_bytes

    if not (source / TOKENIZER).is_file():
        raise ExchangeError(
            f"{source} has no {TOKENIZER}: save its tokenizer there too, as in "
            "AutoTokenizer.from_pretrained(…).save_pretrained(DIR)."
        )
    tokenizer = load_tokenizer(source / TOKENIZER)
    known = tokenizer.get_vocab_size()
    if known > vocabulary:
        raise ExchangeError(f"{source / TOKENIZER} has {known:,} ids, and the model only {vocabulary:,}.")
    if known < vocabulary:
        tokenizer.add_special_tokens([AddedToken(f"<unused_{id}>") for id in range(known, vocabulary)])
    token_bytes(tokenizer)  # raises for one that cannot be used
    return tokenizer


def _free_name(runs_folder: Path, source: Path) -> str:
    """The folder's name as a run can be called, numbered if there is such a run."""
    name = re.sub(r"[^\w.+-]+", "-", source.resolve().name).strip("-._+")[:90] or "model"
    if not NAME.fullmatch(name):
        name = "model"
    numbered = (f"{name}-{number}" for number in range(2, 1_000_000))
    return next(each for each in (name, *numbered) if not os.path.lexists(runs_folder / each))


def _write(folder: Path, taken: _Taken) -> None:
    """Fill a run's folder."""
    from nexus_tui.lm.hybrid import parameter_count

    (folder / "run.toml").write_text(taken.config.to_toml(), "utf-8")
    taken.tokenizer.save(str(folder / TOKENIZER))
    saved = _save(folder, taken)
    dataset = taken.dataset
    journal = j.Journal(folder / "journal.jsonl")
    try:
        journal.append(
            j.StartedEvent(
                version=__version__,
                parameters=parameter_count(taken.model),
                corpus_sha256=dataset.corpus.sha256 if dataset else "",
                train_tokens=len(dataset.train) if dataset else 0,
                validation_tokens=len(dataset.validation) if dataset else 0,
                validation_bytes=dataset.validation_bytes if dataset else 0,
            ),
            j.NotedEvent(step=0, text=f"imported from {taken.source.resolve()}"),
            j.SavedEvent(step=0, checkpoint=CHECKPOINT, sha256=saved.sha256, bytes=saved.bytes),
            *([_evaluated(folder, taken, dataset)] if dataset else []),
            j.EndedEvent(step=0, reason=IMPORTED),
            durable=True,
        )
        if journal.failure:
            raise journal.failure
    finally:
        journal.close()
    if dataset:
        link_best(folder, saved)


def _save(folder: Path, taken: _Taken) -> Checkpoint:
    """The weights as a checkpoint; with a text to train on, one that training can go on from."""
    from nexus_tui.lm.pretrained import save_model
    from nexus_tui.training.learner import Learner

    def plainly(place: Path) -> None:
        save_model(taken.model, place)
        taken.tokenizer.save(str(place / TOKENIZER))

    write: Callable[[Path], None] = plainly
    if taken.dataset:
        learner = Learner(taken.config, taken.dataset)
        learner.model.load_state_dict(taken.model.state_dict())
        learner.optimizer.begin()  # it has seen no gradient yet
        write = learner.kept().write
    return save_checkpoint(folder / "checkpoints" / CHECKPOINT, 0, write)


def _evaluated(folder: Path, taken: _Taken, dataset: Dataset) -> j.EvaluatedEvent:
    """Its loss over the corpus' validation windows, whose own losses are kept."""
    from nexus_tui.training.evaluation import summary, validation

    started = j.now()
    windows = validation(dataset, taken.config.data.window)
    losses = np.concatenate(list(windows.losses(taken.model)))
    save_window_losses(folder, CHECKPOINT, losses)
    loss, stderr = summary(losses)
    return j.EvaluatedEvent(
        step=0,
        checkpoint=CHECKPOINT,
        loss=loss,
        stderr=stderr,
        bits_per_byte=windows.bits_per_byte(loss),
        windows=len(losses),
        protocol=windows.protocol,
        seconds=(j.now() - started).total_seconds(),
    )

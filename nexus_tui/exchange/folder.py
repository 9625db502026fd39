"""A checkpoint as the folder that Hugging Face's libraries read, without what only training needs."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_tui.exchange.card import CARD, Rounded, card
from nexus_tui.exchange.place import write_folder
from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError
from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject

if TYPE_CHECKING:
    import torch

TOKENIZER, TOKENIZER_CONFIG, GENERATION = "tokenizer.json", "tokenizer_config.json", "generation_config.json"
FILES = (CARD, "config.json", GENERATION, "model.safetensors", TOKENIZER, TOKENIZER_CONFIG)
DTYPES = ("float32", "bfloat16", "float16")
_KINDS = {"F16": "float16", "BF16": "bfloat16"}
"""What safetensors calls those of 16 bits."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    place: Path
    dtype: str
    rounded: Rounded | None
    """What rounding did to the loss; None where nothing was rounded."""


def export_folder(
    run: Run, checkpoint: Checkpoint, place: Path, dtype: str = "", *, replace: bool = False
) -> Exported:
    """Write a checkpoint as a Hugging Face model folder: weights, tokenizer, their configurations, a card.

    Without a `dtype` the weights stay as they are kept. Weights that are rounded are scored anew over the
    validation windows, so that the card says what that cost. `replace` allows an earlier export to be there.
    Raises ExchangeError if `place` is taken or cannot be written, CheckpointError if the checkpoint is
    damaged, ValueError if its model cannot be read.
    """
    checkpoint.verify("model.safetensors", "config.json", TOKENIZER)
    subject, kept = Subject(run, checkpoint.name), stored_dtype(checkpoint)
    dtype = dtype or kept
    told: list[Rounded | None] = []

    def fill(folder: Path) -> None:
        from nexus_tui.lm.pretrained import load_config, load_model, save_model

        model = load_config(checkpoint.path)
        shutil.copyfile(checkpoint.path / TOKENIZER, folder / TOKENIZER)
        if dtype == kept:
            for name in ("model.safetensors", "config.json"):
                shutil.copyfile(checkpoint.path / name, folder / name)
        else:
            save_model(load_model(checkpoint.path), folder, _dtype(dtype))
        rounded = None if dtype in (kept, "float32") else _scored(subject, folder, dtype)
        _write_json(folder / TOKENIZER_CONFIG, _tokenizer_config())
        _write_json(folder / GENERATION, _generation(run))
        text = card(subject, model, rounded, kept, dtype).replace('"DIR"', json.dumps(place.name))
        (folder / CARD).write_text(text.replace("import DIR", f"import {place.name}"), "utf-8")
        told.append(rounded)

    write_folder(place, fill, replace, FILES)
    return Exported(place, dtype, told[0])


def stored_dtype(checkpoint: Checkpoint) -> str:
    """What the weights of a checkpoint are kept as; of several widths, the narrowest.

    Raises ValueError or OSError for weights that cannot be read.
    """
    from nexus_tui.lm.stored import stored_weights

    with stored_weights(checkpoint.path) as stored:
        kinds = {stored.kind(name) for name in stored.names}
    return next((dtype for kind, dtype in _KINDS.items() if kind in kinds), "float32")


def _dtype(name: str) -> torch.dtype:
    import torch

    found: torch.dtype = getattr(torch, name)
    return found


def _scored(subject: Subject, folder: Path, dtype: str) -> Rounded:
    """The loss of rounded weights, over the windows that the weights as trained were evaluated on."""
    if subject.checkpoint is None or subject.evaluation is None:
        return Rounded(dtype, why="the checkpoint was never evaluated")
    import numpy as np

    from nexus_tui.lm.pretrained import load_model
    from nexus_tui.training.evaluation import summary
    from nexus_tui.training.opened import opened

    try:
        windows = opened(subject.run, subject.checkpoint, subject.protocol).validation
    except Exception as error:  # the text may be gone, or another: the export is none the worse for it
        return Rounded(dtype, why=str(error).rstrip("."))
    loss, _ = summary(np.concatenate(list(windows.losses(load_model(folder).eval()))))
    if not math.isfinite(loss):
        raise CheckpointError(
            f"{subject.label} does not bear {dtype}: its loss is no number then; take another."
        )
    return Rounded(dtype, loss, windows.bits_per_byte(loss))


def _tokenizer_config() -> dict[str, Any]:
    """Without it, transformers takes the tokenizer that Jamba's own models have, which reads other bytes."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _generation(run: Run) -> dict[str, Any]:
    """How it is sampled from unless somebody says otherwise: as the run's own samples were."""
    temperature = run.setting("sampling.temperature", 0.8)
    drawn = isinstance(temperature, int | float) and temperature > 0
    return {
        "do_sample": drawn,
        **({"temperature": temperature, "top_k": 0} if drawn else {}),
        "max_new_tokens": 200,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")

"""A model in a folder, as Hugging Face transformers keeps it: config.json and model.safetensors."""

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.stored import FLOATS, WEIGHTS, stored_weights, weight_files
from nexus_tui.untrusted_files import read_file

CONFIG = "config.json"


def weights(model: HybridLM) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, sharing the model's memory; a tied head is in there once."""
    state: dict[str, Tensor] = model.state_dict()
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    return state


def save_model(model: HybridLM, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write config.json and model.safetensors into a folder, which is made when missing.

    The weights are rounded to `dtype`. `AutoModelForCausalLM.from_pretrained(folder)` reads it. Raises
    OSError when writing fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = model.config.to_hugging_face() | {"dtype": str(dtype).removeprefix("torch.")}
    (folder / CONFIG).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    tensors = {name: tensor.to(dtype).contiguous() for name, tensor in weights(model).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def load_config(folder: Path) -> JambaConfig:
    """Read config.json. Raises FileNotFoundError, or ValueError with the file and what is wrong with it."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; a model folder holds {CONFIG} and {WEIGHTS}.")
    try:
        fields: Any = json.loads(read_file(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors both
        raise ValueError(f"{path} is not JSON: {error}.") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{path} holds no JSON object.")
    if fields.get("model_type") != "jamba":
        raise ValueError(
            f"{path} describes a model of type {fields.get('model_type')!r}; only 'jamba' can be loaded."
        )
    try:
        return JambaConfig.from_hugging_face(fields)
    except ValidationError as error:
        reasons = "; ".join(
            ": ".join([*(str(part) for part in problem["loc"]), problem["msg"]]) for problem in error.errors()
        )
        raise ValueError(f"{path} cannot be used: {reasons}.") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}.") from error


def load_model(folder: Path, dtype: torch.dtype = torch.float32) -> HybridLM:
    """Read a model from a folder; the folder may be removed or changed afterwards.

    Its weights may be in several files, and of any width of floating point. Raises FileNotFoundError for a
    missing file and ValueError for one that is damaged or does not fit: each says which file, and which
    tensors.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    size = sum(file.stat().st_size for file in weight_files(folder))  # before room is made for a model
    if config.parameters > size:
        raise ValueError(
            f"{path} is damaged: it is too small for the {config.parameters:,} parameters of {CONFIG}."
        )
    model = HybridLM(config).to(dtype)
    own = weights(model)
    try:
        with stored_weights(folder) as stored:
            _check_names(path, set(own), stored.names)
            _check_shapes(path, own, {name: stored.shape(name) for name in own})
            _check_kinds(path, {name: stored.kind(name) for name in own})
            for name, tensor in own.items():
                tensor.copy_(stored.tensor(name))
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    return model


def _check_names(path: Path, own: set[str], stored: set[str]) -> None:
    if missing := sorted(own - stored):
        raise ValueError(f"{path} lacks {_listed(missing)}, which {CONFIG} asks for.")
    # transformers may keep a tied head twice
    if extra := sorted(stored - own - {"lm_head.weight"} if "lm_head.weight" not in own else stored - own):
        raise ValueError(f"{path} holds {_listed(extra)}, which {CONFIG} does not know.")


def _check_shapes(path: Path, own: dict[str, Tensor], stored: dict[str, list[int]]) -> None:
    wrong = [
        f"{name} is {list(stored[name])} and not {list(tensor.shape)}"
        for name, tensor in own.items()
        if list(stored[name]) != list(tensor.shape)
    ]
    if wrong:
        raise ValueError(f"{path} does not fit {CONFIG}: {_listed(wrong)}.")


def _check_kinds(path: Path, stored: dict[str, str]) -> None:
    wrong = [f"{name} as {kind}" for name, kind in stored.items() if kind not in FLOATS]
    if wrong:
        raise ValueError(
            f"{path} stores {_listed(wrong)}; only weights in floating point of 16 to 64 bits can be loaded."
        )


def _listed(names: list[str], at_most: int = 5) -> str:
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")

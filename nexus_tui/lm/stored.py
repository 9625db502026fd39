"""The stored weights of a model folder: one safetensors file, or the several that an index names."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from nexus_tui.untrusted_files import is_plain_name, read_file

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
FLOATS = ("F64", "F32", "BF16", "F16")
"""What a weight may be stored as; anything else is quantised, and needs its scales to mean something."""


class Stored:
    """The tensors of open files, by name."""

    def __init__(self, where: dict[str, Any]) -> None:
        self._where = where

    @property
    def names(self) -> set[str]:
        """Of all tensors."""
        return set(self._where)

    def shape(self, name: str) -> list[int]:
        """Of one tensor."""
        return list(self._where[name].get_slice(name).get_shape())

    def kind(self, name: str) -> str:
        """What its numbers are stored as, in safetensors' words: `F32`, `BF16` …"""
        return str(self._where[name].get_slice(name).get_dtype())

    def tensor(self, name: str) -> Tensor:
        """One tensor, read now."""
        found: Tensor = self._where[name].get_tensor(name)
        return found


@contextmanager
def stored_weights(folder: Path) -> Iterator[Stored]:
    """Open the weights of a model folder.

    Raises FileNotFoundError if there are none, ValueError naming the file that is damaged or repeats
    another's tensor, and SafetensorError or OSError for one that cannot be read.
    """
    with ExitStack() as files:
        where: dict[str, Any] = {}
        for path in weight_files(folder):
            file = files.enter_context(safe_open(path, framework="pt", device="cpu"))
            for name in file.keys():  # noqa: SIM118 (the file itself cannot be iterated)
                if name in where:
                    raise ValueError(f"{path} holds {name}, which another file of {folder} holds already.")
                where[name] = file
        yield Stored(where)


def weight_files(folder: Path) -> list[Path]:
    """The files with a folder's weights. Raises FileNotFoundError, or ValueError for a damaged index."""
    path = folder / WEIGHTS
    if path.is_file():
        return [path]
    index = folder / INDEX
    if index.is_file():
        files = [folder / name for name in _named(index)]
        if missing := [file for file in files if not file.is_file()]:
            raise FileNotFoundError(f"{missing[0]} is missing, which {index.name} names.")
        return files
    if pickled := next((name for name in PICKLED if (folder / name).exists()), None):
        raise ValueError(
            f"{folder / pickled} is a pickle, which may hold a program and is never loaded: save the model "
            "again with save_pretrained(…, safe_serialization=True)."
        )
    raise FileNotFoundError(f"{path} is missing; a model folder holds config.json and {WEIGHTS}.")


def _named(index: Path) -> list[str]:
    """The files that an index names, sorted."""
    try:
        names = sorted({str(name) for name in json.loads(read_file(index))["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{index} is damaged: it has no weight_map ({error}).") from None
    if outside := [name for name in names if not is_plain_name(name)]:
        raise ValueError(f"{index} names {outside[0]!r}, which is not a file of its folder.")
    if not names:
        raise ValueError(f"{index} is damaged: its weight_map names no file.")
    return names

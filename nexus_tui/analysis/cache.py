"""Results beside the evaluations, so that nothing is computed twice: runs/<run>/evaluations/analysis/.

A result is of one model, one validation text and one version of the computation. All three are in the key,
the key is in the file, and a file that is not exactly what its key says is no result: it is computed anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nexus_tui.runs.checkpoints import Checkpoint

Arrays = Mapping[str, "np.ndarray[Any, Any]"]
"""A result as named arrays of numbers, never of objects."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class Entry:
    """The place of one result."""

    path: Path
    key: str
    """What it is a result of; stands in the file."""

    def read(self) -> Arrays | None:
        """The arrays, or None if there are none or the file is damaged or of another key."""
        raise NotImplementedError

    def write(self, arrays: Arrays) -> None:
        """Keep arrays, whole or not at all; where the folder cannot be written, not at all."""
        raise NotImplementedError


def entry(folder: Path, kind: str, version: int, weights: str, protocol: str) -> Entry:
    """The place for a result of a run's folder. `weights` is a hexadecimal digest, as `weights_key` gives;
    raise `version` whenever the computation gives other numbers or arrays.
    """
    raise NotImplementedError


def weights_key(checkpoint: Checkpoint) -> str:
    """A digest of the model (weights and config.json), whose files are hashed to be sure that it is theirs.

    Raises CheckpointError if they are not what the manifest says.
    """
    raise NotImplementedError


def remembered(
    entry: Entry,
    unpack: Callable[[Arrays], Result],
    compute: Callable[[], Result],
    pack: Callable[[Result], Arrays],
) -> Result:
    """The kept result, or a new one, which is kept.

    `unpack` checks names, types, shapes and values; KeyError, TypeError, ValueError or IndexError from it
    mean that the file is no result.
    """
    raise NotImplementedError

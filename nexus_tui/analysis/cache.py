"""Results beside the evaluations, so that nothing is computed twice: runs/<run>/evaluations/analysis/.

Those of a run that came with the program are in the user's cache.

A result is of one model, one validation text and one version of the computation. All three are in the key,
the key is in the file, and a file that is not exactly what its key says is no result: it is computed anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import platformdirs

from nexus_tui.resources import is_shipped
from nexus_tui.runs.arrays import read_npy
from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint
from nexus_tui.untrusted_files import own_folder

FOLDER = "analysis"
_MODEL = (WEIGHTS, "config.json", "tokenizer.json")
_KEY = "key"
_PROTOCOL = re.compile("[0-9a-f]{16}")
_BYTES = 1 << 30
"""No result is larger."""

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
        # Whatever is wrong with a file that only saves time, there is one answer to it.
        with contextlib.suppress(Exception):
            if self.path.is_file():  # no pipe, which would wait for a writer
                arrays = _read(self.path)
                if arrays.pop(_KEY).tobytes() == self.key.encode():
                    return arrays
        return None

    def write(self, arrays: Arrays) -> None:
        """Keep arrays, whole or not at all; where the folder cannot be written, not at all."""
        own = f".writing-{os.getpid()}-{threading.get_ident()}-{self.path.name}"
        temporary = self.path.with_name(own)
        named = {_KEY: np.frombuffer(self.key.encode(), np.uint8), **arrays}
        with contextlib.suppress(OSError):
            self.path.parent.parent.parent.mkdir(parents=True, exist_ok=True)
            own_folder(own_folder(self.path.parent.parent) / self.path.parent.name)
            try:
                with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
                    for name, array in named.items():
                        # Without a date: equal results are equal files.
                        archive.writestr(zipfile.ZipInfo(f"{name}.npy"), _npy(array))
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)


def entry(folder: Path, kind: str, version: int, weights: str, protocol: str) -> Entry:
    """The place for a result of a run's folder. `weights` is a hexadecimal digest, as `weights_key` gives;
    raise `version` whenever the computation gives other numbers or arrays.
    """
    # A journal may hold any text as its protocol; only what the program writes itself names a file.
    short = protocol if _PROTOCOL.fullmatch(protocol) else hashlib.sha256(protocol.encode()).hexdigest()[:16]
    file = f"{kind}-{weights[:16]}-{short}.npz"
    return Entry(_place(folder) / file, f"{kind} {version} {weights} {protocol}")


def _place(folder: Path) -> Path:
    """Where a run's results are kept; those of one that came with the program in the user's cache."""
    if is_shipped(folder):
        return platformdirs.user_cache_path("nexus-tui") / FOLDER / folder.name
    return folder / "evaluations" / FOLDER


def weights_key(checkpoint: Checkpoint) -> str:
    """What a model is: the SHA-256 of weights, config.json and tokenizer.json, one after the other.

    The files are hashed, 20 ms for the reference model, so that it is theirs. Raises CheckpointError if they
    are not what the manifest says.
    """
    checkpoint.verify(*_MODEL)
    return "".join(str(checkpoint.files[name]["sha256"]) for name in _MODEL)


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
    arrays = entry.read()
    if arrays is not None:
        with contextlib.suppress(KeyError, TypeError, ValueError, IndexError):
            return unpack(arrays)
    result = compute()
    entry.write(pack(result))
    return result


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a .npz that was written here. Raises an exception of some kind for any other file.

    numpy's own reader would first make room for as much as a header claims; here nothing is larger than the
    file itself.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = path.stat().st_size
        if size > _BYTES or sum(member.file_size for member in members) > size:
            raise ValueError("it claims to hold more than it does")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        return {member.filename.removesuffix(".npy"): read_npy(archive.read(member)) for member in members}


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    """A .npy file's bytes."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
    return file.getvalue()

"""Checkpoints on disk: written whole or not at all, verified by hash.

A checkpoint is a folder: a Hugging Face model folder plus what resuming needs. `manifest.json`, written last,
holds the size and SHA-256 of every file; a folder without a valid manifest does not exist.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from nexus_tui.untrusted_files import is_plain_name, open_regular, own_folder, read_file, replace_file

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
_UNFINISHED = ".writing-"


class CheckpointError(Exception):
    """A checkpoint is missing or damaged; the message names the file and the reason."""


class _File(msgspec.Struct):
    bytes: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    sha256: str


class _Manifest(msgspec.Struct):
    step: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    files: dict[str, _File]


_manifest = msgspec.json.Decoder(_Manifest).decode


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint folder that has a manifest. Contents are unverified until `verify`."""

    path: Path
    step: int
    files: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """Its folder's name, such as `step_1400`."""
        return self.path.name

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights, as the manifest has it."""
        return str(self.files[WEIGHTS]["sha256"])

    @cached_property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(int(entry["bytes"]) for entry in self.files.values())

    @property
    def resumable(self) -> bool:
        """Whether the optimizer's state is still there."""
        return OPTIMIZER in self.files

    @property
    def weights_alone(self) -> bool:
        """Whether it is a model and no more, such as one that comes with the program."""
        return OPTIMIZER not in self.files and STATE not in self.files

    def verify(self, *names: str) -> None:
        """Hash files (default: all) against the manifest. Raises CheckpointError naming one that differs."""
        for name in names or self.files:
            path = self.path / name
            if name not in self.files:
                raise CheckpointError(
                    f"{path} is not in the checkpoint's manifest; choose another checkpoint."
                )
            try:
                digest = file_sha256(path)
            except OSError as error:
                raise CheckpointError(
                    f"{path} cannot be read ({error.strerror}); choose another checkpoint."
                ) from None
            if digest != self.files[name]["sha256"]:
                raise CheckpointError(
                    f"{path} is damaged (SHA-256 differs from its manifest); choose another checkpoint."
                )


def file_sha256(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal. Raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint's manifest and compare the files' sizes. Raises CheckpointError."""
    manifest = _read_manifest(path)
    for name, entry in manifest.files.items():
        if not is_plain_name(name):
            raise CheckpointError(f"{path / MANIFEST} names {name!r}, which is not a file of its folder.")
        try:
            actual = (path / name).stat()
        except OSError:
            raise CheckpointError(f"{path / name} is missing; choose another checkpoint.") from None
        if actual.st_size != entry.bytes or not stat.S_ISREG(actual.st_mode):
            raise CheckpointError(
                f"{path / name} has {actual.st_size} bytes, not {entry.bytes}; choose another checkpoint."
            )
    return Checkpoint(path, manifest.step, msgspec.to_builtins(manifest.files))


def _read_manifest(path: Path) -> _Manifest:
    try:
        manifest = _manifest(read_file(path / MANIFEST))
        if WEIGHTS not in manifest.files:
            raise ValueError(f"it names no {WEIGHTS}")
        return manifest
    except FileNotFoundError:
        raise CheckpointError(f"{path} is no checkpoint: it has no {MANIFEST}.") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path / MANIFEST} is damaged ({reason}); choose another checkpoint."
        ) from None


def list_checkpoints(run_folder: Path) -> Iterator[Checkpoint]:
    """The whole checkpoints of a run; folders that are none are passed over."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(run_folder / "checkpoints"):
            if entry.is_dir() and not entry.name.startswith("."):
                with contextlib.suppress(CheckpointError):
                    yield open_checkpoint(Path(entry.path))


def save_checkpoint(path: Path, step: int, write: Callable[[Path], None]) -> Checkpoint:
    """Write a checkpoint, as `writing_checkpoint` does, into a folder that `write` fills."""
    with writing_checkpoint(path, step) as folder:
        write(folder)
    return open_checkpoint(path)


@contextmanager
def writing_checkpoint(path: Path, step: int) -> Iterator[Path]:
    """A folder to fill; when the block is left, it appears at `path` in one rename, with its manifest.

    Files and folders reach the disk before the rename. What the block or the disk raises is passed on, and
    nothing is left behind.
    """
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    own_folder(path.parent)
    with _temporary_folder(path) as folder:
        yield folder
        files = {}
        for file in sorted(folder.iterdir()):
            files[file.name] = {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
            flush(file)
        manifest = folder / MANIFEST
        manifest.write_text(json.dumps({"step": step, "files": files}, indent=1) + "\n")
        flush(manifest)
        flush(folder)
        folder.rename(path)
        flush(path.parent)


def remove_unrecorded(path: Path) -> None:
    """Take away a checkpoint whose writer died after it was in its place and before it was on record.

    Nothing refers to it, and it stands where the next save of its step is to appear.
    """
    aside = path.with_name(f"{_UNFINISHED}{path.name}-unrecorded")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def save_window_losses(run_folder: Path, name: str, losses: "np.ndarray[Any, Any]") -> None:
    """Keep the mean loss of every validation window, [windows], of a checkpoint. Raises OSError."""
    data = io.BytesIO()
    np.save(data, losses.astype(np.float32, copy=False), allow_pickle=False)
    replace_file(own_folder(run_folder / "evaluations") / f"{name}.npy", data.getvalue())


def remove_unfinished(run_folder: Path) -> None:
    """Delete what saves that were cut off have left. Only for the run's one writer."""
    place = run_folder / "checkpoints"
    for folder in [] if place.is_symlink() else place.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(folder, ignore_errors=True)


def link_best(run_folder: Path, checkpoint: Checkpoint | None) -> None:
    """Let the relative link `best` point to a checkpoint, or to nothing. Swapped in one rename.

    Raises OSError, and leaves everything as it is, where the disk refuses it or `best` is a real folder, as
    in a run that was copied with its links followed.
    """
    link = run_folder / "best"
    if link.is_dir() and not link.is_symlink():
        raise IsADirectoryError("a folder stands in its place; move that away")
    if checkpoint is None:
        link.unlink(missing_ok=True)
        return
    target = Path("checkpoints") / checkpoint.name
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = run_folder / f"{_UNFINISHED}best"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    folder = path.with_name(f"{_UNFINISHED}{path.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flush(path: Path) -> None:
    """Wait until the disk has a file, or a folder's entries. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Where something is written for other tools: whole or not at all, and never over what is something else."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from nexus_tui.runs.checkpoints import flush


class ExchangeError(Exception):
    """Something cannot be exported or imported; the message is one sentence for the user."""


def write_folder(
    place: Path, fill: Callable[[Path], None], replace: bool = False, known: Collection[str] = ()
) -> None:
    """Let `fill` write a folder, which then appears at `place` in one rename.

    An empty folder may be there; with `replace` one that holds files called as in `known` and nothing else.
    Raises ExchangeError if something else is there or the disk refuses, and leaves nothing behind then; what
    `fill` raises is passed on.
    """
    _require_free(place, replace, known)
    with _beside(place) as temporary:
        fill(temporary)
        for file in temporary.iterdir():
            _finish(file)
        flush(temporary)
        _require_free(place, replace, known)  # somebody may have written there meanwhile
        if not place.is_dir():
            temporary.rename(place)
            return
        before = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        place.rename(before)  # over the empty folder; the old one is away only between these two renames
        try:
            temporary.rename(place)
        except OSError:
            before.rename(place)
            raise
        shutil.rmtree(before, ignore_errors=True)


def write_file(place: Path, write: Callable[[Path], None], replace: bool = False) -> None:
    """Let `write` write a file, which then appears at `place` in one rename. Raises as `write_folder`."""
    if place.is_dir() or (os.path.lexists(place) and not (replace and place.is_file())):
        raise ExchangeError(_taken(place))
    with _beside(place) as temporary:
        write(temporary / place.name)
        _finish(temporary / place.name)
        (temporary / place.name).replace(place)


def _require_free(place: Path, replace: bool, known: Collection[str]) -> None:
    if not os.path.lexists(place):
        return
    if not place.is_dir() or place.is_symlink():
        raise ExchangeError(f"{place} is there already and is no folder; choose another place.")
    others = sorted(entry.name for entry in place.iterdir())
    if not others:
        return
    if not replace:
        raise ExchangeError(_taken(place))
    if strange := [name for name in others if name not in known or (place / name).is_dir()]:
        raise ExchangeError(
            f"{place} holds {strange[0]}, which no export writes, so it stays; choose another place."
        )


def _taken(place: Path) -> str:
    return f"{place} is there already; choose another place, or give --replace to replace an earlier export."


@contextlib.contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A new folder beside a place, gone at the end if it is still there. The disk's refusal is a sentence."""
    temporary: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
    except OSError as error:
        raise ExchangeError(f"{place} cannot be written ({error.strerror or error}).") from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    """What new files are kept from being allowed: a temporary folder is made for its owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _finish(file: Path) -> None:
    """Let others read what is for them (safetensors writes for its owner alone), and the disk have it."""
    file.chmod(0o666 & ~_umask())
    flush(file)

"""What a run may be called, and moving its folder while nobody can begin to train it."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nexus_tui.runs.lock import LOCK, RunLock

NAME = re.compile(r"[^\W_][\w.+-]{0,99}")
"""What a run may be called."""
_STARTING = ".starting-"
_LEFT = 3600.0
"""Seconds after which a run that has not begun never will."""


class MoveError(Exception):
    """A run stays where it is; the message says why and what to do."""


def why_not_called(runs_folder: Path, name: str) -> str:
    """Why no run of a folder can be given a name; empty if one can."""
    if not NAME.fullmatch(name):
        return f"{name!r} cannot name a run; use letters, digits and . _ + - (100 at most)."
    if os.path.lexists(runs_folder / name):
        return f"There is a run {name} already; choose another name."
    return ""


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to put a new run's first files into; at the end it appears as `folder`, with all of them.

    So who is killed meanwhile leaves no run that can be neither begun nor resumed. Raises FileExistsError if
    there is a run of the name, OSError if the disk refuses.
    """
    _remove_leftovers(folder.parent)
    beside = folder.parent / f"{_STARTING}{os.getpid()}-{threading.get_ident()}"
    try:
        (beside / folder.name).mkdir(parents=True)
        yield beside / folder.name
        (beside / folder.name).rename(folder)  # an empty folder may be there
    except OSError as error:
        if os.path.lexists(folder):
            raise FileExistsError(error.errno, "exists", str(folder)) from None
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _remove_leftovers(runs_folder: Path) -> None:
    """Delete what was never made a run, of processes that died in between."""
    for left in runs_folder.glob(f"{_STARTING}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT:
                shutil.rmtree(left, ignore_errors=True)


def rename(folder: Path, name: str) -> Path:
    """Give a run another name. Returns its folder.

    Raises RunLockedError if somebody trains it, MoveError if it cannot be called so or the disk refuses.
    """
    if reason := why_not_called(folder.parent, name):
        raise MoveError(reason)
    place = folder.with_name(name)
    move(folder, place)
    return place


def move(folder: Path, place: Path) -> None:
    """Rename a run's folder under its lock. Raises RunLockedError, or MoveError if the disk refuses."""
    with RunLock(folder):
        try:
            folder.rename(place)
        except OSError as error:
            raise MoveError(f"{folder} cannot be moved to {place} ({error.strerror}).") from None
        (place / LOCK).unlink(missing_ok=True)

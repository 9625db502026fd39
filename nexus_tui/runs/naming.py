"""What a run may be called, and moving its folder while nobody can begin to train it."""

import os
import re
from pathlib import Path

from nexus_tui.runs.lock import LOCK, RunLock

NAME = re.compile(r"[^\W_][\w.+-]{0,99}")
"""What a run may be called."""


class MoveError(Exception):
    """A run stays where it is; the message says why and what to do."""


def why_not_called(runs_folder: Path, name: str) -> str:
    """Why no run of a folder can be given a name; empty if one can."""
    if not NAME.fullmatch(name):
        return f"{name!r} cannot name a run; use letters, digits and . _ + - (100 at most)."
    if os.path.lexists(runs_folder / name):
        return f"There is a run {name} already; choose another name."
    return ""


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

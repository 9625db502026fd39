"""Deleting runs so that they can be had back.

A deleted run is moved to `.trash/TIME/NAME` of its runs folder, whole: in one rename, whatever it weighs.
"""

import contextlib
import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from nexus_tui.runs.naming import MoveError, move
from nexus_tui.untrusted_files import own_folder

TRASH = ".trash"


def weigh(folder: Path) -> int:
    """Bytes of all files in a run's folder; of a link, what it links to is not counted."""
    if folder.is_symlink():
        return 0
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size  # noqa: PTH118
    return total


def delete(folder: Path, now: datetime | None = None) -> Path:
    """Move a run to the trash of its runs folder. Returns where it is now.

    Raises RunLockedError if somebody trains it, MoveError if the disk refuses.
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H-%M-%S")
    place = _new_folder(folder.parent / TRASH, stamp)
    try:
        move(folder, place / folder.name)
    finally:
        _remove_empty(place)
    return place / folder.name


def restore(place: Path) -> Path:
    """Move a deleted run back to where it was. Returns where that is. Raises MoveError."""
    folder = place.parent.parent.parent / place.name
    if os.path.lexists(folder):
        raise MoveError(f"There is a run {folder.name} again; give that one another name first.")
    try:
        place.rename(folder)
    except OSError as error:
        raise MoveError(f"{place} cannot be moved back ({error.strerror}).") from None
    _remove_empty(place.parent)
    return folder


def _new_folder(trash: Path, stamp: str) -> Path:
    """A folder for one deletion, with a name of its own."""
    try:
        own_folder(trash)
        for number in count(1):
            place = trash / (stamp if number == 1 else f"{stamp}.{number}")
            with contextlib.suppress(FileExistsError):
                place.mkdir()
                return place
    except OSError as error:
        raise MoveError(f"{trash} cannot be written ({error.strerror}).") from None
    raise AssertionError("count never ends")


def _remove_empty(place: Path) -> None:
    """Remove the folder of a deletion, and the trash, where nothing is in them any more."""
    with contextlib.suppress(OSError):
        place.rmdir()
        place.parent.rmdir()

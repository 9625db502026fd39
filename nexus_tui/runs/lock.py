"""Who trains a run: a lock that is given up by its process however that dies.

The kernel's lock (flock) is asked first, and is not enough: hosts that share a folder need not share it, and
some file systems have none. So the lock's file also says who holds it, down to when that process began, and
is touched now and then. Of this kernel's processes the process table tells whether they live; of another
host's the time of the last sign of life. The file is created under its name whole, or not at all.
"""

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from nexus_tui.runs.holders import (
    BEAT,
    SILENT,
    Holder,
    at_once,
    is_dead,
    lives,
    ourselves,
    read,
    read_from,
    words,
)

LOCK = "lock"
_OWN = f".{LOCK}-"
_TAKING = f"{_OWN}taking"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_SETTLED = 0.05
"""Seconds within which whoever saw the file before it was whole has acted on it."""


class RunLockedError(Exception):
    """The run cannot be written: another process trains it, or its folder refuses; the message says."""


class RunLock:
    """Held by the one process that may write a run. Raises RunLockedError if another has it, or none can."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._one = threading.Lock()  # who beats is another thread than who lets go
        try:
            self._file = _locked(self._path)
        except OSError as error:
            reason = f"{folder} cannot be written ({error.strerror or error})"
            raise RunLockedError(f"{reason}: copy the run into a folder of your own.") from None
        except _HeldError as error:
            raise RunLockedError(f"{folder.name} is being trained by {error}.") from None

    def beat(self) -> None:
        """Say to other hosts, which may not see the kernel's lock, that its holder lives.

        A lock that somebody has deleted is taken again; one that was let go is not.
        """
        with self._one, contextlib.suppress(OSError, _HeldError):
            if self._file.closed:
                return
            if _is_at(self._file, self._path):
                os.utime(self._path)
            elif not os.path.lexists(self._path):
                again = _locked(self._path)
                self._file.close()
                self._file = again

    def release(self) -> None:
        """Let go of the run. A lock that cannot be removed is left, and says nothing."""
        with self._one:
            if not self._file.closed and _is_at(self._file, self._path):
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file.fileno(), 0)
                    self._path.unlink(missing_ok=True)
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def holder(folder: Path) -> Holder | None:
    """The living process that trains a run, if there is one."""
    path = f"{folder}/{LOCK}"
    if not os.path.exists(path):  # noqa: PTH110 (asked of thousands: a fifth of the time of opening it)
        return None
    with contextlib.suppress(OSError), open(path, opener=at_once) as file:
        found = read(file)
        if found and is_dead(found):
            return None
        if _is_held(file, fcntl.LOCK_SH):
            return found or Holder(0, "")
        return found if found and lives(found, os.fstat(file.fileno()).st_mtime, time.time()) else None
    return None


class _HeldError(Exception):
    """Somebody else has the lock; the message says who, and what to do."""


def _locked(path: Path) -> IO[str]:
    """A lock of our own. Raises _HeldError if somebody has it, OSError if there can be none."""
    own = path.with_name(f"{_OWN}{os.getpid()}-{secrets.token_hex(4)}")
    file = own.open("x+")
    try:
        json.dump(dataclasses.asdict(ourselves()), file)
        file.flush()
        _is_held(file, fcntl.LOCK_EX)
        _take(file, own, path)
    except BaseException:
        file.close()
        raise
    finally:
        own.unlink(missing_ok=True)
    return file


def _take(file: IO[str], own: Path, path: Path) -> None:
    """Let our own file appear as the lock.

    Raises as `_locked`.
    """
    now = os.fstat(file.fileno()).st_mtime  # by the file system's clock, which a server's may be
    held: Holder | None = None
    for _ in range(10):  # a reader that asks who holds it has it for an instant
        if _appears(own, path):
            if _is_at(file, path):
                _remove_leftovers(path.parent, now)
                return
            continue
        with contextlib.suppress(FileNotFoundError), open(path, "r+", opener=at_once) as theirs:
            held = read(theirs)
            # One of the dead is held by a reader alone, which on a busy machine may be for long.
            if _is_held(theirs, fcntl.LOCK_EX) and not (held and is_dead(held)):
                time.sleep(0.03)
                continue
            with _alone(file, own, now) as alone:
                if not alone or not _is_at(theirs, path):  # its holder took it away while we waited
                    continue
                held, beat = read(theirs), os.fstat(theirs.fileno()).st_mtime
                if held and lives(held, beat, now):
                    raise _HeldError(words(held, now - beat))
                path.unlink()
    raise _HeldError(words(held, 0.0))


def _appears(own: Path, path: Path) -> bool:
    """Give our file the lock's name, unless that is taken."""
    linked = _linked(own, path)
    if linked is not None:
        return linked
    try:
        path.open("x").close()
    except FileExistsError:
        return False
    own.replace(path)
    time.sleep(_SETTLED)  # the file that was there for an instant said nothing, as a dead process' may
    return True


def _linked(own: Path, path: Path) -> bool | None:
    """Give a file another name, too; whether that was free. None where the file system has no links."""
    try:
        os.link(own, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return None
    return True


@contextmanager
def _alone(file: IO[str], own: Path, now: float) -> Iterator[bool]:
    """Remove a dead process' lock one after the other, or what has just come into its place is removed too.

    Gives False to who has to wait. The right to do so is a second name of our own file, so that who dies with
    it is known to be dead as well.
    """
    path = own.with_name(_TAKING)
    if not _claims(own, path):
        _remove_dead_claim(path, now)
        time.sleep(0.03)
        yield False
        return
    try:
        yield True
    finally:
        if _is_at(file, path) or read_from(path) == ourselves():
            path.unlink(missing_ok=True)


def _claims(own: Path, path: Path) -> bool:
    """Let a file that says who we are appear under another name, unless that is taken."""
    linked = _linked(own, path)
    if linked is not None:
        return linked
    try:
        with path.open("x") as file:
            file.write(own.read_text("utf-8"))
    except FileExistsError:
        return False
    return True


def _remove_dead_claim(path: Path, now: float) -> None:
    with contextlib.suppress(FileNotFoundError), open(path, "r+", opener=at_once) as claim:
        who = read(claim)
        held = _is_held(claim, fcntl.LOCK_EX) and not (who and is_dead(who))
        if held or not _is_at(claim, path):
            return
        since = os.fstat(claim.fileno()).st_mtime
        if not lives(who, since, now) if who else now - since > SILENT:
            path.unlink()


def _remove_leftovers(folder: Path, now: float) -> None:
    """Delete what was never made a lock, of processes that died in between."""
    for left in folder.glob(f"{_OWN}*"):
        with contextlib.suppress(OSError):
            if now - left.stat().st_mtime > SILENT:
                left.unlink()


def _is_held(file: IO[str], how: int) -> bool:
    """Take the kernel's lock; whether somebody else has it. Where there is none, nobody has."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
    return False


def _is_at(file: IO[str], path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


__all__ = ["BEAT", "LOCK", "SILENT", "Holder", "RunLock", "RunLockedError", "holder"]

"""Who trains a run: a lock that the kernel takes back when its process dies, however it dies.

Hosts that share a folder need not share the kernel's locks. So the holder also writes who it is, and gives a
sign of life now and then; from another host that is what counts.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

LOCK = "lock"
BEAT = 20.0
"""Seconds between two signs of life."""
SILENT = 5 * BEAT
"""Seconds without one after which another host's holder is taken for dead."""


class RunLockedError(Exception):
    """The run cannot be written: another process trains it, or its folder refuses; the message says."""


@dataclass(frozen=True)
class Holder:
    """The process that trains a run."""

    pid: int
    host: str


class RunLock:
    """Held by the one process that may write a run. Raises RunLockedError if another has it, or none can."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        try:
            self._file = _taken(self._path)
        except OSError as error:
            reason = f"{folder} cannot be written ({error.strerror})"
            raise RunLockedError(f"{reason}: copy the run into a folder of your own.") from None
        except _HeldError as error:
            raise RunLockedError(f"{folder.name} is being trained by {error}; stop it there first.") from None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        self._file.flush()

    def beat(self) -> None:
        """Say to other hosts, which may not see the kernel's lock, that its holder lives."""
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def release(self) -> None:
        """Let go of the run."""
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
    with contextlib.suppress(OSError), open(path) as file:  # noqa: PTH123
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _read(file) or Holder(0, "")
        return _elsewhere(file)
    return None


class _HeldError(Exception):
    """Somebody else has the lock; the message says who."""


def _taken(path: Path) -> IO[str]:
    """The lock's file, locked. Raises _HeldError if somebody else has it, OSError if there can be none."""
    held: Holder | None = None
    for _ in range(10):  # a reader that asks who holds it has it for an instant
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            held = _read(file)
            file.close()
            time.sleep(0.03)
            continue
        if not _is_at(file, path):  # its holder let go of it, and took it away, while we waited
            file.close()
            continue
        if other := _elsewhere(file):
            file.close()
            raise _HeldError(_words(other))
        return file
    raise _HeldError(_words(held))


def _is_at(file: IO[str], path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _elsewhere(file: IO[str]) -> Holder | None:
    """Who wrote into a lock on another host, and lives: its kernel's lock need not be seen from here."""
    found = _read(file)
    if found is None or found.host in ("", socket.gethostname()):
        return None
    return found if abs(time.time() - os.fstat(file.fileno()).st_mtime) < SILENT else None


def _words(holder: Holder | None) -> str:
    return f"process {holder.pid} on {holder.host}" if holder else "another process"


def _read(file: IO[str]) -> Holder | None:
    try:
        file.seek(0)
        content = json.loads(file.read())
        return Holder(int(content["pid"]), str(content["host"]))
    except (ValueError, KeyError, TypeError, OSError):
        return None

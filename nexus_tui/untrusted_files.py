"""Files that somebody else may have put there: only regular ones are opened, and only so much is read.

A pipe would be waited for, a device may never end, and either may stand where a file is looked for.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

SMALL = 4 << 20
"""Bytes: more than any configuration, manifest or state of ours has."""


def open_regular(path: str | Path) -> FileIO:
    """A regular file, or a link to one, to read from. Raises OSError, whose `strerror` says what is wrong."""
    try:
        _require_regular(os.stat(path), path)  # noqa: PTH116 (opening a device may do something)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in it
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    file = FileIO(descriptor)
    _require_regular(os.fstat(descriptor), path)
    return file


def read_file(path: str | Path, most: int = SMALL) -> bytes:
    """All of a regular file of up to `most` bytes. Raises OSError, whose `strerror` says what is wrong."""
    with open_regular(path) as file:
        large = os.fstat(file.fileno()).st_size > most
        data = b"" if large else file.read(most + 1)
    if large or len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return data


def open_own(path: Path, flags: int, mode: int = 0o644) -> int:
    """A descriptor of a file that is written to: a new one, or a regular one that is no link.

    A link would lead the writing to wherever it points. Raises OSError, whose `strerror` says so.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not written through", str(path)) from None
        raise
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def own_folder(path: Path) -> Path:
    """A folder to write into, made where it is missing. Raises OSError for a link, as `open_own` does."""
    path.mkdir(exist_ok=True)
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, which is not written through", str(path))
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in the place of whatever has its name. Raises OSError."""
    temporary = path.with_name(f".writing-{path.name}")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_plain_name(name: str) -> bool:
    """Whether a name that a file mentions is that of an entry of a folder, and no way out of it."""
    return (
        name not in ("", ".", "..") and "/" not in name and "\0" not in name and len(os.fsencode(name)) < 256
    )


def _require_regular(found: os.stat_result, path: str | Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "it is a folder" if stat.S_ISDIR(found.st_mode) else "it is no regular file"
        raise OSError(errno.EINVAL, kind, str(path))

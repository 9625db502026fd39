"""What was made of large corpora, in the user's cache: written whole or not at all, and mapped.

An entry is a folder of files and of `about.json`, which has the size of each and a CRC of every block.
Nothing in here is needed: whatever is missing or damaged is made again.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import platformdirs

VERSION = 1
"""Of what is kept. A version that makes other tokens of the same text counts on."""
BLOCK = 4 << 20
"""Bytes that one CRC is of."""
LOOKED_AT = 8
"""Blocks of a file that are held against their CRCs whenever it is opened."""
ABOUT = "about.json"
WAIT = 0.2

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it and of how much, some times a second; raises to end it."""


class CorpusError(Exception):
    """A corpus that cannot be used; the message is one sentence for the user."""


class Cancelled(Exception):  # noqa: N818 (nothing went wrong)
    """Somebody no longer wants what was being made."""


def silent(what: str, done: int, total: int) -> None:
    """Progress that nobody is told of."""


def cache_folder() -> Path:
    """Where entries are: `corpora` in the user's cache folder."""
    return platformdirs.user_cache_path("nexus-tui") / "corpora"


class Mapping:
    """A file mapped into memory, read-only: the kernel holds its pages while memory is not short."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else None
        self.bytes: npt.NDArray[np.uint8] = np.frombuffer(self._map or b"", np.uint8)
        """The content: [bytes]."""

    def release(self) -> None:
        """Let go of the pages that were looked at: they would count as ours until memory is short."""
        if self._map:
            self._map.madvise(mmap.MADV_DONTNEED)


class Entry:
    """An entry of the cache: its facts, and its files mapped."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.files = {name: Mapping(folder / name) for name in about["files"]}


def kept(name: str) -> Entry | None:
    """The entry of this name. One that is damaged is removed, and None like one that is not there."""
    folder = cache_folder() / name
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        if about["version"] != VERSION:
            return None
        entry = Entry(folder, about)
        if all(_sound(entry.files[file].bytes, facts) for file, facts in about["files"].items()):
            for mapping in entry.files.values():
                mapping.release()
            os.utime(folder / ABOUT)  # when it was last of use
            return entry
    except FileNotFoundError:
        if not folder.exists():
            return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        pass
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    return None


def _sound(content: npt.NDArray[np.uint8], facts: dict[str, Any]) -> bool:
    """Whether a file has its size and, at the blocks that are looked at, its CRCs."""
    sums = facts["crc32"]
    if len(content) != facts["size"] or len(sums) != -(-len(content) // BLOCK):
        return False
    looked_at = np.unique(np.linspace(0, len(sums) - 1, LOOKED_AT).astype(int)) if sums else ()
    return all(zlib.crc32(content[at * BLOCK : (at + 1) * BLOCK].data) == sums[at] for at in looked_at)


class Draft:
    """An entry that is being written, in a folder beside its place. As a context, it is removed if not kept.

    Whatever the disk refuses is raised as CorpusError.
    """

    def __init__(self, what: str, needed: int = 0) -> None:
        """`what` names the corpus and `needed` is about how many bytes it will take."""
        self._what = what
        self._files: dict[str, _File] = {}
        with self._disk():
            cache_folder().mkdir(parents=True, exist_ok=True)
            _remove_abandoned()
            free = shutil.disk_usage(cache_folder()).free
            if needed > free:
                raise CorpusError(_no_room(what, needed, free))
            self._folder = Path(tempfile.mkdtemp(dir=cache_folder(), prefix=f".{os.getpid()}-"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, name: str, content: "bytes | memoryview") -> None:
        """Append to a file of the entry."""
        with self._disk():
            if name not in self._files:
                self._files[name] = _File(self._folder / name)
            self._files[name].write(content)

    def keep(self, name: str, **facts: Any) -> Entry:
        """Put the entry in its place, and open it. If one of the name is there already, it is that one."""
        with self._disk():
            files = {file.path.name: file.finish() for file in self._files.values()}
            about = {"version": VERSION, **facts, "files": files}
            _write_durably(self._folder / ABOUT, json.dumps(about))
            # Somebody else may have put it there meanwhile: then the rename fails, and theirs is as good.
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                try:
                    self._folder.rename(cache_folder() / name)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
        entry = kept(name)
        if entry is None:
            raise CorpusError(
                f"What the cache {cache_folder()} was given of {self._what} cannot be read back: "
                "is the disk sound?"
            )
        return entry

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise CorpusError(_no_room(self._what)) from None
            raise CorpusError(
                f"The cache {cache_folder()} cannot take {self._what} ({error.strerror or error}): "
                "mend that, or set XDG_CACHE_HOME to a folder that can be written."
            ) from None


def _no_room(what: str, needed: int = 0, free: int = 0) -> str:
    much = f" It takes about {needed / 1e9:,.2f} GB, and {free / 1e9:,.2f} are free." if needed else ""
    return (
        f"The disk of the cache {cache_folder()} is too full for {what}: make room "
        f"(`nexus-tui corpora --clear` removes what is kept), or set XDG_CACHE_HOME to another disk.{much}"
    )


class _File:
    """A file that is written from front to back, with a CRC of each block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)
        self._size = 0
        self._sums: list[int] = []

    def write(self, content: "bytes | memoryview") -> None:
        view = memoryview(content).cast("B")
        while view:
            within = self._size % BLOCK
            if not within:
                self._sums.append(0)
            part = view[: BLOCK - within]
            written = self._file.write(part)
            self._sums[-1] = zlib.crc32(part[:written], self._sums[-1])
            self._size += written
            view = view[written:]

    def finish(self) -> dict[str, Any]:
        os.fsync(self._file.fileno())
        self.close()
        self.path.chmod(0o444)
        return {"size": self._size, "crc32": self._sums}

    def close(self) -> None:
        self._file.close()


def _remove_abandoned() -> None:
    """Remove what processes that are no more had begun to write on this machine, or days ago on any."""
    for folder in cache_folder().glob(".*-*"):
        pid = folder.name[1:].partition("-")[0]
        with contextlib.suppress(OSError):
            gone = pid.isdecimal() and not Path("/proc", pid).exists() and Path("/proc/self").exists()
            if gone or time.time() - folder.stat().st_mtime > 3 * 86400:
                shutil.rmtree(folder, ignore_errors=True)


def _write_durably(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def keep_file(name: str, content: str) -> None:
    """Keep something small by a name. A cache that cannot be written forgets it."""
    folder = cache_folder() / "known"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{zlib.crc32(content.encode())}\n{content}")
        Path(temporary).replace(folder / name)


def read_file(name: str) -> str | None:
    """What was kept by a name; None if that is nothing, or damaged."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        sum, _, content = (cache_folder() / "known" / name).read_text("utf-8").partition("\n")
        if sum == str(zlib.crc32(content.encode())):
            return content
    return None


@contextlib.contextmanager
def alone(key: str, progress: Progress) -> Iterator[None]:
    """Make other processes wait that would make the same; where locks do not work, both make it."""
    lock = None
    try:
        with contextlib.suppress(OSError):
            (cache_folder() / "locks").mkdir(parents=True, exist_ok=True)
            lock = (cache_folder() / "locks" / key).open("w")
            while not _locked(lock.fileno()):
                progress("another process prepares the corpus", 0, 0)
                time.sleep(WAIT)
        yield
    finally:
        if lock:
            lock.close()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def entries() -> list[tuple[str, dict[str, Any], int, float]]:
    """What is kept: each entry's name, facts, bytes, and when it was last of use (seconds since 1970)."""
    found = []
    for about in sorted(cache_folder().glob(f"*/{ABOUT}")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts = json.loads(about.read_bytes())
            size = sum(file["size"] for file in facts["files"].values())
            found.append((about.parent.name, facts, size, about.stat().st_mtime))
    return found


def clear() -> int:
    """Remove everything that is kept of large corpora. Returns how many bytes that were.

    A process that has it open keeps what it has: the disk gets the room back when that ends.
    """
    size = sum(size for _, _, size, _ in entries())
    for name in (*(entry[0] for entry in entries()), "known", "locks"):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)
    return size

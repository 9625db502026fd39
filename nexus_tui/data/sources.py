"""Where the text of a corpus comes from: files of text, of JSON lines, Parquet, Arrow; compressed or not."""

import gzip
import hashlib
import json
import re
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from nexus_tui.data.cache import VERSION, CorpusError

BLOCK = 1 << 20
"""Bytes of a text that are read at once."""
LONGEST_LINE = 1 << 28
"""Bytes that one JSON object may have."""
SETTLED = 2.0
"""Seconds after which a file that is changed again surely has another time."""
COMPRESSED = (".gz", ".zst")
KINDS = {".txt": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".arrow": "arrow"}
"""What a file in a folder is, by its name, that of a compressed one without its last part."""

Done = Callable[[int], None]
"""Told at which byte of its file a reader is."""


@dataclass(frozen=True)
class Source:
    """The files of a corpus, in their order, and what they are."""

    name: str
    path: Path
    kind: str
    """`text`, `jsonl`, `parquet` or `arrow`."""
    files: tuple[Path, ...]
    sizes: tuple[int, ...]
    """Bytes of each on disk."""
    times: tuple[int, ...]
    """When each was changed last: nanoseconds since 1970."""
    field: str

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(self.sizes)

    @property
    def plain(self) -> bool:
        """Whether the files are the text as it is, so that their sizes are its size."""
        return self.kind == "text" and not self.compressed

    @property
    def compressed(self) -> bool:
        """Whether a small file may have a large text."""
        return self.kind == "parquet" or any(file.suffix in COMPRESSED for file in self.files)

    def key(self) -> str:
        """What says, without reading them, that these files are the same again; empty while they are fresh.

        A file changed twice within the clock's grain can have the same size and time.
        """
        if time.time() - max(self.times) / 1e9 < SETTLED:
            return ""
        digest = hashlib.sha256(f"{VERSION} {self.kind} {self.field}\0".encode())
        for file, size, changed in zip(self.files, self.sizes, self.times, strict=True):
            digest.update(f"{file.absolute()}\0{size} {changed}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def pieces(self, progress: Done) -> Iterator[bytes | None]:
        """The text, piece by piece, checked to be UTF-8; None between two documents.

        A document is a text file, or a row. Empty rows are none. Raises CorpusError naming file and place.
        """
        before, first = 0, True
        for file, size in zip(self.files, self.sizes, strict=True):
            for document in _READERS[self.kind](file, self.field, partial(_told, progress, before)):
                if not first:
                    yield None
                first = False
                yield from document
            before += size


def _told(progress: Done, before: int, at: int) -> None:
    progress(before + at)


def find_source(path: Path, field: str, known: str) -> Source:
    """The files that a path stands for. Raises CorpusError; `known` are the corpora that have names."""
    try:
        kind, files = _folder(path) if path.is_dir() else (_kind(path) or "text", (path,))
        stats = [file.stat() for file in files]
    except FileNotFoundError:
        raise CorpusError(
            f"There is no corpus {path}: give the path of a text file or folder, or one of: {known}."
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    for file, status in zip(files, stats, strict=True):
        if not stat.S_ISREG(status.st_mode):
            raise CorpusError(f"The corpus {file} is no ordinary file: give one that can be read twice.")
    return Source(
        name=path.resolve().name,
        path=path,
        kind=kind,
        files=files,
        sizes=tuple(status.st_size for status in stats),
        times=tuple(status.st_mtime_ns for status in stats),
        field=field,
    )


def _kind(file: Path) -> str | None:
    suffix = Path(file.stem).suffix if file.suffix in COMPRESSED else file.suffix
    return KINDS.get(suffix.lower())


def _folder(folder: Path) -> tuple[str, tuple[Path, ...]]:
    """The kind and the files of a folder: a data set's, or all of one kind below it, sorted by path."""
    if (folder / "dataset_dict.json").is_file():
        folder = _train_split(folder)
    if (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file():
        return "arrow", _shards(folder)
    found: dict[str, list[Path]] = {}
    for path in folder.rglob("*"):
        if (kind := _kind(path)) and path.is_file():
            found.setdefault(kind, []).append(path)
    plain = [file for file in found.get("text", ()) if file.suffix not in COMPRESSED]
    if plain:  # as it always was: a folder with .txt files is these
        return "text", tuple(sorted(plain))
    for kind in ("text", "jsonl", "parquet", "arrow"):
        if kind in found:
            return kind, tuple(sorted(found[kind]))
    raise CorpusError(
        f"The folder {folder} has no .txt file, nor .jsonl, .parquet or .arrow: put the corpus' files there."
    )


def _train_split(folder: Path) -> Path:
    splits = _json(folder / "dataset_dict.json").get("splits")
    names = [str(name) for name in splits] if isinstance(splits, list) else []
    if "train" not in names:
        raise CorpusError(
            f"The data set {folder} has no split named train, but {', '.join(names) or 'none at all'}: "
            "give the folder of one of them."
        )
    return folder / "train"


def _shards(folder: Path) -> tuple[Path, ...]:
    """The Arrow files that a data set saved by `datasets` names, in its order."""
    state = _json(folder / "state.json")
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise CorpusError(
            f"The data set {folder} is a choice of rows by an index: save it after flatten_indices()."
        )
    try:
        names = [Path(file["filename"]).name for file in state["_data_files"]]
    except (KeyError, TypeError):
        names = []
    if not names:
        raise CorpusError(f"The data set {folder} names no files in its state.json: save it again.")
    return tuple(folder / name for name in names)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None
    return content if isinstance(content, dict) else {}


def _unreadable(path: Path, error: Exception) -> CorpusError:
    return CorpusError(f"The corpus {path} cannot be read: {getattr(error, 'strerror', None) or error}.")


def _opened(file: Path) -> tuple[BinaryIO, BinaryIO]:
    """A file's content, decompressed if its name says so, and the file itself."""
    raw = file.open("rb")
    if file.suffix == ".gz":
        return gzip.GzipFile(fileobj=raw), raw  # type: ignore[return-value]
    if file.suffix == ".zst":
        from nexus_tui.data.arrow import decompressed

        return decompressed(raw, file), raw
    return raw, raw


def _read(file: Path, _: str, done: Done) -> Iterator[Iterator[bytes]]:
    yield _blocks(file, done)


def _blocks(file: Path, done: Done) -> Iterator[bytes]:
    """A text file in blocks, checked to be text. Raises CorpusError."""
    at, rest = 0, b""
    lines = 1
    try:
        content, raw = _opened(file)
        with content, raw:
            while block := content.read(BLOCK):
                if b"\0" in block:
                    where = at + block.index(0)
                    raise CorpusError(f"The corpus {file} is binary, not text: it has a NUL at byte {where}.")
                rest = _checked(file, rest + block, at - len(rest), lines, last=False)
                at += len(block)
                lines += block.count(b"\n")
                done(raw.tell())
                yield block
        _checked(file, rest, at - len(rest), lines, last=True)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise _unreadable(file, error) from None


def _checked(file: Path, block: bytes, at: int, lines: int, last: bool) -> bytes:
    """The bytes at the end of a block that begin a character; raises CorpusError for what is no UTF-8."""
    try:
        block.decode()
    except UnicodeDecodeError as error:
        if not last and error.end == len(block) and error.reason == "unexpected end of data":
            return block[error.start :]
        line = lines + block.count(b"\n", 0, error.start)
        raise CorpusError(
            f"The corpus {file} is not UTF-8 text (at byte {at + error.start}), in line {line}: "
            "convert it to UTF-8 first."
        ) from None
    return b""


def _lines(file: Path, field: str, done: Done) -> Iterator[Iterator[bytes]]:
    """The texts of a file of JSON objects, one a line. Raises CorpusError naming the line."""
    record = msgspec.defstruct("Record", [("text", str)], rename={"text": field})
    decode = msgspec.json.Decoder(record).decode
    number = 0
    try:
        content, raw = _opened(file)
        with content, raw:
            while line := content.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise CorpusError(f"{file}, line {number:,}: it is longer than {LONGEST_LINE >> 20} MB.")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                text = decode(line).text.encode()  # type: ignore[attr-defined]
                if number % 256 == 0:
                    done(raw.tell())
                if text:
                    yield iter((text,))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise CorpusError(f"{file}, line {number:,}: {_wrong_line(line, field, error)}") from None
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise _unreadable(file, error) from None


def _wrong_line(line: bytes, field: str, error: Exception) -> str:
    """What is wrong with a line that is no object with a text, and what to do."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        why = re.sub(r"\s*\(byte (\d+)\)", r" at byte \1", str(error)).rstrip(".")
        return f"it is no JSON ({why}): mend or remove the line."
    if not isinstance(row, dict):
        return f"it is no JSON object: each line is one, with a text in its {field!r}."
    if field in row:
        return f"its {field!r} is no text: name a field with text, such as --set data.field=text."
    return no_field(field, [name for name, value in row.items() if isinstance(value, str)])


def no_field(field: str, names: list[str]) -> str:
    """The sentence for a field that is not there, with those that have text."""
    if not names:
        return f"there is no field {field!r}, nor another with text."
    shown = ", ".join(repr(name) for name in names[:8])
    return f"there is no field {field!r}, but {shown}: choose with --set data.field={names[0]}."


def _parquet(file: Path, field: str, done: Done) -> Iterator[Iterator[bytes]]:
    from nexus_tui.data.arrow import parquet

    return parquet(file, field, done)


def _arrow(file: Path, field: str, done: Done) -> Iterator[Iterator[bytes]]:
    from nexus_tui.data.arrow import arrow

    return arrow(file, field, done)


_READERS: dict[str, Callable[[Path, str, Done], Iterator[Iterator[bytes]]]] = {
    "text": _read,
    "jsonl": _lines,
    "parquet": _parquet,
    "arrow": _arrow,
}

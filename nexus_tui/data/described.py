"""What a corpus is, said without reading more of it than its first text."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from nexus_tui.data import cache
from nexus_tui.data.cache import CorpusError
from nexus_tui.data.corpus import FIELD, SMALL, corpora, known_entry, source_of

KINDS = {"text": "text", "jsonl": "JSON lines", "parquet": "Parquet", "arrow": "Arrow"}


@dataclass(frozen=True)
class Described:
    """The files of a corpus."""

    path: str
    kind: str
    """`text`, `jsonl`, `parquet`, `arrow`; empty for a corpus with a name."""
    files: int
    bytes: int
    """On disk."""
    kept: bool
    """Whether the cache has its text."""
    sha256: str
    """Of the text, where that is known."""
    wrong: str
    """Why its first text cannot be read, in a sentence; empty if it can."""

    @property
    def rows(self) -> bool:
        """Whether it has rows, of which one field is the text."""
        return self.kind not in ("", "text")

    def __str__(self) -> str:
        if not self.kind:
            return f"{self.path} is a corpus that comes with the program"
        files = "file" if self.files == 1 else "files"
        said = f"{self.files:,} {files} of {KINDS[self.kind]}, {size(self.bytes)}"
        if self.kept:
            return f"{said}; read before, begins at once"
        return said if self.bytes <= SMALL else f"{said}; read once, then kept in the cache"


def described(name_or_path: str, field: str = FIELD) -> Described:
    """What a name or path stands for. Raises CorpusError if that is nothing."""
    if name_or_path in corpora():
        return Described(name_or_path, "", 0, 0, False, "", "")
    source = source_of(name_or_path, field)
    entry = known_entry(source)
    sha256, wrong = str(entry.about["sha256"]) if entry else "", ""
    try:
        next(source.pieces(lambda _: None), None)
    except CorpusError as error:
        wrong = str(error)
    count = len(source.files)
    return Described(str(source.path), source.kind, count, source.size, entry is not None, sha256, wrong)


def size(count: int) -> str:
    """A number of bytes, such as `2.1 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"


@dataclass(frozen=True)
class Kept:
    """What the cache has of a corpus."""

    what: str
    """`text` or `tokens`."""
    path: str
    """Where the corpus was, or what it is called."""
    bytes: int
    used: float
    """When it was last of use: seconds since 1970."""


def kept() -> list[Kept]:
    """Everything that the cache has of large corpora, what was of use last first."""
    found = []
    for name, about, count, used in cache.entries():
        with contextlib.suppress(AttributeError):
            found.append(Kept(name.partition("-")[0], str(about.get("path", "")), count, used))
    return sorted(found, key=lambda entry: -entry.used)

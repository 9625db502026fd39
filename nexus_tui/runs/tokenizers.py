"""Whether several runs count the same tokens: only then can their losses per token be laid side by side."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

from nexus_tui.runs.run import Run


@dataclass(frozen=True)
class Tokens:
    """What a run's record says of its tokens."""

    tokenizer: str
    """As configured, such as `byte`."""
    vocabulary: int
    """How many there are; 0 if that is not on record."""
    sha256: str = ""
    """Of its tokenizer.json; empty without one."""

    def __str__(self) -> str:
        size = f" of {self.vocabulary:,}" if self.vocabulary and self.tokenizer != "byte" else ""
        return f"{self.tokenizer}{size}"


def tokens(run: Run) -> Tokens | None:
    """The tokens of a run; None if its record does not say."""
    name, size = run.setting("data.tokenizer"), run.setting("model.vocab_size")
    if not isinstance(name, str) or not name:
        return None
    return Tokens(name, size if isinstance(size, int) else 0, "" if run.foreign else _sha256(run.folder))


def differ(runs: Sequence[Run]) -> str:
    """How the tokens of some runs differ, such as `byte, bpe of 1,000`; empty if that is not on record."""
    known = [each for run in runs if (each := tokens(run))]
    if all(_alike(first, second) for first, second in combinations(known, 2)):
        return ""
    names = list(dict.fromkeys(map(str, known)))
    return ", ".join(names) if len(names) > 1 else f"{names[0]}, learned from different texts"


def _alike(first: Tokens, second: Tokens) -> bool:
    """Whether two are the same, as far as is known. Bytes are bytes, however the file writes them."""
    if first.sha256 and first.sha256 == second.sha256:
        return True  # however its file is called
    if first.tokenizer != second.tokenizer:
        return False
    if first.tokenizer == "byte":
        return True
    if first.sha256 and second.sha256:
        return first.sha256 == second.sha256
    return 0 in (first.vocabulary, second.vocabulary) or first.vocabulary == second.vocabulary


def _sha256(folder: Path) -> str:
    path = folder / "tokenizer.json"
    with contextlib.suppress(OSError):
        stat = path.stat()
        return _hashed(path, stat.st_mtime_ns, stat.st_size)
    return ""


@lru_cache(256)
def _hashed(path: Path, _changed: int, _size: int) -> str:
    """Looked at whenever several runs are drawn, read once."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""The summaries of a folder's runs, kept in the user's cache: a list of thousands needs no journal.

An entry counts for the very files that it was made of. Whatever is wrong with the file, from another version
to damage, means that it is not there: summaries are read from the journals again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec
import platformdirs

from nexus_tui.runs.checkpoints import WEIGHTS
from nexus_tui.runs.reading import CHECKPOINTS, Signature, Stamp, stamp
from nexus_tui.runs.run import Run
from nexus_tui.runs.summary import Summary

WORTH = 4 << 20
"""Bytes of journals: fewer are read in less time than it takes to look for a file of ours."""
_FORMAT = ("2", *Summary.__struct_fields__)
"""Of the file: raise the number whenever a field of Summary means something else."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """One summary, and the files that it was made of."""

    signature: Signature
    weights: Stamp
    """Of the best checkpoint's: a best whose weights are deleted is none."""
    summary: msgspec.Raw


class _File(msgspec.Struct, frozen=True, array_like=True):
    format: tuple[str, ...]
    folder: str
    entries: dict[str, _Entry]


_encode = msgspec.msgpack.Encoder().encode
_summary = msgspec.msgpack.Decoder(Summary).decode
_file = msgspec.msgpack.Decoder(_File).decode


class Summaries:
    """Summaries by the names of the runs' folders. Any thread may ask.

    Args:
        folder: the runs folder; whichever path led to it, the file is the same.
        wait: whether `of` reads the journal of a run that is not known. Without, it is for somebody else to
            read it, in another thread, and to `put` it here.
    """

    def __init__(self, folder: Path, *, wait: bool = True) -> None:
        self._folder = str(folder.resolve())
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        self.path = platformdirs.user_cache_path("nexus-tui") / "summaries" / f"{digest}.msgpack"
        self._wait = wait
        self._kept: dict[str, _Entry] = {}
        """As the file has them."""
        self._found: dict[str, tuple[Signature, Summary]] = {}
        """Those that were read since."""
        self._unsaved = False
        with contextlib.suppress(OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
            file = _file(self.path.read_bytes())
            if (file.format, file.folder) == (_FORMAT, self._folder):
                self._kept = file.entries

    def of(self, folder: Path, signature: Signature) -> Summary | None:
        """The summary of the run in a folder whose files are as `signature` says.

        If that is not here and nobody may wait for it: as it was when the files were others, or None.
        """
        if self.current(folder, signature):
            return self._found[folder.name][1]
        if self._wait:
            return self.put(Run(folder))
        if folder.name in self._found:
            return self._found[folder.name][1]
        entry = self._kept.get(folder.name)
        return _decoded(entry) if entry else None

    def current(self, folder: Path, signature: Signature) -> bool:
        """Whether the summary is here that belongs to the files as `signature` says."""
        if folder.name in self._found:
            return self._found[folder.name][0] == signature
        entry = self._kept.get(folder.name)
        if entry is None or entry.signature != signature:
            return False
        summary = _decoded(entry)
        if summary is None or entry.weights != _weights(folder, summary):
            return False
        self._found[folder.name] = (signature, summary)
        return True

    def put(self, run: Run) -> Summary:
        """Keep the summary of a run, which is read if it was not."""
        before = run.signature  # what is written during the reading may not be in the summary
        summary = run.summary
        self._found[run.folder.name] = (before, summary)
        self._unsaved = True
        return summary

    def save(self, names: Iterable[str]) -> None:
        """Write those of the runs of these names, whole or not at all, if any is new and it is WORTH it.

        Where the folder cannot be written, not at all.
        """
        if not self._unsaved or sum(signature.journal.size for signature, _ in self._found.values()) < WORTH:
            return
        self._unsaved = False
        entries = {}
        for name in names:
            # A configuration may hold what no file of ours can, such as a number of 30 digits.
            with contextlib.suppress(TypeError, ValueError, OverflowError, RecursionError):
                if name in self._found:
                    signature, summary = self._found[name]
                    weights = _weights(Path(self._folder, name), summary)
                    entries[name] = _Entry(signature, weights, msgspec.Raw(_encode(summary)))
                elif name in self._kept:
                    entries[name] = self._kept[name]
        temporary = self.path.with_name(f".writing-{os.getpid()}-{threading.get_ident()}")
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(_encode(_File(_FORMAT, self._folder, entries)))
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)


def _decoded(entry: _Entry) -> Summary | None:
    with contextlib.suppress(ValueError, RecursionError):
        return _summary(entry.summary)
    return None


def _weights(folder: Path, summary: Summary) -> Stamp:
    """That of the best's weights."""
    if summary.kind != "run" or not summary.best_checkpoint:
        return Stamp()
    return stamp(f"{folder}/{CHECKPOINTS}/{summary.best_checkpoint}/{WEIGHTS}")

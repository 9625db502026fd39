"""What was read of a run's files, and what tells that there is more."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nexus_tui.runs.journal import JournalReader
from nexus_tui.runs.record import Record
from nexus_tui.runs.source import Source

JOURNAL, CONFIG, CHECKPOINTS = "journal.jsonl", "run.toml", "checkpoints"


class Stamp(NamedTuple):
    """What tells whether a file has changed; zeros if it is not there."""

    time: int = 0
    """Of the last change, ns since 1970."""
    size: int = 0
    """Bytes."""
    inode: int = 0


class Signature(NamedTuple):
    """What tells whether anything that a run's record follows from has changed."""

    journal: Stamp = Stamp()
    config: Stamp = Stamp()
    checkpoints: Stamp = Stamp()
    """Of their folder: it changes when one comes or goes."""


def stamp(path: str | Path) -> Stamp:
    """That of a file or folder. Opens nothing."""
    try:
        stat = os.stat(path)  # noqa: PTH116 (asked of thousands: half the time of Path.stat)
    except OSError:
        return Stamp()
    return Stamp(stat.st_mtime_ns, stat.st_size, stat.st_ino)


def signature(folder: Path) -> Signature:
    """That of a run's folder."""
    return Signature(*(stamp(f"{folder}/{name}") for name in (JOURNAL, CONFIG, CHECKPOINTS)))


class LeftError(Exception):
    """A journal was not read to its end, for nobody waits for it any more."""


@dataclass
class Reading:
    """The record of a run as far as it was read."""

    reader: Source | JournalReader
    record: Record = field(default_factory=Record)

    def go_on(self, leave: Callable[[], bool] = lambda: False) -> bool:
        """Read what is new; all of it where the old no longer holds. Returns whether there was anything.

        Raises LeftError as soon as `leave` says so, which it is asked after every megabyte.
        """
        anew = self.reader.replaced()
        if anew:
            self.reader, self.record = self.reader.again(), Record()
        some = False
        batches = self.reader.batches() if isinstance(self.reader, JournalReader) else [self.reader.read()]
        for events in batches:
            self.record.take(events)
            some = some or bool(events)
            if leave():
                raise LeftError
        return anew or some

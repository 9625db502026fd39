"""The journal of a run: append-only events, one JSON object a line, one writer, any number of readers.

It is the only source of truth about a run. A half-written last line (a crash, a full disk) is dropped by
readers and cut by the next writer; kinds of event that this version does not know are kept and skipped.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from nexus_tui.runs.events import (
    FORMAT as FORMAT,
)
from nexus_tui.runs.events import (
    ActivityEvent as ActivityEvent,
)
from nexus_tui.runs.events import (
    AnyEvent as AnyEvent,
)
from nexus_tui.runs.events import (
    ClaimedEvent as ClaimedEvent,
)
from nexus_tui.runs.events import (
    ControlledEvent as ControlledEvent,
)
from nexus_tui.runs.events import (
    DeviceEvent as DeviceEvent,
)
from nexus_tui.runs.events import (
    DivergedEvent as DivergedEvent,
)
from nexus_tui.runs.events import (
    EndedEvent as EndedEvent,
)
from nexus_tui.runs.events import (
    EvaluatedEvent as EvaluatedEvent,
)
from nexus_tui.runs.events import (
    Event as Event,
)
from nexus_tui.runs.events import (
    FaultedEvent as FaultedEvent,
)
from nexus_tui.runs.events import (
    HeldoutEvent as HeldoutEvent,
)
from nexus_tui.runs.events import (
    KnownEvent as KnownEvent,
)
from nexus_tui.runs.events import (
    MeasuredEvent as MeasuredEvent,
)
from nexus_tui.runs.events import (
    NotedEvent as NotedEvent,
)
from nexus_tui.runs.events import (
    PredictedEvent as PredictedEvent,
)
from nexus_tui.runs.events import (
    ResumedEvent as ResumedEvent,
)
from nexus_tui.runs.events import (
    SampledEvent as SampledEvent,
)
from nexus_tui.runs.events import (
    SavedEvent as SavedEvent,
)
from nexus_tui.runs.events import (
    SpikedEvent as SpikedEvent,
)
from nexus_tui.runs.events import (
    StartedEvent as StartedEvent,
)
from nexus_tui.runs.events import (
    StepEvent as StepEvent,
)
from nexus_tui.runs.events import (
    UnknownEvent as UnknownEvent,
)
from nexus_tui.runs.events import (
    now as now,
)
from nexus_tui.untrusted_files import open_own, open_regular

_BATCH = 1 << 20
"""Bytes that are read and decoded at once: the events of a long journal are never all in memory."""
LARGEST = 8 << 30
"""Bytes of a journal: those of fifty million steps. Of a larger file nothing is read."""
LONGEST = 16 << 20
"""Bytes of a line. A longer one is none of ours, and is passed over as a damaged one."""

_known = msgspec.json.Decoder(KnownEvent)
_fields = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode
_DAMAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised for a line that is none of ours."""


def decode(line: bytes) -> AnyEvent | None:
    """One line as an event; None when it is damaged."""
    try:
        event: KnownEvent = _known.decode(line)
        return event
    except _DAMAGE:
        pass
    try:
        fields = _fields.decode(line)
    except _DAMAGE:
        return None
    return UnknownEvent(str(fields.get("event", "")), fields)


def local(time: datetime) -> datetime:
    """An event's time as clocks here show it; as it is, where the calendar ends before."""
    try:
        return time.astimezone()
    except (OverflowError, ValueError):
        return time


def damage(lines: int) -> str:
    """What is said of so many lines that could not be read; without a stop."""
    many = "1 damaged line" if lines == 1 else f"{lines:,} damaged lines"
    what = "it" if lines == 1 else "they"
    return f"{many} of journal.jsonl {'is' if lines == 1 else 'are'} passed over; what {what} said is missing"


def _decode_lines(data: bytes) -> tuple[list[AnyEvent], int]:
    """The events of whole lines, and how many lines are damaged."""
    try:
        events: list[AnyEvent] = _known.decode_lines(data)
        return events, 0
    except _DAMAGE:  # line by line takes twice as long
        lines = [line for line in data.splitlines() if line.strip()]
        events = [event for line in lines if (event := decode(line)) is not None]
        return events, len(lines) - len(events)


class JournalTakenError(Exception):
    """Another process has written into the journal: this one is its writer no longer."""


class Journal:
    """The one writer of a journal.

    An event that cannot be written (disk full) waits and is written before the next one; `failure` says what
    stands in the way. So a full disk loses nothing that this process lives to write. A file that has another
    length than this writer left it with has another writer, whatever its lock says.

    Raises OSError where there can be no journal: it is never written through a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OSError | None = None
        self._waiting = b""
        self._file = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._cut_half_line()
        self._end = os.fstat(self._file).st_size

    def append(self, *events: Event, durable: bool = False) -> None:
        """Write events, each whole or not at all; `durable` also waits until the disk has them.

        Raises JournalTakenError if somebody else has written since.
        """
        self._waiting += b"".join(_encode(event) + b"\n" for event in events)
        end = os.fstat(self._file).st_size
        if end != self._end:
            raise JournalTakenError(
                f"another process writes {self.path} too, so this one has stopped and written no more; "
                "let one of them go on, and look for a shared folder whose locks do not work."
            )
        try:
            while self._waiting:
                written = os.write(self._file, self._waiting)
                if written < len(self._waiting):  # a full disk takes a part: take it back
                    os.ftruncate(self._file, end)
                    os.write(self._file, self._waiting)
                    raise OSError(28, "No space left on device", str(self.path))
                self._end += written
                self._waiting = b""
            if durable:
                os.fsync(self._file)
            self.failure = None
        except OSError as error:
            self.failure = error
            if self._waiting:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, end)
                with contextlib.suppress(OSError):
                    self._end = os.fstat(self._file).st_size

    @property
    def deleted(self) -> bool:
        """Whether the file has been deleted while it was open."""
        return os.fstat(self._file).st_nlink == 0

    def restore(self) -> None:
        """Write a deleted file anew, with all that it held. Raises OSError, also if another is there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        end = 0
        while data := os.pread(self._file, _BATCH, end):
            end += os.write(new, data)
        os.fsync(new)
        os.close(self._file)
        self._file, self._end = new, end

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _cut_half_line(self) -> None:
        size = end = os.fstat(self._file).st_size
        while end:
            start = max(0, end - 65_536)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._file, end)


class JournalReader:
    """Reads whole lines as they come; keeps its place between calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Lines so far that are no JSON object."""
        self.failure = ""
        """Why the file could not be read when it was tried last, with its name; empty if it could."""
        self._offset = 0
        self._within_long_line = False
        self._identity: tuple[int, int] | None = None

    def replaced(self) -> bool:
        """Whether the file is another than the one read so far (deleted, shortened, put back)."""
        try:
            stat = self.path.stat()
        except OSError:
            return self._identity is not None
        return self._identity is not None and (
            (stat.st_dev, stat.st_ino) != self._identity or stat.st_size < self._offset
        )

    def again(self) -> "JournalReader":
        """A reader of the same file from its beginning."""
        return JournalReader(self.path)

    def read(self) -> list[AnyEvent]:
        """The events written since the last call. A missing or unreadable file has none."""
        return [event for batch in self.batches() for event in batch]

    def batches(self) -> Iterator[list[AnyEvent]]:
        """What `read` gives, a megabyte of the file at a time. What was given is not given again."""
        self.failure = ""
        try:
            file = open_regular(self.path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self.failure = f"{self.path.name} cannot be read ({error.strerror}); the record is empty"
            return
        with contextlib.suppress(OSError), file:
            stat = os.fstat(file.fileno())
            if stat.st_size == self._offset:
                return
            if stat.st_size > LARGEST:
                self.failure = f"{self.path.name} has more than {LARGEST >> 30} GiB, and is not read"
                return
            self._identity = (stat.st_dev, stat.st_ino)
            file.seek(self._offset)
            rest = b""
            while data := file.read(_BATCH):
                data = self._after_long_line(rest + data)
                whole = data.rfind(b"\n") + 1
                rest = data[whole:]
                self._offset += whole
                events, damaged = _decode_lines(data[:whole])
                self.damaged += damaged
                if len(rest) > LONGEST:
                    self._offset += len(rest)
                    self._within_long_line, rest = True, b""
                if events:
                    yield events

    def _after_long_line(self, data: bytes) -> bytes:
        """What follows a line that is passed over for its length; all of the data, where there is none."""
        if not self._within_long_line:
            return data
        end = data.find(b"\n") + 1
        self._offset += end or len(data)
        if not end:
            return b""
        self._within_long_line = False
        self.damaged += 1
        return data[end:]

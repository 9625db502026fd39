"""A journal as a TensorBoard event file, whose content follows from the journal alone.

So a mirror that was cut off, or is behind, is completed by comparing: what is there must be how the right
file begins. The format, and who defines it: see `interop/tfevents.py`, which reads it and has its check sums.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable
from io import FileIO
from pathlib import Path

from nexus_tui.exchange.logged import Row, Rows, events_of
from nexus_tui.interop.tfevents import crc32c, masked
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.untrusted_files import open_own, own_folder

_STRING = 7
"""TensorFlow's number for tensors of text."""


def file_name(first: j.AnyEvent) -> str:
    """What the event file of a run is called, by its first event: TensorBoard finds it by `tfevents`."""
    return f"events.out.tfevents.{int(_time(first)):010d}.nexus"


def header(first: j.AnyEvent) -> bytes:
    """How every event file begins: the version of its format."""
    return _record(_double(1, _time(first)) + _bytes(3, b"brain.Event:2"))


def record(row: Row) -> bytes:
    """One row as a record.

    A resume tells TensorBoard to forget later steps (SessionLog START), so that it shows the newest branch.
    """
    head = _double(1, row.time)
    if row.resumed:
        return _record(head + _number(2, row.step + 1) + _bytes(7, _number(1, 1)))
    values = [_bytes(1, name.encode()) + _float(2, value) for name, value in row.values.items()]
    values += [_text(name, text) for name, text in row.texts.items()]
    return _record(head + _number(2, row.step) + _bytes(5, b"".join(_bytes(1, value) for value in values)))


def content(events: Iterable[j.AnyEvent]) -> bytes:
    """The whole event file of a journal; empty for one without events."""
    known = list(events)
    return header(known[0]) + b"".join(map(record, Rows().take(known))) if known else b""


def write_events(run: Run, path: Path) -> None:
    """Write a run's whole event file. Raises OSError."""
    path.write_bytes(content(events_of(run)))


class EventFile:
    """The event file in a folder, as it grows with a journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = Rows()
        self._waiting = b""
        self._path: Path | None = None
        self._good = 0
        """Bytes that are written and right."""

    def take(self, events: Iterable[j.AnyEvent]) -> None:
        """Write the next events of the journal, its first ones at first. What was there is not written again.

        Raises OSError if the disk refuses; they are written with the next ones then.
        """
        known = list(events)
        if self._path is None and known:
            self._path = self._folder / file_name(known[0])
            self._waiting = header(known[0])
        self._waiting += b"".join(map(record, self._rows.take(known)))
        if self._path and self._waiting:
            own_folder(self._folder)
            self._write(self._path)

    def close(self) -> None:
        """There are no more events: what stands after them in the file is none of this journal's."""
        if self._path and not self._waiting and self._path.stat().st_size > self._good:
            os.truncate(self._path, self._good)

    def _write(self, path: Path) -> None:
        with FileIO(open_own(path, os.O_RDWR | os.O_CREAT), "r+") as file:
            file.seek(self._good)
            there = file.read(len(self._waiting))
            if self._waiting.startswith(there):
                self._advance(len(there))
            if not self._waiting:
                return
            file.truncate(self._good)
            try:
                file.seek(self._good)
                while self._waiting:
                    self._advance(file.write(self._waiting))
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self._good)
                raise

    def _advance(self, count: int) -> None:
        self._good += count
        self._waiting = self._waiting[count:]


def _time(event: j.AnyEvent) -> float:
    return event.time.timestamp() if isinstance(event, j.Event) else 0.0


def _text(tag: str, text: str) -> bytes:
    """A `Summary.Value` of text: a tensor of one string, for the plugin that shows such."""
    plugin = _bytes(9, _bytes(1, _bytes(1, b"text")))
    tensor = _number(1, _STRING) + _bytes(2, _bytes(2, _number(1, 1))) + _bytes(8, text.encode())
    return _bytes(1, tag.encode()) + _bytes(8, tensor) + plugin


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _sum(length) + data + _sum(data)


def _sum(data: bytes) -> bytes:
    return struct.pack("<I", masked(crc32c(data)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + _single(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _single(value: float) -> bytes:
    """A number of 32 bits; one that is too large for them is infinite."""
    try:
        return struct.pack("<f", value)
    except OverflowError:
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)

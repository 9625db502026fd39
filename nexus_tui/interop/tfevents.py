"""TensorBoard's event files: the scalars in them, without TensorFlow.

A file is a row of records: length (8 bytes, little-endian), its masked CRC-32C, the data, their masked
CRC-32C (TensorFlow, `tensorflow/core/lib/io/record_writer.h`). The data are a protocol buffer `Event`
(`tensorflow/core/util/event.proto`), of which only step, time and the values of scalars are decoded.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_HEADER, _FOOTER = 12, 4
_AT_ONCE = 32 << 20
"""Bytes read at a time."""
_CHECKED = 4096
"""Records with more bytes than this hold images or graphs; their check sum is not worth the time."""
_MASK = 0xA282EAD8
_FLOAT, _DOUBLE, _INT32, _INT64, _HALF, _BFLOAT16 = 1, 2, 3, 9, 19, 14
_CONTENT = {_FLOAT: "<f4", _DOUBLE: "<f8", _INT32: "<i4", _INT64: "<i8", _HALF: "<f2"}


@dataclass(frozen=True)
class Scalar:
    """One number that was written."""

    tag: str
    step: int
    time: float
    """Seconds since 1970."""
    value: float | None
    """None for what is no finite number."""


class EventFile:
    """One growing event file; keeps its place between calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = ""
        """Why the rest cannot be read, if it cannot."""
        self.skipped = 0
        """Records whose check sum was wrong."""
        self._offset = 0

    def read(self, most: float = math.inf) -> list[Scalar]:
        """The scalars of the records that have been completed since the last call; `most`, or a few more."""
        found: list[Scalar] = []
        try:
            with self.path.open("rb") as file:
                while not self.damaged and len(found) <= most:
                    file.seek(self._offset)
                    data = file.read(_AT_ONCE)
                    used = self._take(data, found)
                    if not used and len(data) == _AT_ONCE:
                        used = self._pass_over(data)  # a record larger than that: not a scalar
                    self._offset += used
                    if not used:
                        break
        except OSError as error:
            self.damaged = f"{self.path} cannot be read ({error.strerror})"
        return found

    def _take(self, data: bytes, found: list[Scalar]) -> int:
        """Decode the whole records in `data`. Returns how many bytes they take."""
        records, at = [], 0
        while at + _HEADER <= len(data):
            (length, check) = struct.unpack_from("<QI", data, at)
            if masked(crc32c(data[at : at + 8])) != check:
                self.damaged = f"{self.path} is damaged from byte {self._offset + at} on"
                break
            end = at + _HEADER + length + _FOOTER
            if end > len(data):
                break
            records.append(data[at + _HEADER : end])
            at = end
        for record, good in zip(records, _sound(records), strict=True):
            if good:
                found += scalars(record[:-_FOOTER])
            else:
                self.skipped += 1
        return at

    def _pass_over(self, data: bytes) -> int:
        (length,) = struct.unpack_from("<Q", data)
        size = self.path.stat().st_size
        end = _HEADER + int(length) + _FOOTER
        return end if self._offset + end <= size else 0


def scalars(event: bytes) -> list[Scalar]:
    """The scalars of one `Event`; none if it is damaged or holds something else."""
    try:
        return list(_scalars(event))
    except (ValueError, IndexError, struct.error, OverflowError):
        return []


def _scalars(event: bytes) -> Iterator[Scalar]:
    time, step, summaries = 0.0, 0, []
    for field, value in _fields(event):
        if field == 1 and isinstance(value, bytes) and len(value) == 8:
            (time,) = struct.unpack("<d", value)
        elif field == 2 and isinstance(value, int):
            step = value
        elif field == 5 and isinstance(value, bytes):
            summaries.append(value)
    if step >= 1 << 53 or not math.isfinite(time):
        return
    for summary in summaries:
        for field, value in _fields(summary):
            if field == 1 and isinstance(value, bytes):
                tag, number = _value(value)
                if tag and number is not None:
                    yield Scalar(tag, step, time, number if math.isfinite(number) else None)


def _value(message: bytes) -> tuple[str, float | None]:
    """A `Summary.Value`: its tag and its number; None if it is none."""
    tag, number = "", None
    for field, value in _fields(message):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", errors="replace")
        elif field == 2 and isinstance(value, bytes) and len(value) == 4:
            (number,) = struct.unpack("<f", value)
        elif field == 8 and isinstance(value, bytes):
            number = _tensor(value)
    return tag, number


def _tensor(message: bytes) -> float | None:
    """A `TensorProto` of one number; None for any other."""
    kind, content, listed = 0, b"", list[float]()
    for field, value in _fields(message):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 4 and isinstance(value, bytes):
            content = value
        elif field in (5, 6) and isinstance(value, bytes):
            listed += np.frombuffer(value, "<f4" if field == 5 else "<f8").tolist()
        elif field in (7, 10) and isinstance(value, int):
            listed.append(float(value - (1 << 64) if value >> 63 else value))
        elif field in (7, 10) and isinstance(value, bytes):
            listed += [float(each) for each in _varints(value)]
    if kind == _BFLOAT16 and len(content) == 2:
        return float(np.frombuffer(b"\0\0" + content, "<f4")[0])
    if content and kind in _CONTENT:
        listed = np.frombuffer(content, _CONTENT[kind]).tolist()
    return float(listed[0]) if len(listed) == 1 else None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: number and value, fixed-width ones as their bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("no known wire type")
        if at + length > len(message):
            raise ValueError("cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("no varint")


def _varints(message: bytes) -> Iterator[int]:
    at = 0
    while at < len(message):
        value, at = _varint(message, at)
        yield value


def _table() -> "np.ndarray[Any, np.dtype[np.uint32]]":
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1)
    return table


_TABLE = _table()
_PLAIN_TABLE = [int(entry) for entry in _TABLE]


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of a few bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _PLAIN_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A check sum as a record file has it."""
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def _sound(records: list[bytes]) -> list[bool]:
    """Whether the data of each record (data, then its check sum) have the sum they should.

    Records of one length are summed side by side: byte for byte in Python would take a second a megabyte.
    """
    sound = [True] * len(records)
    by_length: dict[int, list[int]] = {}
    for index, record in enumerate(records):
        if len(record) <= _CHECKED:
            by_length.setdefault(len(record), []).append(index)
    for length, indices in by_length.items():
        data = np.frombuffer(b"".join(records[i] for i in indices), np.uint8).reshape(len(indices), length)
        crc = np.full(len(indices), 0xFFFFFFFF, np.uint32)
        for column in data[:, :-_FOOTER].T:
            crc = _TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
        crc ^= np.uint32(0xFFFFFFFF)
        mask = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(_MASK)
        for index, good in zip(indices, mask == data[:, -_FOOTER:].copy().view("<u4")[:, 0], strict=True):
            sound[index] = bool(good)
    return sound

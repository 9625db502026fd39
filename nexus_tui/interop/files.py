"""Reading files that somebody else wrote: bounded, and never trusted to hold what they should."""

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nexus_tui.runs.run import RunError

LARGEST = 64 << 20
"""Bytes: a log that is read whole may not be larger."""

Signature = tuple[tuple[str, int, int], ...]


def signature(paths: Iterable[Path]) -> Signature:
    """What tells whether files have changed: name, size and time of each that is there."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def read_text(path: Path) -> str:
    """A whole text file; bytes that are no UTF-8 are replaced. Raises RunError, naming the file."""
    try:
        if not path.is_file():
            raise RunError(f"{path} is no file.")
        size = path.stat().st_size
        if size > LARGEST:
            raise RunError(f"{path} has {size >> 20} MiB; only logs of up to {LARGEST >> 20} MiB are read.")
        return path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from None


def read_json(path: Path, key: str) -> Any:
    """A JSON file; NaN and infinities, which are no JSON, count as null. Raises RunError, naming the file.

    One in which `key` is nowhere is not parsed, and counts as null.
    """
    text = read_text(path)
    try:
        return parse_json(text) if not text.strip() or f'"{key}"' in text else None
    except (ValueError, RecursionError):
        raise RunError(f"{path} is damaged: it is no JSON.") from None


def parse_json(text: str) -> Any:
    """JSON in which NaN and infinities count as null. Raises ValueError or RecursionError."""
    nothing: Callable[[str], None] = lambda _: None  # noqa: E731
    return json.loads(text, parse_constant=nothing)


def finite(value: object) -> float | None:
    """A finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def whole(value: object) -> int | None:
    """A step: a whole number from 0 to 2^53, else None."""
    number = finite(value)
    return int(number) if number is not None and number == int(number) and 0 <= number < 2**53 else None


def instant(seconds: float | None) -> datetime:
    """A time in seconds since 1970 as an event's; 1970 for what is none."""
    try:
        return datetime.fromtimestamp(seconds or 0.0, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)

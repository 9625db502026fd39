"""A table of steps and losses: CSV, JSON lines, or a table in a Markdown document."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nexus_tui.interop.columns import Columns, guess
from nexus_tui.interop.files import finite, instant, read_text, whole
from nexus_tui.interop.scalars import Row, events_of
from nexus_tui.interop.snapshot import Snapshot
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import RunError

DOCUMENTS = (".md", ".markdown")
ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", *DOCUMENTS)
_MOST = 2_000_000
"""Cells of a table: they take half a gigabyte for a moment."""
_ENOUGH = 1000
"""Lines of JSON that show whether there is a step and a loss."""
_NUMBER = re.compile(r"[-+]?(\d[\d,_]*\.?\d*|\.\d+)([eE][-+]?\d+)?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?([eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_DIVIDER = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")


class Table(Snapshot):
    """A run from a table."""

    kind = "table"

    def files(self) -> Iterable[Path]:
        """The one file."""
        return [self.path]

    def events(self) -> list[j.AnyEvent]:
        """A row for each line that has a step; other lines are skipped, and counted in a note."""
        rows, columns, skipped = read_table(self.path)
        self.config = {"columns": {key: value for key, value in vars(columns).items() if value}}
        note = columns.in_words() + (f"; {skipped} rows without a step were skipped" if skipped else "")
        start = instant(rows[0].time)
        return [
            j.StartedEvent(time=start, kind=self.kind),
            j.NotedEvent(time=start, step=rows[0].step, text=note),
            *events_of(rows, columns),
        ]


def read_table(path: Path) -> tuple[list[Row], Columns, int]:
    """The rows of the table in a file, what its columns were taken for, and how many rows were skipped.

    Of several tables in a document the one with the most numbers counts. Raises RunError if there is none
    with a step and a loss.
    """
    text = read_text(path)
    try:
        if path.suffix.lower() in DOCUMENTS:
            tables = list(_markdown(text))
        elif path.suffix.lower() in (".jsonl", ".ndjson"):
            tables = [_json_lines(text)]
        else:
            tables = [_delimited(text)]
    except _LargeError:
        raise RunError(f"{path} has more than {_MOST:,} cells; only smaller tables are read.") from None
    found = [made for table in tables if (made := _made(table))]
    if not found:
        names = ", ".join(repr(name) for table in tables for name in _names(table)) or "nothing"
        raise RunError(
            f"{path} holds no table with a step and a loss; its columns are: {names[:300]}. Call one 'step'."
        )
    return max(found, key=lambda made: sum(len(row.values) for row in made[0]))


class _LargeError(Exception):
    """A table has too many cells."""


def _few(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, as long as they are not too many. Raises _LargeError."""
    cells = 0
    for row in rows:
        cells += len(row)
        if cells > _MOST:
            raise _LargeError
        yield row


def _made(table: list[dict[str, Any]]) -> tuple[list[Row], Columns, int] | None:
    columns = guess(_names(table))
    if not _promising(_names(table)):
        return None
    rows = []
    for line in table:
        step = whole(_cell(line.get(columns.step)))
        if step is None:
            continue
        values = {name: _cell(cell) for name, cell in line.items() if name != columns.step and _present(cell)}
        # a column of words, such as notes, is no metric
        numbers = {name: value for name, value in values.items() if value is not None or name in columns.used}
        rows.append(Row(step, numbers))
    return (rows, columns, len(table) - len(rows)) if any(row.values for row in rows) else None


def _promising(names: Iterable[str]) -> bool:
    """Whether there are columns for a step and a loss among them."""
    columns = guess(names)
    return bool(columns.step and (columns.loss or columns.validation))


def _names(table: list[dict[str, Any]]) -> list[str]:
    """Every column, the most filled first where they come in different lines."""
    counts = Counter(name for line in table for name in line)
    return list(counts)


def _present(cell: Any) -> bool:
    return not (cell is None or (isinstance(cell, str) and cell.strip(" *~`–—-") in ("", "None", "none")))


def _cell(cell: Any) -> float | None:
    """The first number in a cell: `**2.63** ✓` is 2.63, `1,400` is 1400; None if it has none."""
    if not isinstance(cell, str):
        return finite(cell)
    match = _NUMBER.search(cell)
    try:
        return finite(float(_in_points(match[0]))) if match else None
    except ValueError:
        return None


def _in_points(number: str) -> str:
    """A number as Python reads it: `1,400` and `1_400` are 1400, `2,5` is 2.5."""
    number = number.rstrip(",_")
    if "," in number and not _GROUPED.fullmatch(number):
        return number.replace(",", ".")
    return number.replace(",", "").replace("_", "")


def _delimited(text: str) -> list[dict[str, Any]]:
    head = text[:8192].split("\n", 1)[0]
    delimiter = max(",;\t|", key=head.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    try:
        names = list(reader.fieldnames or ())
        if not _promising(names):  # a table of something else may be large
            return [dict.fromkeys(names)]
        rows = ({key: value for key, value in line.items() if isinstance(key, str)} for line in reader)
        lines = list(_few(rows))
        return [_commas_are_points(line) for line in lines] if delimiter == ";" else lines
    except csv.Error:
        return []


def _commas_are_points(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a table that semicolons divide: a comma in a number is its decimal point there."""
    return {
        key: value.replace(",", ".")
        if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value.strip())
        else value
        for key, value in line.items()
    }


def _json_lines(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cells = 0
    for line in text.splitlines():
        try:
            value = json.loads(line)  # NaN is a number here, null is none
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            if len(found) == _ENOUGH and not _promising(_names(found)):
                break
            found.append({key: cell for key, cell in value.items() if isinstance(cell, str | int | float)})
            cells += len(found[-1])
            if cells > _MOST:
                raise _LargeError
    return found


def _markdown(text: str) -> Iterator[list[dict[str, Any]]]:
    """The tables of a document: a row of names, a row of dashes, rows of cells."""
    lines = text.splitlines()
    at = 0
    while at + 1 < len(lines):
        if "|" in lines[at] and _DIVIDER.match(lines[at + 1]):
            names, end = _cells(lines[at]), at + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            rows = (dict(zip(names, _cells(line), strict=False)) for line in lines[at + 2 : end])
            at = end
            yield list(_few(rows))
        else:
            at += 1


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]

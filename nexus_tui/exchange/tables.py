"""A run as one table, a line for each step of each branch: CSV, or Parquet."""

from __future__ import annotations

import csv
import importlib.util
import io
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.exchange.logged import Row, Rows, events_of
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST = ("step", "branch", "time")


class Table:
    """The numbers of a run by (branch, step), in the order of the record, and the tags that it has."""

    def __init__(self, run: Run) -> None:
        self.lines: dict[tuple[int, int], dict[str, float]] = {}
        self.times: dict[tuple[int, int], float] = {}
        self._take(Rows().take(events_of(run)))
        self.tags = list(dict.fromkeys(tag for line in self.lines.values() for tag in line))

    def _take(self, rows: Iterable[Row]) -> None:
        branch = 0
        for row in rows:
            branch += row.resumed
            if row.values:
                self.lines.setdefault((branch, row.step), {}).update(row.values)
                self.times.setdefault((branch, row.step), row.time)


def to_csv(run: Run) -> str:
    """The table as CSV: step, branch, time (UTC), then a column for each tag; empty where nothing was said.

    Numbers have all their digits. Losses in nats per token.
    """
    table, text = Table(run), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIRST, *table.tags])
    for (branch, step), line in table.lines.items():
        at = datetime.fromtimestamp(table.times[branch, step], UTC).isoformat(timespec="milliseconds")
        writer.writerow([step, branch, at, *(_cell(line.get(tag)) for tag in table.tags)])
    return text.getvalue()


def require_pyarrow() -> None:
    """Raise ExchangeError, with what to install, unless Parquet can be written."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ExchangeError("Parquet needs the package pyarrow: pip install 'nexus-tui[corpora]'.")


def write_parquet(run: Run, path: Path) -> None:
    """The table of `to_csv` as a Parquet file. Raises OSError if the disk refuses; needs pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = Table(run)
    branches, steps = zip(*table.lines, strict=True) if table.lines else ((), ())
    times = [datetime.fromtimestamp(at, UTC) for at in table.times.values()]
    columns = {
        "step": pa.array(steps, pa.int64()),
        "branch": pa.array(branches, pa.int32()),
        "time": pa.array(times, pa.timestamp("ms", "UTC")),
        **{
            tag: pa.array([line.get(tag) for line in table.lines.values()], pa.float64())
            for tag in table.tags
        },
    }
    pq.write_table(pa.table(columns), path)


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) > 1 else repr(value)

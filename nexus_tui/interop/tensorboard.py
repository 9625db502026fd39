"""TensorBoard's logs as a run, and Lightning's folders, which are such logs beside checkpoint files."""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from nexus_tui.interop import lightning
from nexus_tui.interop.columns import Columns, guess, is_part
from nexus_tui.interop.files import instant, signature
from nexus_tui.interop.scalars import Row, events_of
from nexus_tui.interop.snapshot import Snapshot
from nexus_tui.interop.table import read_table
from nexus_tui.interop.tfevents import EventFile, Scalar
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import RunError
from nexus_tui.runs.source import Weights

EVENTS = "*tfevents*"
_METRICS = "metrics.csv"
_MOST_FOLDERS = 200
_MOST = 4_000_000
"""Numbers of all files together: they take a gigabyte or two for a moment."""
_TIME = re.compile(r"tfevents\.(\d+)")


class Logs(Snapshot):
    """A folder with TensorBoard event files, in it or one level below, or with Lightning's metrics.csv."""

    kind = "tensorboard"

    def __init__(self, path: Path) -> None:
        self._readers: dict[Path, tuple[EventFile, list[Scalar]]] = {}
        super().__init__(path)

    def files(self) -> Iterable[Path]:
        """The logs and the folder of checkpoints."""
        return [*event_files(self.path), self.path / _METRICS, self.path / "checkpoints"]

    def events(self) -> list[j.AnyEvent]:
        """Steps, evaluations and everything else that was logged, then what checkpoint files claim."""
        rows, columns, notes = self._rows()
        if not rows:
            raise RunError(f"{self.path} holds no scalars that can be read. {' '.join(notes)}".strip())
        self.config = {
            "columns": {key: value for key, value in vars(columns).items() if value and key != "step"}
        }
        self._kept = lightning.checkpoint_files(self.path)
        evaluated = [row.step for row in rows if columns.validation in row.values]
        names = lightning.names_by_step(self._kept, evaluated)
        events = events_of(rows, columns, names)
        start = instant(rows[0].time)
        begin: list[j.AnyEvent] = [j.StartedEvent(time=start, kind=self.kind)]
        begin += [j.NotedEvent(time=start, step=rows[0].step, text=note) for note in notes]
        claims = lightning.claims(self._kept, events, self.path)
        return [*begin, *lightning.with_saves(events, self._kept), *claims]

    def weights(self, checkpoint: str) -> Weights:
        """Here if there is a file; elsewhere if no checkpoints are to be seen at all."""
        if self.weights_path(checkpoint):
            return "here"
        return "gone" if self._kept else "elsewhere"

    def weights_path(self, checkpoint: str) -> Path | None:
        """The checkpoint's file."""
        return next((file.path for file in self._kept if file.name == checkpoint), None)

    def again(self) -> "Logs":
        """The same with what has been added; what was read before is not read again."""
        self._signature, self._given = signature(self.files()), False
        with contextlib.suppress(RunError):  # deleted meanwhile: what was read stays
            self._events = self.events()
        return self

    def _rows(self) -> tuple[list[Row], Columns, list[str]]:
        files = event_files(self.path)
        if not files and (self.path / _METRICS).is_file():
            rows, columns, _ = read_table(self.path / _METRICS)
            return rows, columns, [columns.in_words()]
        by_folder: dict[str, list[Scalar]] = {}
        damage = []
        for path in files:
            reader, known = self._readers.setdefault(path, (EventFile(path), []))
            room = _MOST - sum(len(numbers) for _, numbers in self._readers.values())
            if room < 0:
                damage.append(f"more than {_MOST:,} numbers are here; the rest is not read.")
                break
            known += reader.read(room)
            below = path.parent.relative_to(self.path).as_posix()
            by_folder.setdefault("" if below == "." else f"{below}/", []).extend(known)
            if reader.damaged:
                damage.append(f"{reader.damaged}; the rest is not read.")
            if reader.skipped:
                damage.append(f"{path}: {reader.skipped} records with a wrong check sum were skipped.")
        rows = _by_step(by_folder)
        columns = guess(dict.fromkeys(chain.from_iterable(row.values for row in rows)))
        return rows, columns, [columns.in_words(), *damage]


def event_files(folder: Path) -> list[Path]:
    """The event files of one run, oldest first.

    They are in the folder and those below it that add to it; or only in folders below it that are called
    `train`, `validation` and so on, as Keras has it. Other folders below are runs of their own.
    """
    try:
        found = [path for path in folder.glob(EVENTS) if path.is_file()]
        whole = bool(found)
        for below in sorted(folder.iterdir())[:_MOST_FOLDERS]:
            if (whole or is_part(below.name)) and below.is_dir() and not below.is_symlink():
                found += [path for path in below.glob(EVENTS) if path.is_file()]
    except OSError:
        return []
    return sorted(found, key=lambda path: (_written(path), str(path)))


def _written(path: Path) -> int:
    """The time in an event file's name; 0 if it has none."""
    match = _TIME.search(path.name)
    return int(match[1][:18]) if match else 0


def _by_step(by_folder: dict[str, list[Scalar]]) -> list[Row]:
    """One row a step, over all folders; where a tag's step falls back, a new stretch of rows begins."""
    grouped: dict[tuple[int, int], dict[str, float | None]] = {}
    times: dict[tuple[int, int], float] = {}
    for folder, found in by_folder.items():
        for stretch, scalar in _stretches(found):
            place = (stretch, scalar.step)
            grouped.setdefault(place, {})[folder + scalar.tag] = scalar.value
            times.setdefault(place, scalar.time)
    return [Row(step, grouped[stretch, step], times[stretch, step]) for stretch, step in sorted(grouped)]


def _stretches(found: list[Scalar]) -> Iterator[tuple[int, Scalar]]:
    stretch, last = 0, dict[str, int]()
    for scalar in found:
        if scalar.step < last.get(scalar.tag, 0):
            stretch, last = stretch + 1, {}
        last[scalar.tag] = scalar.step
        yield stretch, scalar

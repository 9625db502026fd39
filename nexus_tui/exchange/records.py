"""What `export --to` writes of a run's record, and where it goes if nobody says."""

from __future__ import annotations

from pathlib import Path

from nexus_tui.exchange.event_file import EventFile, write_events
from nexus_tui.exchange.event_file import file_name as event_file_name
from nexus_tui.exchange.logged import events_of
from nexus_tui.exchange.place import ExchangeError, write_file, write_folder
from nexus_tui.exchange.tables import require_pyarrow, to_csv, write_parquet
from nexus_tui.exchange.tools import TENSORBOARD
from nexus_tui.runs.run import Run

CSV, PARQUET = "csv", "parquet"
RECORDS = (CSV, PARQUET, TENSORBOARD)


def export_record(run: Run, to: str, place: Path | None, *, replace: bool = False) -> Path | str:
    """Write a run's numbers. Returns where they are; without a place, the text of CSV.

    TensorBoard's file goes into the run's own folder then, where `train --log tensorboard` keeps it.
    Raises ExchangeError if the run has none, a package is missing, or the place is taken or not writable.
    """
    if not (events := events_of(run)):
        raise ExchangeError(f"{run.name} has nothing on record yet.")
    if to == CSV:
        text = to_csv(run)
        if place is None:
            return text
        write_file(place, lambda file: _write(file, text), replace)
        return place
    if to == PARQUET:
        require_pyarrow()
        if place is None:
            raise ExchangeError("--to parquet: name the file to write, as in run.parquet.")
        write_file(place, lambda file: write_parquet(run, file), replace)
        return place
    name = event_file_name(events[0])
    if place is None:
        return _beside_the_run(run, name)
    write_folder(place, lambda folder: write_events(run, folder / name), replace, (name,))
    return place


def _beside_the_run(run: Run, name: str) -> Path:
    if run.foreign or run.kind == "recorded":
        raise ExchangeError(f"--to tensorboard: name a folder to write; {run.name} is not a run of your own.")
    folder = run.folder / TENSORBOARD
    try:
        log = EventFile(folder)
        log.take(events_of(run))
        log.close()
    except OSError as error:
        raise ExchangeError(f"{folder / name} cannot be written ({error.strerror}).") from error
    return folder


def _write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")

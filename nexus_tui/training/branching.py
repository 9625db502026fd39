"""A run that came with the program goes on as a run of one's own, which begins with its record."""

import contextlib
import shutil
from pathlib import Path

import msgspec

from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.reading import CHECKPOINTS, CONFIG, JOURNAL
from nexus_tui.runs.run import Run

_BESIDE = (CONFIG, "tokenizer.json")


def adopt(run: Run, checkpoint: Checkpoint, folder: Path) -> None:
    """Make `folder` a run with the record of `run` and one of its checkpoints, in one rename.

    What the record says of other checkpoints stays on record; their weights are not there. Raises OSError
    and leaves nothing behind if the disk refuses it, FileExistsError if something has that name.
    """
    temporary = folder.with_name(f".writing-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for name in _BESIDE:
            if (run.folder / name).is_file():
                shutil.copyfile(run.folder / name, temporary / name)
        shutil.copytree(checkpoint.path, temporary / CHECKPOINTS / checkpoint.name)
        with contextlib.suppress(FileNotFoundError):  # the windows' losses: what tells ties apart
            shutil.copytree(run.folder / "evaluations", temporary / "evaluations")
        (temporary / JOURNAL).write_bytes(_own(run.folder / JOURNAL))
        if folder.exists():
            raise FileExistsError(17, "there is one already", str(folder))
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _own(journal: Path) -> bytes:
    """The lines of a journal, that of a run trained here: every other line as it is."""
    lines = journal.read_bytes().splitlines(keepends=True)
    return b"".join(_trained_here(line) if b'"started"' in line else line for line in lines)


def _trained_here(line: bytes) -> bytes:
    event = j.decode(line)
    if not isinstance(event, j.StartedEvent):
        return line
    return msgspec.json.encode(msgspec.structs.replace(event, kind="run")) + b"\n"

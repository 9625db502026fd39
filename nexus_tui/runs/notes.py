"""A note on a run that nobody trains: appended to its journal, under its lock."""

from pathlib import Path

from nexus_tui.runs.journal import Journal, NotedEvent
from nexus_tui.runs.lock import RunLock


class NoteError(Exception):
    """The note is not on record; the message says why."""


def note(folder: Path, step: int, text: str) -> None:
    """Append a note at a step. It is on disk when this returns.

    Raises RunLockedError if another process trains the run or its folder cannot be written, NoteError if the
    disk refuses.
    """
    with RunLock(folder):
        try:
            journal = Journal(folder / "journal.jsonl")
        except OSError as error:
            raise NoteError(f"{folder / 'journal.jsonl'} cannot be written ({error.strerror}).") from None
        try:
            journal.append(NotedEvent(step=step, text=text), durable=True)
            if journal.failure:
                raise NoteError(f"{folder.name} could not be noted on: {journal.failure.strerror}.")
        finally:
            journal.close()

"""A mirror of a journal in another tool's log, while the run is trained: it reads the file, like a screen."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nexus_tui.exchange.event_file import EventFile
from nexus_tui.exchange.tools import TENSORBOARD
from nexus_tui.runs import journal as j
from nexus_tui.training.control import NOTE_LENGTH, Note

if TYPE_CHECKING:
    from nexus_tui.training.session import Session

EVERY = 1.0
"""Seconds between two looks at the journal."""


class Log(Protocol):
    """Another tool's log of a run, which takes the whole journal from its beginning, a part at a time."""

    def take(self, events: Iterable[j.AnyEvent]) -> None:
        """The next events. After an OSError, which a full disk gives, they are taken with the next ones."""

    def close(self) -> None:
        """There are no more."""


class Mirror:
    """Follows the journal of a session's run in a thread of its own, until that has ended.

    A failure ends nothing but the mirror: it is put on record as a note.
    """

    def __init__(self, session: Session, tool: str) -> None:
        self.failure = ""
        """Why not everything is written, in a sentence; empty if it is."""
        self._session, self._tool = session, tool
        self._reader = j.JournalReader(session.folder / "journal.jsonl")
        self._thread = threading.Thread(target=self._follow, name=f"mirror {tool}", daemon=False)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is written; the session must have ended."""
        self._thread.join()

    def _follow(self) -> None:
        try:
            log = _open(self._session.folder, self._tool)
            ended = False
            while not ended:
                self._session.join(EVERY)
                ended = not self._session.alive
                self._catch_up(log)
            log.close()
        except Exception as error:
            self._fail(error)

    def _catch_up(self, log: Log) -> None:
        """Pass on what is new, and what waited."""
        try:
            for events in self._reader.batches():
                log.take(events)
            log.take([])
            self.failure = ""
        except OSError as error:
            if not self.failure:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.failure = (
            f"the log for {self._tool} is behind: {reason}. Training goes on; the journal has it all."
        )
        self._session.control.request(Note(self.failure[:NOTE_LENGTH]))


def _open(folder: Path, tool: str) -> Log:
    if tool == TENSORBOARD:
        return EventFile(folder / TENSORBOARD)
    from nexus_tui.exchange.wandb_log import WandbLog

    return WandbLog(folder)

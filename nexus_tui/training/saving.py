"""A checkpoint being written, beside the steps that follow it or before them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from nexus_tui.runs.checkpoints import Checkpoint, remove_unrecorded, save_checkpoint


class Saving:
    """Writes a checkpoint by `write`, `aside` in a thread of its own: what it writes must stay as it is.

    `anew` says that no record knows of one at its place: what stands there is of a process that died.
    """

    def __init__(
        self, place: Path, step: int, write: Callable[[Path], None], *, anew: bool, aside: bool
    ) -> None:
        self.place, self.step, self._anew = place, step, anew
        self._write = write
        self._saved: Checkpoint | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="saving") if aside else None
        if self._thread:
            self._thread.start()
        else:
            self._run()

    @property
    def done(self) -> bool:
        """Whether it has been written, or could not be."""
        return self._thread is None or not self._thread.is_alive()

    def wait(self) -> Checkpoint:
        """Wait for it. Raises what writing it raised."""
        if self._thread:
            self._thread.join()
        if self._error:
            raise self._error
        assert self._saved
        return self._saved

    def _run(self) -> None:
        try:
            if self._anew:
                remove_unrecorded(self.place)
            self._saved = save_checkpoint(self.place, self.step, self._write)
        except Exception as error:
            self._error = error

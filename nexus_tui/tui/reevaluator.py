"""A checkpoint being scored anew, in a thread of its own that never waits for the screen."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.tui import format
from nexus_tui.tui.lines import Span
from nexus_tui.tui.safe import plain

if TYPE_CHECKING:
    from nexus_tui.training.reevaluate import Reevaluation


class _StoppedError(Exception):
    """Raised between two windows to leave the evaluation."""


class Reevaluator:
    """One checkpoint against its journalled loss. `start` it, look at `news`, `stop` it at any time.

    Writes nothing. The thread is no daemon, and ends after the windows it is at once `stop` is called: it
    keeps no program alive for long.
    """

    def __init__(self, folder: Path, checkpoint: str) -> None:
        self.folder = folder
        self.checkpoint = checkpoint
        self._news: Span = ("waits for the files to be hashed", "live")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reevaluator")

    @property
    def news(self) -> Span:
        """How far it is, then what came out, in one sentence."""
        return ("re-evaluation cancelled", "warn") if self.stopped else self._news

    @property
    def live(self) -> bool:
        """Whether other news may come."""
        return not self.stopped and self._news[1] == "live"

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before anything came out."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Begin. Returns at once."""
        self._news = ("opening the checkpoint", "live")
        self._thread.start()

    def stop(self) -> None:
        """End after the windows being scored, unless it has ended. Returns at once."""
        if self.live:
            self._stopped.set()

    def fail(self, sentence: str) -> None:
        """It cannot be done, and why."""
        self._news = (f"not re-evaluated: {plain(sentence)}", "error")

    def _work(self) -> None:
        # Imported here: this brings in torch, which no screen waits for.
        from nexus_tui.config import ConfigError
        from nexus_tui.data.corpus import CorpusError
        from nexus_tui.training.reevaluate import reevaluate

        try:
            # A record of its own: the screen's is read anew while this thread works.
            self._news = conclusion(reevaluate(Run(self.folder), self.checkpoint, self._progress))
        except _StoppedError:
            pass
        except (RunError, CheckpointError, ConfigError, CorpusError, ValueError) as error:
            self.fail(str(error))
        except MemoryError:
            self.fail("there is not enough memory to open this checkpoint; close something else first.")
        except Exception as error:  # the thread has nobody else to tell
            self.fail(f"{type(error).__name__}: {error}")

    def _progress(self, done: int, total: int) -> None:
        if self.stopped:
            raise _StoppedError
        self._news = (f"re-evaluating: {done:,} of {total:,} windows", "live")


def conclusion(result: Reevaluation) -> Span:
    """What came out, in one line; losses in nats per token."""
    losses = f"re-evaluated: {format.loss(result.loss)}, journalled {format.loss(result.journalled)}"
    if result.agrees:
        return (f"{losses}, difference {format.loss(abs(result.difference))} (agrees)", "good")
    # A mean can hide that single windows differ, and a small difference would read as none at all.
    size = f"{result.difference:+.4f}" if abs(result.difference) >= 5e-5 else f"{result.difference:+.0e}"
    window = f", of one window up to {result.largest:.4f}" if abs(result.difference) < 1e-3 else ""
    return (f"{losses}, difference {size}{window if result.largest > 0 else ''} (DIFFERS)", "warn")

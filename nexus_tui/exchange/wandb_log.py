"""A journal as an offline run of W&B, in the run's own folder; `wandb sync` sends it, when its user wants to.

Each mirror writes the journal from its beginning, as a run of the same id: W&B keeps no place to go on from
that could be trusted after a crash. What an earlier mirror wrote is removed when the new one has it all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nexus_tui.exchange.logged import Rows
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.untrusted_files import own_folder

STEP = "train/global_step"
"""The axis of every metric. W&B's own count only grows, and ours falls back when a run is resumed."""
FOLDER = "wandb"


class WandbLog:
    """The offline run; begun with the first events."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows = Rows()
        self._run: Any = None
        self._id = ""

    def take(self, events: Iterable[j.AnyEvent]) -> None:
        """Log the next events of the journal, its first ones at first."""
        known = list(events)
        if self._run is None and known:
            self._begin(known[0])
        for row in self._rows.take(known):
            texts = {name: text for name, text in row.texts.items() if name != "note"}
            if row.values or texts:
                self._run.log({**row.values, **texts, STEP: row.step})

    def close(self) -> None:
        """Finish it, and remove what it replaces."""
        if self._run is None:
            return
        own = Path(self._run.dir).parent
        self._run.finish()
        for other in (self._folder / FOLDER).glob(f"offline-run-*-{self._id}"):
            if other.is_dir() and not other.is_symlink() and other.name != own.name:
                shutil.rmtree(other, ignore_errors=True)

    def _begin(self, first: j.AnyEvent) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would report its own failures home
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        own_folder(self._folder / FOLDER)
        run = Run(self._folder)
        begun = first.time.isoformat() if isinstance(first, j.Event) else ""
        self._id = hashlib.sha256(f"{run.name} {begun}".encode()).hexdigest()[:12]
        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            save_code=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
        )
        self._run = wandb.init(
            mode="offline",
            dir=str(self._folder),
            project="nexus-tui",
            name=run.name,
            id=self._id,
            config=run.config,
            settings=settings,
        )
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

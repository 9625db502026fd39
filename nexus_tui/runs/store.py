"""The runs folder: which runs there are, and what a name such as `shakespeare:best` means."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from nexus_tui.resources import record_folders
from nexus_tui.runs import loop, truth
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.reading import JOURNAL
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.summaries import Summaries


def runs_folder(folder: Path | None = None) -> Path:
    """The folder given, else $NEXUS_RUNS, else ./runs."""
    return folder or Path(os.environ.get("NEXUS_RUNS") or "runs")


Opener = Callable[[Path], Run | None]
"""Opens another tool's folder or file; None for what is none. RunError for one that cannot be read."""


class Runs:
    """All runs of a folder, made once and kept; a run's journal is read when something is asked of it."""

    def __init__(
        self,
        folder: Path,
        foreign: Opener | None = None,
        listed: Callable[[str], bool] = bool,
        summaries: Summaries | None = None,
    ) -> None:
        """The runs of ours in a folder and, with `foreign`, those that it opens of the names `listed`.

        With `summaries`, what a list says of a run is had from there.
        """
        self.folder = folder
        self.foreign = foreign
        self.summaries = summaries
        self._listed = listed
        self._known: dict[str, Run] = {}
        self._no_run: dict[str, int] = {}
        """By name: what was no run, and when it was changed last: asked again when it has been since."""
        self._changed: dict[str, float] = {}
        """By name: when another tool's run was changed last, epoch seconds."""
        self.unopened: dict[str, int] = {}
        """By name: what may be another tool's run and waits to be opened, and its last change (ns)."""

    def refresh(self, most: int | None = None) -> list[Run]:
        """Every run, up to date, the one with the newest journal first; `most` as in `find_new`."""
        known = list(self._known.values())
        self.find_new(most)
        for run in known:
            run.refresh()
        return self.runs()

    def runs(self) -> list[Run]:
        """Every run as of the last look at each, the one with the newest journal first."""
        self._known = {name: run for name, run in self._known.items() if not run.gone}
        newest = sorted(self._known, key=lambda name: -self._time(name))
        return [self._known[name] for name in newest]

    def find_new(self, most: int | None = None) -> bool:
        """Look for folders and files that are new or gone. Whether any run is.

        Other tools' runs are read when they are found, so many at most (all: None); others are `unopened`.
        """
        before, found = set(self._known), set[str]()
        self.unopened = {}
        with contextlib.suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                run = self._known.get(entry.name)
                if run and run.foreign:
                    with contextlib.suppress(OSError):
                        self._changed[entry.name] = entry.stat().st_mtime
                if run or self._begins(entry, most is None or len(self._known) < len(before) + most):
                    found.add(entry.name)
        self._known = {name: run for name, run in self._known.items() if name in found}
        return before != found

    def _begins(self, entry: "os.DirEntry[str]", foreign: bool) -> bool:
        """Whether a new entry of the folder is a run; with `foreign`, or another tool's."""
        name, run = entry.name, Run(self.folder / entry.name, summaries=self.summaries)
        if not run.gone:
            self._known[name] = run
            return True
        if name.startswith(".") or not self.foreign or not self._listed(name):
            return False
        with contextlib.suppress(OSError):
            changed = entry.stat().st_mtime_ns
            if self._no_run.get(name) != changed:
                if foreign:
                    return self.put_foreign(name, changed, self.open_foreign(name))
                self.unopened[name] = changed
        return False

    def save_summaries(self) -> None:
        """Keep the summaries that were read for the next start."""
        if self.summaries:
            self.summaries.save(list(self._known))

    def _time(self, name: str) -> float:
        run = self._known[name]
        return self._changed[name] if run.foreign else run.signature.journal.time / 1e9

    def open_foreign(self, name: str) -> Run | None:
        """Read another tool's run; None for what is none, or cannot be read. Any thread may ask."""
        with contextlib.suppress(RunError):
            return self.foreign(self.folder / name) if self.foreign else None
        return None

    def put_foreign(self, name: str, changed: int, run: Run | None) -> bool:
        """Take what `open_foreign` gave for an entry that was changed last then (ns). Whether it is a run."""
        self.unopened.pop(name, None)
        if run is None:
            self._no_run[name] = changed
            return False
        self._known[name], self._changed[name] = run, changed / 1e9
        return True

    def shipped(self) -> list[Run]:
        """The recorded runs that come with the program, those with weights first."""
        with contextlib.suppress(FileNotFoundError):
            return [Run(folder) for folder in record_folders() if (folder / JOURNAL).is_file()]
        return []

    def find(self, name: str) -> Run:
        """A run by its name here (or its folder's or file's), a path, or its name among the shipped ones.

        Raises RunError if there is none.
        """
        for path in (self.folder / name, Path(name)):
            if (path / JOURNAL).is_file():
                return Run(path)
            if self.foreign and path.exists() and (run := self.foreign(path)):
                return run
        shipped = {run.name: run for run in self.shipped()}
        if name in shipped:
            return shipped[name]
        here = self.refresh()
        for run in here:  # another tool's file is not called what its run is
            if run.name == name:
                return run
        names = [run.name for run in here]
        known = [*names, *(f"{each} (recorded)" for each in shipped if each not in names)]
        raise RunError(f"there is no run {name} in {self.folder}; there are: {', '.join(known) or 'none'}.")


def find_step(runs: Runs, reference: str) -> tuple[list[Run], str]:
    """RUN, RUN:STEP or RUN:NAME as one run and the step (empty for none), a folder of runs as all of them.

    Raises RunError if there is nothing.
    """
    path = Path(reference)
    try:
        return [runs.find(reference)], ""
    except RunError as error:
        name, _, step = reference.rpartition(":")
        if name and (step.isdecimal() or step in ("best", "last")) and not path.exists():
            run = runs.find(name)
            newest = run.newest_checkpoint()
            return [run], newest.name if step == "last" and newest else step.replace("best", "")
        with contextlib.suppress(RunError):
            if name and step in (run := runs.find(name)).saved:  # an average goes by its name alone
                return [run], step
        inside = Runs(path, runs.foreign).refresh() if path.is_dir() else []
        if not inside:
            raise error from None
        return inside, ""


def resolve(runs: Runs, reference: str) -> tuple[Run, Checkpoint]:
    """RUN, RUN:STEP, RUN:best or RUN:last as a run and a checkpoint; plain RUN means its best, or
    the only one where none was evaluated.

    Raises RunError if there is no such run or checkpoint.
    """
    name, _, which = reference.partition(":")
    run = runs.find(name)
    if run.foreign:
        raise RunError(
            f"{run.name} is a {run.kind} run to look at, whose weights this program does not read; "
            "name a run of your own, see `nexus-tui runs`."
        )
    if run.kind == "recorded" and not run.checkpoints:
        raise RunError(
            f"{run.name} is a record without weights; name a run that has them, see `nexus-tui runs`."
        )
    if run.kind == loop.KIND:
        raise RunError(
            f"{run.name} was trained by a loop of its own, whose model this program does not know: "
            "its curves and losses can be compared, it cannot be sampled."
        )
    if which == "last":
        newest = run.newest_checkpoint()
        if newest is None:
            raise RunError(f"{run.name} has no checkpoint yet.")
        return run, newest
    if not which and not run.evaluations and len(run.checkpoints) == 1:  # as of an imported model
        return run, next(iter(run.checkpoints.values()))
    if which in ("", "best"):
        ranked = truth.best(run)
        if ranked is None or ranked.checkpoint is None:
            raise RunError(
                f"{run.name} has no evaluated checkpoint with weights; name one, as in {run.name}:last."
            )
        return run, ranked.checkpoint
    return run, run.checkpoint(which)

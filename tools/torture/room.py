"""A folder in which the program has all that it may write to, with runs to train and one that grows."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.live_run import LiveRun
from nexus_tui.runs.run import Run
from nexus_tui.training import replay
from tools.torture.small import config, process, train

STEPS = 400
"""Of each run that is there to be trained."""
HOMES = ("state", "cache", "config", "data")
"""XDG's, each of which the program may have a folder in."""
OURS = ("runs", "undisturbed", "replays", "errors", "text.txt")
"""What this puts there itself."""


@dataclass
class Repeated:
    """Trainings that were disturbed, beside the same ones undisturbed."""

    runs: int = 0
    steps: int = 0
    wished: int = 0
    """Those with wishes that change a training, which were carried out again at the same steps."""
    different: list[str] = field(default_factory=list)


class Room:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.errors = folder, folder / "runs", folder / "errors"
        for name in ("home", "here", "tmp"):
            (folder / name).mkdir()
        self.environment = {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "NEXUS_RUNS": str(self.runs),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
            **{f"XDG_{name.upper()}_HOME": str(folder / name) for name in HOMES},
        }

    def prepare(self, number: int) -> None:
        """Make so many runs that have not begun, the same one undisturbed, and an old one."""
        tables = {"budget": {"steps": STEPS}, "evaluation": {"every": 50}, "checkpoint": {"every": 50}}
        plan = config(self.folder, **tables)

        def begin() -> int:
            from nexus_tui.training.session import Session

            session = Session.start(self.runs, plan, "trained-00")
            session.stop()
            session.join()
            return train(self.folder, plan, "undisturbed")

        assert os.waitpid(process(begin), 0)[1] == 0
        for index in range(1, number):
            shutil.copytree(self.runs / "trained-00", self.runs / f"trained-{index:02}", symlinks=True)
        LiveRun(self.runs / "old", every=100).train(1200).close()

    @contextmanager
    def growing(self) -> Iterator[None]:
        """Let a run grow beside the program."""
        over, run = threading.Event(), LiveRun(self.runs / "growing", total=100_000, every=50).train(500)
        run.live()

        def grow() -> None:
            while not over.wait(0.2):
                for event in run.next():
                    run.append(event)

        thread = threading.Thread(target=grow)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            run.close()

    def all_runs(self) -> list[Run]:
        """Every run of the folder, also from the trash."""
        folders = [path.parent for path in self.runs.rglob("journal.jsonl")]
        return [Run(folder) for folder in sorted(folders) if (folder / "run.toml").exists()]

    def trained(self) -> list[Run]:
        """Those of them that are there to be trained."""
        return [run for run in self.all_runs() if self.small(run)]

    def small(self, run: Run) -> bool:
        """Whether it is one of them."""
        return bool(run.config.get("data", {}).get("corpus") == str(self.folder / "text.txt"))

    def strays(self) -> list[str]:
        """What was written neither in the runs folder nor in a folder of the program's own in XDG's."""
        found = [path for name in ("home", "here", "tmp") for path in (self.folder / name).rglob("*")]
        found += [p for name in HOMES for p in (self.folder / name).glob("*") if p.name != "nexus-tui"]
        known = {*OURS, *HOMES, "home", "here", "tmp"}
        found += [path for path in self.folder.iterdir() if path.name not in known]
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def repeat(self) -> Repeated:
        """Train every run that was trained once more, with the same wishes and nobody who disturbs it."""
        undisturbed, told = Run(self.folder / "undisturbed"), Repeated()
        for run in self.trained():
            if run.step == 0 or run.holder:
                continue
            for checkpoint in run.checkpoints.values():
                checkpoint.verify()
            against = undisturbed
            if any(not isinstance(act, replay.Stop) for _, act in replay.acts(run)):
                told.wished += 1
                session = replay.begin(run, self.folder / "replays", f"replay-{told.runs}")
                session.join()
                against = Run(session.folder)
            told.runs, told.steps = told.runs + 1, told.steps + int(run.canonical().sum())
            if found := replay.difference(run, against):
                told.different.append(f"{run.name}: {found}")
        return told

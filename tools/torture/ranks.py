"""Several processes train one run; one of them is killed, stops or differs; or torchrun starts them again.

All on one machine, over gloo, against the same training in one process. Losses are nats per token; those of
several agree with those of one to rounding.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nexus_tui.runs.run import Run
from tools.torture.figures import Figures
from tools.torture.small import config, process, train

TABLES: dict[str, dict[str, object]] = {
    "budget": {"steps": 120, "batch": 6},
    "regularization": {"dropout": 0.1},
    "evaluation": {"every": 40},
    "checkpoint": {"every": 10},
}
AGREE = 1e-5
"""Nats per token by which losses of one and of several may differ, after so few steps."""
SOON = 10.0
"""Seconds within which a process ends when another has gone."""
PATIENCE = 170.0
TRAIN = ("-m", "nexus_tui", "train")


class Processes:
    """Those that train one run together, started as torchrun does, which is spared."""

    def __init__(self, arguments: list[str], size: int = 2) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = os.environ | {
            "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        self.all = [
            subprocess.Popen(
                [sys.executable, *TRAIN, *arguments],
                env=shared | {"RANK": str(rank)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(size)
        ]

    def ended(self) -> float:
        """Wait until all have ended. Returns after how many seconds."""
        began = time.monotonic()
        for one in self.all:
            one.wait(PATIENCE)
        return time.monotonic() - began

    def said(self, rank: int) -> str:
        """What a process that has ended wrote as its error."""
        error = self.all[rank].stderr
        return error.read().strip() if error else ""


@contextmanager
def several(arguments: list[str], size: int = 2) -> Iterator[Processes]:
    """Processes, of which none outlives this."""
    processes = Processes(arguments, size)
    try:
        yield processes
    finally:
        for one in processes.all:
            one.kill()
            one.wait()


def torchrun(arguments: list[str], *options: str, folder: Path | None = None) -> subprocess.Popen[str]:
    """An agent of torchrun, in a folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *options, *TRAIN, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers(agent: subprocess.Popen[str]) -> list[int]:
    """The processes that an agent has started, by number."""
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    ranks = {}
    for child in children:
        with contextlib.suppress(OSError):
            found = re.search(rb"\0RANK=(\d+)\0", Path(f"/proc/{child}/environ").read_bytes())
            if found:
                ranks[int(found[1])] = int(child)
    return [ranks[rank] for rank in sorted(ranks)]


def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it never came to be so")
        time.sleep(0.002)


def at_step(run: Path, step: int) -> bool:
    """Whether a run is there and has come so far."""
    return (run / "journal.jsonl").exists() and Run(run).step >= step


def saves(run: Path) -> bool:
    """Whether a checkpoint is being written now."""
    with contextlib.suppress(OSError):
        return any(entry.name.startswith(".writing-") for entry in os.scandir(run / "checkpoints"))
    return False


def apart(run: Path, other: Path) -> float:
    """By how much losses of two runs differ at most, steps and evaluations; infinite if one is shorter."""
    ours, theirs = Run(run), Run(other)
    sides = [opened.steps["loss"][opened.canonical()] for opened in (ours, theirs)]
    scores = [np.array([scored.loss for scored in opened.evaluations]) for opened in (ours, theirs)]
    if ours.state != "finished" or len(sides[0]) != len(sides[1]) or len(scores[0]) != len(scores[1]):
        return float("inf")
    return float(max(np.abs(a - b).max() for a, b in (sides, scores)))


class Torture:
    """The runs of a folder, each against the same one trained by one process."""

    def __init__(self, folder: Path, figures: Figures) -> None:
        self.folder, self.figures = folder, figures
        self.config = config(folder, **TABLES)
        (folder / "small.toml").write_text(self.config.to_toml())
        assert os.waitpid(process(lambda: train(folder, self.config, "one")), 0)[1] == 0

    def new(self, name: str, *options: str) -> list[str]:
        """The arguments that begin a run."""
        return [
            "--model",
            str(self.folder / "small.toml"),
            "--runs",
            str(self.folder),
            "--name",
            name,
            *options,
        ]

    def again(self, name: str, *options: str) -> list[str]:
        """The arguments that go on with it."""
        return ["--resume", name, "--runs", str(self.folder), *options]

    def agrees(self, what: str, name: str) -> None:
        """Judge a run's losses."""
        distance = apart(self.folder / name, self.folder / "one")
        self.figures.most(f"{what}: losses differ by", AGREE, distance, "nats per token", "from one process'")

    def undisturbed(self) -> None:
        """Three processes that divide the model; two that do not, one of which stands still for a while."""
        with several(self.new("divided", "--shard"), 3) as processes:
            processes.ended()
        self.agrees("three processes, sharded (FSDP2)", "divided")
        with several(self.new("summed")) as processes:
            until(lambda: at_step(self.folder / "summed", 20))
            processes.all[1].send_signal(signal.SIGSTOP)
            time.sleep(3)
            processes.all[1].send_signal(signal.SIGCONT)
            processes.ended()
        self.agrees("two processes (DDP), one of which stands still for 3 s", "summed")

    def killed(self) -> None:
        """One run whose processes are killed again and again; each time other ones go on with it."""
        name, run = "killed", self.folder / "killed"
        slowest, odd = 0.0, []
        plan: list[tuple[int, list[str], int, Callable[[], bool]]] = [
            (2, self.new(name), 1, lambda: at_step(run, 25)),
            (2, self.again(name, "--shard"), 0, lambda: at_step(run, 45)),
            (3, self.again(name), 2, lambda: at_step(run, 62) and saves(run)),
            (2, self.again(name), 0, lambda: at_step(run, 82) and saves(run)),
        ]
        for size, arguments, victim, moment in plan:
            with several(arguments, size) as processes:
                until(moment)
                processes.all[victim].kill()
                slowest = max(slowest, processes.ended())
                other = processes.said(0 if victim else 1)
                heard = Run(run).ended.message if victim and Run(run).ended else other
                if "another process of this training has gone" not in heard:
                    odd.append(heard or "nothing")
                for checkpoint in Run(run).checkpoints.values():
                    checkpoint.verify()
        with several(self.again(name, "--shard")) as processes:
            processes.ended()
        self.figures.most("4 times one of 2 or 3 is killed: the others end within", SOON, slowest, "s")
        self.figures.holds("who is left says why", not odd, "; ".join(odd) or heard)
        self.agrees("after those kills, each time resumed by another number", name)

    def restarted(self) -> None:
        """Torchrun starts all of them again when one was killed."""
        agent = torchrun(self.new("restarted"), "--nproc-per-node", "2", "--max-restarts", "1")
        with ended(agent):
            until(lambda: at_step(self.folder / "restarted", 30))
            os.kill(workers(agent)[1], signal.SIGKILL)
            agent.communicate(timeout=PATIENCE)
        self.agrees("torchrun --max-restarts 1, one killed, nobody at the keyboard", "restarted")

    def stopped(self) -> None:
        """Torchrun is told to end."""
        agent = torchrun(self.new("stopped"), "--nproc-per-node", "2")
        run = self.folder / "stopped"
        with ended(agent):
            until(lambda: at_step(run, 20))
            agent.terminate()
            agent.communicate(timeout=PATIENCE)
        newest = Run(run).newest_checkpoint()
        saved = Run(run).state == "stopped" and newest is not None and newest.step == Run(run).step
        self.figures.holds("SIGTERM to torchrun: the step is saved, the run stopped", saved, Run(run).state)

    def two_machines(self) -> None:
        """Two agents of torchrun, as on two machines; then one of them has another text."""
        folders = [self.folder / "here", self.folder / "there"]
        for folder in folders:
            folder.mkdir()
            shutil.copy(self.folder / "text.txt", folder)
        arguments = [*self.new("two-machines"), "--corpus", "text.txt"]
        self._two_agents(arguments, folders)
        self.agrees("two agents of torchrun, --nnodes 2", "two-machines")
        (folders[1] / "text.txt").write_text((folders[0] / "text.txt").read_text() + "more\n")
        printed = self._two_agents([*self.new("differ"), "--corpus", "text.txt"], folders)
        refused = re.search(r"process \d of 2 cannot take part: [^\n]*another text[^\n]*", printed)
        self.figures.holds(
            "another text on one of them is refused", refused is not None, refused[0] if refused else printed
        )

    def _two_agents(self, arguments: list[str], folders: list[Path]) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
        options += ["--rdzv-id", f"{port}", "--rdzv-endpoint", f"127.0.0.1:{port}"]
        agents = [torchrun(arguments, *options, folder=folder) for folder in folders]
        with ended(*agents):
            return "".join(agent.communicate(timeout=PATIENCE)[0] for agent in agents)


@contextmanager
def ended(*agents: subprocess.Popen[str]) -> Iterator[None]:
    """Within, agents of torchrun work; none outlives it, nor what it started."""
    try:
        yield
    finally:
        for agent in agents:
            if agent.poll() is None:
                for worker in workers(agent):
                    os.kill(worker, signal.SIGKILL)
                agent.kill()
                agent.wait()


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        torture = Torture(Path(name), figures)
        torture.undisturbed()
        torture.killed()
        torture.restarted()
        torture.stopped()
        torture.two_machines()
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

"""Numbers that are not finite, loss spikes, and memory that runs out, each for real.

Numbers are spoilt in a loss, a gradient and a weight of a training in a process of its own. Memory is limited
by RLIMIT_AS, and by a control group where this machine lets one be made; that part says where not.
"""

import contextlib
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from nexus_tui.runs import journal as j
from nexus_tui.runs.recovery import commands
from nexus_tui.runs.run import Run
from nexus_tui.training.learner import Learner
from nexus_tui.training.session import Session
from tools.torture.figures import Figures
from tools.torture.small import config, losses, process, train

PATIENCE = 240.0
SPOILT = 33
"""The step at which a number is spoilt; every fifth is saved."""
MEMORY = 1_600_000_000
"""Bytes of address space: enough for the large training with one window at once, and for no more."""
GROUP = 900_000_000
"""Bytes of memory for a control group, likewise."""

Spoil = Callable[[Learner, float], float]


def loss(learner: Learner, _: float) -> float:  # noqa: ARG001
    """The loss is not a number."""
    return math.nan


def gradient(learner: Learner, value: float) -> float:
    """A number of a gradient is infinite."""
    first = next(learner.model.parameters()).grad
    assert first is not None
    first.view(-1)[0] = math.inf
    return value


def weight(learner: Learner, value: float) -> float:
    """A weight that no step reads is not a number: that of a byte that the text does not have."""
    with torch.no_grad():
        learner.model.model.embed_tokens.weight[255, 0] = math.nan
    return value


def spike(_: Learner, value: float) -> float:
    """The loss is far above those before."""
    return value + 20


def spoilt(folder: Path, name: str, how: Spoil, action: str = "mark") -> Run:
    """A training of which one step is spoilt, in a process of its own."""

    def child() -> int:
        backward = Learner._backward

        def spoiling(self: Learner, step: int) -> float:
            value = backward(self, step)
            return how(self, value) if step == SPOILT else value

        Learner._backward = spoiling  # type: ignore[method-assign]
        return train(folder, config(folder, spike={"action": action}), name)

    os.waitpid(process(child), 0)
    return Run(folder / name)


def numbers(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Spoil a loss, a gradient, a weight; go on as is offered."""
    for how in (loss, gradient, weight):
        name = how.__name__
        run = spoilt(folder, name, how)
        told, kept = run.diverged, run.newest_checkpoint()
        good = told is not None and kept is not None and kept.name == told.checkpoint
        figures.holds(
            f"{name} spoilt: it stops before an update, or a save, that would do harm", told is not None
        )
        figures.holds(f"{name} spoilt: the last checkpoint is good, and named", good)
        whole = kept is not None and kept.sha256 == undisturbed.checkpoint(kept.step).sha256
        figures.holds(f"{name} spoilt: its weights are the undisturbed run's, bit for bit", whole)
        if told:
            batch = bool(told.places and told.texts and told.seed)
            figures.holds(f"{name} spoilt: the batch is on record", batch)
            resume, look = commands(run, told)
            fine = how is not loss or command(look).returncode == 0
            fine = fine and command(resume).returncode == 0
            finished = fine and Run(run.folder).state == "finished"
            figures.holds(f"{name} spoilt: the commands that are offered do it", finished)
            print(f"\n{name}: “{told.cause}”; `{resume}`\n", flush=True)


def spikes(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """A loss jumps: marked, or stopped at."""
    marked = spoilt(folder, "marked", spike)
    at = [event.step for event in marked.log if isinstance(event, j.SpikedEvent)]
    figures.holds(
        "a spike is marked, once, and training goes on", at == [SPOILT] and marked.state == "finished"
    )
    theirs, ours = undisturbed.newest_checkpoint(), marked.newest_checkpoint()
    same = bool(ours and theirs and ours.sha256 == theirs.sha256)
    figures.holds("marking it changes no weight", same)
    stopped = spoilt(folder, "stopped", spike, "stop")
    fine = stopped.diverged is not None and stopped.step == SPOILT - 1
    figures.holds("with spike.action = stop it ends before that update", fine)
    quiet = not any(isinstance(event, j.SpikedEvent) for event in undisturbed.log)
    figures.holds("the undisturbed run has none", quiet)


# -- memory -----------------------------------------------------------------------------------------------


def command(line: str, limit: int = 0, group: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """What a shell would do with a line of ours; with a limit of address space, or in a control group."""

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    words = [sys.executable, "-m", *line.replace("nexus-tui ", "nexus_tui ", 1).split()]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE, preexec_fn=limited, check=False
    )


def large(folder: Path) -> str:
    """A training of some 1.4 GB, or half as much with one window at once, as the beginning of a line."""
    text = folder / "long.txt"
    text.write_text("Shall I compare thee to a summer's day?\n" * 1000)
    settings = "data.window=1024 budget.batch=4 budget.steps=2 schedule.warmup=1 sampling.max_tokens=2"
    options = " ".join(f"--set {each}" for each in settings.split())
    return f"nexus-tui train --model nexus-byte --corpus {text} {options} --runs {folder}"


def limits(folder: Path, figures: Figures) -> None:
    """A training too large for RLIMIT_AS: refused; tried all the same; and with fewer windows at once."""
    line = large(folder)
    refused = command(f"{line} --name refused", MEMORY)
    said = refused.stderr.strip()
    advised = re.search(r"--micro-batch (\d+)", said)
    figures.holds(
        "RLIMIT_AS: refused before anything is written",
        refused.returncode == 2 and not (folder / "refused").exists(),
    )
    figures.holds("RLIMIT_AS: it says what would fit", advised is not None)
    print(f"\n“{said}”\n", flush=True)
    forced = command(f"{line} --name forced --force", MEMORY)
    run = Run(folder / "forced")
    message = run.ended.message if run.ended else ""
    clear = forced.returncode == 3 and message.startswith("memory ran out")
    figures.holds(
        "RLIMIT_AS: tried all the same, it ends in one sentence, on record", clear, forced.stderr[-300:]
    )
    print(f"\n“{message}”\n", flush=True)
    windows = advised.group(1) if advised else "1"
    smaller = command(f"nexus-tui train --resume forced --micro-batch {windows} --runs {folder}", MEMORY)
    fits = smaller.returncode == 0 and Run(run.folder).state == "finished"
    figures.holds("RLIMIT_AS: with the micro-batch that it advises it finishes, within the limit", fits)


def beside(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Memory runs out for one training of a process; another of it goes on."""

    def child() -> int:
        small = Session.start(folder, config(folder), "beside")
        while Run(small.folder).step < 5:
            small.join(0.05)
        backward = Learner._backward

        def greedy(self: Learner, step: int) -> float:
            if self.config.budget.steps == 61:
                torch.empty(1 << 42)
            return backward(self, step)

        Learner._backward = greedy  # type: ignore[method-assign]
        other = Session.start(folder, config(folder, budget={"steps": 61}), "greedy")
        other.join()
        small.join()
        return 0 if other.error is None else 1

    status = os.waitstatus_to_exitcode(os.waitpid(process(child), 0)[1])
    refused, run = Run(folder / "greedy"), Run(folder / "beside")
    fine = status == 0 and refused.ended is not None and refused.ended.message.startswith("memory ran out")
    figures.holds("a training whose memory is refused ends alone", fine)
    figures.holds("another of the same process goes on: the same losses", losses(run) == losses(undisturbed))


@contextmanager
def control_group() -> Iterator[Path]:
    """A control group of GROUP bytes within that of this process. Raises OSError where none can be made."""
    inside = {
        controllers: path
        for _, controllers, path in (
            line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()
        )
    }
    if "memory" in inside:
        parent, limit = Path(f"/sys/fs/cgroup/memory{inside['memory']}"), "memory.limit_in_bytes"
    else:
        parent, limit = Path(f"/sys/fs/cgroup{inside['']}"), "memory.max"
    group = parent / f"torture-{os.getpid()}"
    group.mkdir()
    try:
        (group / limit).write_text(str(GROUP))
        yield group
    finally:
        group.rmdir()


def groups(folder: Path, figures: Figures) -> None:
    """A training too large for its control group: refused; tried all the same, the kernel kills it."""
    line = large(folder)
    with control_group() as group:
        refused = command(f"{line} --name grouped", 0, group)
        said = refused.stderr.strip()
        fine = refused.returncode == 2 and "the control group" in said and not (folder / "grouped").exists()
        figures.holds("control group: refused before anything is written", fine)
        print(f"\n“{said}”\n", flush=True)
        killed = command(f"{line} --name grouped --force", 0, group)
        run = Run(folder / "grouped")
        whole = all(_whole(checkpoint) for checkpoint in run.checkpoints.values())
        gone = killed.returncode in (-signal.SIGKILL, 3) and run.state in ("crashed", "failed") and whole
        figures.holds("control group: tried all the same, it is over, and its record is whole", gone)
        advised = re.search(r"--micro-batch (\d+)", said)
        windows = advised.group(1) if advised else "1"
        again = command(f"nexus-tui train --resume grouped --micro-batch {windows} --runs {folder}", 0, group)
        fits = again.returncode == 0 and Run(run.folder).state == "finished"
        figures.holds("control group: with the micro-batch that it advises it finishes within it", fits)


def _whole(checkpoint: object) -> bool:
    with contextlib.suppress(Exception):
        checkpoint.verify()  # type: ignore[attr-defined]
        return True
    return False


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert os.waitpid(process(lambda: train(folder, config(folder), "undisturbed")), 0)[1] == 0
        undisturbed = Run(folder / "undisturbed")
        numbers(folder, undisturbed, figures)
        spikes(folder, undisturbed, figures)
        beside(folder, undisturbed, figures)
        limits(folder, figures)
        try:
            groups(folder, figures)
        except OSError as error:
            print(f"\ncontrol group: not tried, for lack of the right to make one: {error}\n")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

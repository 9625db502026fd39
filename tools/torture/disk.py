"""A full disk, a folder that is read-only or deleted while a run is trained; and a clock that steps back.

The full disk is a small file system of its own; where nobody may mount one, that part says so. Training is to
go on, to the undisturbed run's losses, and to say what failed and what to do; the next save is tried.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from tools.torture.figures import Figures
from tools.torture.small import config, losses, process, train

SIZE = 16 << 20
"""Bytes of the file system: the small model's checkpoints fit, and little more."""
PATIENCE = 60.0
STEPS = 300


@contextmanager
def small_disk() -> Iterator[Path]:
    """A folder that is a file system of SIZE bytes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=True, capture_output=True
        )
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def plan(folder: Path) -> RunConfig:
    """A training long enough for a disk to be full, and to have room again, before its end."""
    return config(folder, budget={"steps": STEPS}, checkpoint={"every": 10}, evaluation={"every": 50})


def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it never came to be so")
        time.sleep(0.002)


def faults(run: Run) -> list[str]:
    """What went wrong, in the run's own words."""
    return [event.message for event in run.log if isinstance(event, j.FaultedEvent)]


def whole(run: Run) -> bool:
    """Whether every checkpoint that is there is whole."""
    for checkpoint in run.checkpoints.values():
        checkpoint.verify()
    return True


def full(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Fill the disk while a run is trained, and make room again."""
    with small_disk() as disk:
        child = process(lambda: train(disk, plan(folder), "run"))
        run = Run(disk / "run")
        until(lambda: run.refresh() and len(run.checkpoints) > 0)
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
        kept = set(run.checkpoints)
        time.sleep(0.5)
        (disk / "ballast").unlink()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        run = Run(disk / "run")
        _tell(figures, "disk full", _same(run, undisturbed, status, kept), faults(run))


def read_only(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Take away the right to write checkpoints for a while."""

    def child() -> int:
        respect_modes()
        return train(folder, plan(folder), "read-only")

    number = process(child)
    run = Run(folder / "read-only")
    until(lambda: run.refresh() and len(run.checkpoints) > 0)
    kept = set(run.checkpoints)
    (run.folder / "checkpoints").chmod(0o555)
    until(lambda: run.refresh() and bool(faults(run)))
    (run.folder / "checkpoints").chmod(0o755)
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    run = Run(run.folder)
    _tell(figures, "read-only for a while", _same(run, undisturbed, status, kept), faults(run))


def respect_modes() -> None:
    """Give up root's right to write what a mode forbids (capset(2): CAP_DAC_OVERRIDE), if this is root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
    if libc.capget(header, sets) == 0:
        sets[0] &= ~0b110
        libc.capset(header, sets)


def deleted(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Delete a run's folder while it is trained."""
    child = process(lambda: train(folder, plan(folder), "deleted"))
    run = Run(folder / "deleted")
    until(lambda: run.refresh() and len(run.checkpoints) > 0)
    shutil.rmtree(folder / "deleted", ignore_errors=True)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    run = Run(folder / "deleted")
    held = _same(run, undisturbed, status, set())
    held["it can be resumed: weights and configuration are there"] = (
        run.newest_checkpoint() is not None and run.setting("budget.steps") == STEPS
    )
    _tell(figures, "folder deleted", held, faults(run))


def clock(folder: Path, undisturbed: Run, figures: Figures) -> None:
    """Let the clock step back by an hour in the middle."""

    def child() -> int:
        now, made = j.now, 0

        def stepping() -> object:
            nonlocal made
            made += 1
            return now() - timedelta(hours=1) * (made > 40)

        j.now = stepping  # type: ignore[assignment]
        return train(folder, plan(folder), "clock")

    status = os.waitstatus_to_exitcode(os.waitpid(process(child), 0)[1])
    run = Run(folder / "clock")
    _tell(
        figures,
        "clock stepping back",
        {
            "the run ended as planned": status == 0 and run.state == "finished",
            "its losses are the undisturbed run's": losses(run) == losses(undisturbed),
        },
        faults(run),
    )


def _same(run: Run, undisturbed: Run, status: int, kept: set[str]) -> dict[str, bool]:
    """What must hold of a run whose disk failed, and which had `kept` checkpoints before."""
    return {
        "the run ended as planned": status == 0 and run.state == "finished",
        "its losses are the undisturbed run's": losses(run) == losses(undisturbed),
        "what was saved is whole, and later saves succeed": kept < set(run.checkpoints) and whole(run),
        "the journal says what failed": bool(faults(run)),
    }


def _tell(figures: Figures, fault: str, held: dict[str, bool], said: list[str]) -> None:
    for what, fine in held.items():
        figures.holds(f"{fault}: {what}", fine)
    if said:
        print(f"\n{fault}, in its own words: “{said[0]}”\n", flush=True)


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert train(folder, plan(folder), "undisturbed") == 0
        undisturbed = Run(folder / "undisturbed")
        for part in (full, read_only, deleted, clock):
            try:
                part(folder, undisturbed, figures)
            except subprocess.CalledProcessError as error:
                print(f"\n{part.__name__}: not tried, for lack of the right to mount: {error}\n")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

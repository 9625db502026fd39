"""Two trainers for one run, and locks that dead processes left: here, on another host, without flock.

Where another host or a file system without locks is meant, flock does nothing in either process, and one of
them has another name and another kernel. A number that is used again is really used again: the kernel is told
which one to give next. Signs of life come every half a second here instead of every 20 s.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nexus_tui.runs import holders, lock, processes
from nexus_tui.runs.lock import RunLock, RunLockedError, holder
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training import session as sessions
from nexus_tui.training.session import Session
from tools.torture.figures import Figures
from tools.torture.small import config, process, same, train

AT_ONCE = 12
"""Processes that find a dead one's lock in the same moment."""
ROUNDS = 10
HELD, REFUSED = 40, 41
"""Exit statuses."""


def without_flock() -> None:
    """From here on this process neither sees nor makes the kernel's locks."""
    lock.fcntl.flock = lambda *_: None  # type: ignore[assignment]


def on_another_host() -> None:
    """From here on this process has another name and another kernel."""
    without_flock()
    socket.gethostname = lambda: "elsewhere"
    other = processes.Here("another-boot", "pid:[1]", time.time() - 3600)
    processes.here = lambda: other  # type: ignore[assignment]


def quick() -> None:
    """Signs of life in so quick a succession that nobody waits minutes for silence."""
    sessions.BEAT = 0.5
    holders.SILENT = lock.SILENT = 2.5


@contextmanager
def trainer(folder: Path, name: str, *as_if: Callable[[], None]) -> Iterator[int]:
    """A process that trains a run and is paused, for as long as this lasts; gives its number."""

    def pausing() -> int:
        for one in as_if:
            one()
        control = c.Control()
        control.request(c.Pause())
        Session.start(folder, config(folder), name, control).join()
        return 0

    child = process(pausing)
    run = Run(folder / name)
    end = time.monotonic() + 60
    while not (run.refresh() and run.paused) and time.monotonic() < end:
        time.sleep(0.005)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def kill(child: int) -> None:
    """kill -9, and nobody of that number is left."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def refusal(folder: Path, name: str, *as_if: Callable[[], None]) -> str:
    """What another process is told that wants to train a run; empty if it may."""
    told, tell = os.pipe()

    def ask() -> int:
        for one in as_if:
            one()
        try:
            RunLock(folder / name).release()
        except RunLockedError as error:
            os.write(tell, str(error).encode())
        return 0

    os.waitpid(process(ask), 0)
    os.close(tell)
    with open(told, encoding="utf-8") as words:  # noqa: PTH123 (a descriptor)
        return words.read()


def two_here(folder: Path, figures: Figures) -> None:
    """Two processes of this machine, with flock and without."""
    for as_if in ((), (without_flock,)):
        kind = "without flock" if as_if else "with flock"
        name = f"here-{kind.split()[0]}"
        with trainer(folder, name, *as_if) as child:
            told = refusal(folder, name, *as_if)
            who = f"process {child} on {socket.gethostname()}"
            figures.holds(
                f"here, {kind}: a second trainer is refused with who holds it", who in told, f"“{told}”"
            )
            kill(child)
            told = refusal(folder, name, *as_if)
            figures.holds(f"here, {kind}: kill -9, and the next one gets in at once", not told, told)
        lasting(folder, name, figures, f"here, {kind}")


def lasting(folder: Path, name: str, figures: Figures, where: str) -> None:
    """Train a run whose holder was killed to its end."""
    status = os.waitstatus_to_exitcode(os.waitpid(process(lambda: train(folder, config(folder), name)), 0)[1])
    equal = status == 0 and same(Run(folder / name), Run(folder / "undisturbed"))
    figures.holds(f"{where}: and trains to the undisturbed run's losses and weights", equal)


def another_host(folder: Path, figures: Figures) -> None:
    """One on another host that shares the folder and nothing else: signs of life are all there is."""
    with trainer(folder, "far", quick, on_another_host) as child:
        time.sleep(1.5 * 2.5)
        told = refusal(folder, "far", quick, without_flock)
        alive = f"process {child} on elsewhere" in told
        figures.holds("another host: refused after 1.5 × the silence of the dead", alive, f"“{told}”")
        kill(child)
        told = refusal(folder, "far", quick, without_flock)
        figures.holds("another host: refused just after a kill that cannot be seen from here", bool(told))
        silent = time.monotonic()
        while refusal(folder, "far", quick, without_flock) and time.monotonic() < silent + 30:
            time.sleep(0.1)
        seconds = time.monotonic() - silent
    figures.most("another host: silent, so it is dead, after", 2.5 + 0.5 + 1, seconds, "s", "(2.5 s here)")
    lasting(folder, "far", figures, "another host")


def number_again(folder: Path, figures: Figures) -> None:
    """A process that has the number of the dead one."""
    with trainer(folder, "number", without_flock) as child:
        kill(child)
        successor = os.getpid()
        for _ in range(50):
            try:
                Path("/proc/sys/kernel/ns_last_pid").write_text(str(child - 1), "ascii")
            except OSError:
                break
            successor = process(lambda: time.sleep(60) or 0)
            if successor == child:
                break
            kill(successor)
        if successor != child:
            print("\nA number that is used again: not tried, for lack of the right to choose one.\n")
            return
        told = refusal(folder, "number", without_flock)
        figures.holds(
            f"number {child} again, another process: it is not taken for the dead one", not told, told
        )
        kill(successor)
    lasting(folder, "number", figures, "number again")


def at_once(folder: Path, figures: Figures) -> None:
    """Many that find a dead process' lock at once, without flock: one gets it."""
    run, winners, others = folder / "crowd", [], 0
    run.mkdir()
    for _ in range(ROUNDS):
        (run / lock.LOCK).write_text(json.dumps({"pid": 1, "host": "elsewhere"}), "utf-8")
        os.utime(run / lock.LOCK, (0, 0))
        start, (told, tell), (wait, over) = time.monotonic() + 0.25, os.pipe(), os.pipe()

        def take(start: float = start, tell: int = tell, wait: int = wait, over: int = over) -> int:
            os.close(over)
            without_flock()
            time.sleep(max(0.0, start - time.monotonic()))
            try:
                RunLock(run)
                status = HELD
            except RunLockedError:
                status = REFUSED
            os.write(tell, b".")
            os.read(wait, 1)  # whoever has it keeps it until all have tried
            return status

        children = [process(take) for _ in range(AT_ONCE)]
        tried = 0
        while tried < AT_ONCE:
            tried += len(os.read(told, AT_ONCE))
        os.close(over)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        for descriptor in (told, tell, wait):
            os.close(descriptor)
        winners.append(statuses.count(HELD))
        others += statuses.count(REFUSED)
    figures.holds(
        f"{AT_ONCE} at once at a dead process' lock, without flock, {ROUNDS} times: one gets it each time",
        winners == [1] * ROUNDS and others == ROUNDS * (AT_ONCE - 1),
        f"{sum(winners)} in all",
    )


def no_lock_at_all(folder: Path, figures: Figures) -> None:
    """Somebody deletes the lock of a run that is being trained, and another trainer goes on with it."""
    told, tell = os.pipe()

    def first() -> int:
        session = Session.start(folder, config(folder), "both")
        while Run(folder / "both").step < 12:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGSTOP)
        session.join()
        os.write(tell, session.taken.encode())
        return 3 if session.taken else 0

    child = process(first)
    os.waitpid(child, os.WUNTRACED)
    (folder / "both" / lock.LOCK).unlink()
    second = process(lambda: train(folder, config(folder), "both"))
    while not any(b'"resumed"' in line for line in (folder / "both" / "journal.jsonl").open("rb")):
        time.sleep(0.002)
    os.kill(child, signal.SIGCONT)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in (child, second)]
    os.close(tell)
    with open(told, encoding="utf-8") as words:  # noqa: PTH123 (a descriptor)
        sentence = words.read()
    run = Run(folder / "both")
    figures.holds(
        "its lock deleted, another trains it: the first one stops", statuses == [3, 0], f"“{sentence}”"
    )
    figures.most("its lock deleted: damaged lines in the journal of both", 0, run.damaged_lines)
    equal = same(run, Run(folder / "undisturbed"))
    figures.holds("its lock deleted: the other one's losses and weights are the undisturbed run's", equal)


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert train(folder, config(folder), "undisturbed") == 0
        assert holder(folder / "undisturbed") is None
        for part in (two_here, another_host, number_again, at_once, no_lock_at_all):
            part(folder, figures)
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

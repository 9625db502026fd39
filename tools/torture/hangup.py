"""The real program on a real terminal that goes away in the middle of a training, or takes nothing.

A terminal here is a pseudo-terminal with a process that reads it, as a window, sshd or tmux is one. It is
closed, killed, stopped; or the program is told that it has gone while it is there. Each time the losses and
weights of the end are compared with those of a run that nobody watched, bit for bit.
"""

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from tools.torture.figures import Figures
from tools.torture.small import config, process, same

STEPS = 240
AT = 30
"""The step at which the terminal goes."""
PATIENCE = 90.0
"""Seconds for whatever is waited for."""
GAP = 1.0
"""Seconds that a step may take while the terminal takes nothing; else it takes a hundredth of one."""


@dataclass
class Watched:
    """The app, which trains a run, and the process that is its terminal."""

    app: int
    """Its number, as it tells in the journal; a tmux's child is not ours."""
    window: int
    """Of the process that reads the terminal; 0 for none."""
    run: Run
    session: str = ""
    """Of tmux."""
    went: int = 0
    """The step at which its terminal went."""

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something is so. Raises AssertionError."""
        end = time.monotonic() + PATIENCE
        while not holds():
            self.run.refresh()
            assert time.monotonic() < end, what
            time.sleep(0.01)

    def at_step(self, step: int) -> None:
        """Wait until it has trained so far."""
        self.until(lambda: self.run.step >= step, f"step {step}")


def command(run: Path) -> list[str]:
    """What shows a run in the app."""
    return [sys.executable, "-m", "nexus_tui", str(run)]


def begun(folder: Path, plan: RunConfig, name: str) -> Path:
    """A run that is stopped before its first step: the app goes on with it when `r` is pressed."""
    session = Session.start(folder, plan, name)
    session.stop()
    session.join()
    return session.folder


def window(run: Path, *, controlling: bool = True) -> int:
    """A process that is the terminal of the app, presses `r` and reads for ever; gives its number."""

    def show() -> int:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if controlling:
            child, terminal = pty.fork()
        else:
            terminal, other = pty.openpty()
            child = os.fork()
            if child == 0:
                os.setsid()  # a session of its own without this terminal: it hears of its end by EIO alone
                os.close(terminal)
                for descriptor in (0, 1, 2):
                    os.dup2(other, descriptor)
            else:
                os.close(other)
        if child == 0:
            os.environ |= {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.execv(sys.executable, command(run))
        read, pressed = b"", False
        while True:
            read = read[-100_000:] + os.read(terminal, 65_536)
            if not pressed and b"stopped at 0" in read:
                os.write(terminal, b"r")
                pressed = True

    return process(lambda: _quietly(show))


def _quietly(show: Callable[[], int]) -> int:
    try:
        return show()
    except OSError:  # the app has ended
        return 0


def tmux(run: Path) -> str:
    """The app in a tmux of its own; gives its socket's name."""
    name = f"torture-{os.getpid()}"
    shell = " ".join(["OMP_NUM_THREADS=1", *command(run)])
    _tmux(name, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "36", shell)
    end = time.monotonic() + PATIENCE
    while "stopped at 0" not in _tmux(name, "capture-pane", "-p"):
        assert time.monotonic() < end, "the app in tmux"
        time.sleep(0.05)
    _tmux(name, "send-keys", "r")
    return name


def _tmux(name: str, *arguments: str) -> str:
    done = subprocess.run(["tmux", "-L", name, *arguments], capture_output=True, text=True, check=False)
    return done.stdout


def close(watched: Watched) -> None:
    """The terminal's process is killed: the kernel hangs up on the app."""
    os.kill(watched.window, signal.SIGKILL)
    os.waitpid(watched.window, 0)
    watched.window = 0


def kill_tmux(watched: Watched) -> None:
    """The server is killed with all that it shows."""
    server = int(_tmux(watched.session, "display-message", "-p", "#{pid}"))
    os.kill(server, signal.SIGKILL)


def tell(watched: Watched) -> None:
    """SIGHUP alone, and SIGCONT as the kernel sends it: the terminal is still there."""
    os.kill(watched.app, signal.SIGHUP)
    os.kill(watched.app, signal.SIGCONT)


def stop(watched: Watched) -> None:
    """The terminal's process is stopped, as Ctrl-S or a dead link stops one, while much is to be drawn."""
    os.kill(watched.window, signal.SIGSTOP)
    watched.at_step(STEPS)
    os.kill(watched.window, signal.SIGCONT)


def longest_step(run: Run, first: int) -> float:
    """Seconds of the slowest step after the step `first`."""
    return float(max(run.steps["seconds"][run.steps["step"] > first]))


CASES: dict[str, Callable[[Watched], None]] = {
    "the terminal's process is killed (HUP and EIO)": close,
    "a terminal that is not its own goes (EIO alone)": close,
    "SIGHUP while the terminal is there": tell,
    "the terminal's process is stopped to the end": stop,
    "the tmux server is killed": kill_tmux,
}


def attempt(folder: Path, plan: RunConfig, case: str, number: int) -> tuple[int, Run]:
    """Train in the app and let its terminal go. At which step that was, and the run."""
    run = begun(folder, plan, f"run-{number}")
    in_tmux = CASES[case] is kill_tmux
    session = tmux(run) if in_tmux else ""
    watched = Watched(
        0, 0 if in_tmux else window(run, controlling="EIO alone" not in case), Run(run), session
    )
    try:
        watched.at_step(AT)
        assert watched.run.holder
        watched.app, watched.went = watched.run.holder.pid, watched.run.step
        CASES[case](watched)
        watched.until(lambda: watched.run.holder is None, "the end")
        if CASES[case] is not stop:  # there the app lives on, and shows it
            watched.until(lambda: not Path(f"/proc/{watched.app}").exists(), "the app's end")
    finally:
        for one in (watched.window, watched.app):
            if one:
                _end(one)
        if in_tmux:
            _tmux(session, "kill-server")
    return watched.went, Run(run)


def _end(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = config(
            folder, budget={"steps": STEPS}, evaluation={"every": STEPS}, checkpoint={"every": STEPS // 2}
        )
        undisturbed = Session.start(folder, plan, "undisturbed")
        undisturbed.join()
        for number, case in enumerate(CASES):
            if CASES[case] is kill_tmux and not shutil.which("tmux"):
                print("\ntmux: not tried, it is not installed.\n")
                continue
            went, run = attempt(folder, plan, case, number)
            equal = went < STEPS and same(run, Run(folder / "undisturbed"))
            found = f"it went at step {went} of {STEPS}" + ("" if equal else ", and they are others")
            figures.holds(f"{case}: losses and weights are those of a run that nobody watched", equal, found)
            if CASES[case] is stop:
                figures.most("meanwhile, a step takes", GAP, longest_step(run, AT), "s")
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

"""The real program when its terminal goes away, stalls, or a signal comes; steered from other processes."""

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from tests.conftest import LINES, SMALL

STEPS = 150
NEXUS = [sys.executable, "-m", "nexus_tui"]


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """A training of some seconds."""
    corpus = tmp_path_factory.mktemp("text") / "sonnet.txt"
    corpus.write_text("".join(f"{number} {LINES}" for number in range(60)))
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["corpus"] = str(corpus)
    tables["budget"]["steps"] = STEPS
    tables["evaluation"] = tables["checkpoint"] = {"every": STEPS}
    return RunConfig.check(tables, "test")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, longer: RunConfig) -> Run:
    session = Session.start(tmp_path_factory.mktemp("runs"), longer, "undisturbed")
    session.join()
    assert session.error is None
    return Run(session.folder)


class Program:
    """nexus-tui in a session of its own, on a pseudo-terminal whose other end is ours."""

    def __init__(self, *arguments: str) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
            os.execv(sys.executable, [*NEXUS, *arguments])
        self.read = b""

    def look(self, seconds: float = 0.05) -> None:
        """Read what it draws, for a while."""
        import select

        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                try:
                    self.read += os.read(self.terminal, 65_536)
                except OSError:  # it has ended
                    return

    def until(self, holds: Callable[[], bool], seconds: float = 60, *, reading: bool = True) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.read[-2000:]
            self.look() if reading else time.sleep(0.05)

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def hang_up(self) -> None:
        os.close(self.terminal)

    def ended(self, seconds: float = 60) -> int:
        """The exit status, once there is one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError(f"process {self.pid} has not ended")


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        try:
            os.kill(program.pid, signal.SIGKILL)
            os.waitpid(program.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def losses(run: Run) -> list[float]:
    return run.steps["loss"][run.canonical()].tolist()


def begun(run: Run, step: int = 3) -> Callable[[], bool]:
    return lambda: run.refresh() and run.step >= step


def same(run: Run, undisturbed: Run) -> None:
    run.refresh()
    assert (run.state, run.step) == ("finished", STEPS)
    assert losses(run) == losses(undisturbed)
    ours, theirs = run.newest_checkpoint(), undisturbed.newest_checkpoint()
    assert ours and theirs and ours.sha256 == theirs.sha256
    assert [e.loss for e in run.evaluations] == [e.loss for e in undisturbed.evaluations]


def in_the_app(folder: Path, config: RunConfig, programs: list[Program]) -> tuple[Program, Run]:
    """The app, in which a run that was begun before is being trained."""
    session = Session.start(folder, config, "run")
    session.stop()
    session.join()
    program = Program(str(session.folder))
    programs.append(program)
    program.until(lambda: b"stopped at 0" in program.read)
    program.press("r")
    run = Run(session.folder)
    program.until(begun(run))
    return program, run


def test_training_goes_on_when_the_apps_terminal_is_gone(
    tmp_path: Path, longer: RunConfig, undisturbed: Run, programs: list[Program]
) -> None:
    program, run = in_the_app(tmp_path, longer, programs)
    program.hang_up()
    assert program.ended() == 0
    same(run, undisturbed)


def test_what_was_left_training_outlives_its_terminal_too(
    tmp_path: Path, longer: RunConfig, undisturbed: Run, programs: list[Program]
) -> None:
    program, run = in_the_app(tmp_path, longer, programs)
    program.press("q")
    program.until(lambda: b"keep training" in program.read)
    program.press("k")
    program.until(lambda: b"run trains on here." in program.read)
    os.kill(program.pid, signal.SIGCONT)  # as after ctrl+z and fg, and as the kernel does at a hang-up
    program.look(0.3)
    program.hang_up()
    assert program.ended() == 0
    same(run, undisturbed)


def test_a_terminal_that_takes_nothing_slows_nothing_and_is_painted_anew_when_it_does(
    tmp_path: Path, longer: RunConfig, undisturbed: Run, programs: list[Program]
) -> None:
    program, run = in_the_app(tmp_path, longer, programs)
    program.press("".join("1234"[i % 4] for i in range(100)))  # many screens that nobody reads
    program.until(lambda: run.refresh() and run.step == STEPS, reading=False)
    program.read = b""
    program.press("2")
    program.until(lambda: b"finished" in program.read)
    program.press("q")
    program.look(0.5)
    assert program.ended() == 0
    same(run, undisturbed)


def test_who_was_stopped_and_hears_half_a_character_hears_on_and_gives_the_terminal_back(
    tmp_path: Path, programs: list[Program]
) -> None:
    program = Program(str(tmp_path))
    programs.append(program)
    before = termios.tcgetattr(program.terminal)
    program.until(lambda: b"new run" in program.read)
    for _ in range(2):
        os.kill(program.pid, signal.SIGSTOP)
        os.kill(program.pid, signal.SIGCONT)
        program.look(0.5)
    for half in ("é".encode()[:1], "é".encode()[1:], "漢".encode()[:2]):  # as a slow link cuts them
        os.write(program.terminal, half)
        program.look(0.2)
    program.read = b""
    program.press("n")
    program.until(lambda: b"New run" in program.read)
    program.press("\x1b")
    program.look(0.3)
    program.press("q")
    program.look(0.5)
    assert program.ended() == 0
    assert termios.tcgetattr(program.terminal) == before


def test_a_training_without_a_screen_outlives_its_terminal(
    tmp_path: Path, longer: RunConfig, undisturbed: Run, programs: list[Program]
) -> None:
    preset = tmp_path / "longer.toml"
    preset.write_text(longer.to_toml())
    program = Program("train", "--model", str(preset), "--runs", str(tmp_path), "--name", "run")
    programs.append(program)
    program.until(lambda: (tmp_path / "run" / "journal.jsonl").exists())
    run = Run(tmp_path / "run")
    program.until(begun(run))
    program.hang_up()
    assert program.ended() == 0
    same(run, undisturbed)


def wait(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run([*NEXUS, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_detached_training_is_steered_from_the_shell(tmp_path: Path, longer: RunConfig) -> None:
    preset = tmp_path / "longer.toml"  # it must not end before it is paused, nor save
    preset.write_text(re.sub(rf"\b{STEPS}\b", "100000", longer.to_toml()))
    runs = ["--runs", str(tmp_path)]
    status, text = command("train", "--detach", "--model", str(preset), "--name", "run", *runs)
    assert (status, text.split(";")[0].startswith("run trains as process ")) == (0, True)
    run = Run(tmp_path / "run")
    try:
        assert command("train", "--detach", "--model", str(preset), "--name", "run", *runs)[0] == 2
        wait(begun(run))
        assert command("pause", "run", *runs)[1].startswith("run: paused at step ")
        run.refresh()
        held = run.step
        assert run.state == "paused"
        assert command("rate", "run", "0.5", *runs)[1] == f"run: learning rate × 0.5 at step {held:,}.\n"
        assert run.holder
        os.kill(run.holder.pid, signal.SIGUSR1)
        wait(lambda: run.refresh() and bool(run.checkpoints))
        assert list(run.checkpoints) == [f"step_{held}"]
        assert command("plan", "run", "1", *runs)[0] == 2
        assert command("plan", "run", str(held + 5), *runs)[0] == 0
        assert command("continue", "run", *runs)[1] == f"run: continues at step {held:,}.\n"
        wait(lambda: run.refresh() and run.holder is None)
    finally:
        if run.holder:
            os.kill(run.holder.pid, signal.SIGTERM)
    assert (run.state, run.step) == ("finished", held + 5)
    acts = [(e.act, e.value) for e in run.log if isinstance(e, j.ControlledEvent)]
    assert acts == [("pause", None), ("rate_scale", 0.5), ("plan", held + 5), ("continue", None)]
    assert command("stop", "run", *runs) == (2, "nexus-tui: nobody trains run now.\n")
    assert command("note", "run", "over", *runs) == (0, f"run: noted at step {held + 5:,}.\n")

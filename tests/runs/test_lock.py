"""Who may write a run: one process, whatever became of those before it, and also over hosts without locks."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexus_tui.runs import lock
from nexus_tui.runs.lock import LOCK, SILENT, Holder, RunLock, RunLockedError, holder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def left_by(run: Path, host: str, ago: float, pid: int = 42) -> None:
    """A lock's file that a process of a host last touched so many seconds ago; nobody holds it here."""
    (run / LOCK).write_text(json.dumps({"pid": pid, "host": host}))
    os.utime(run / LOCK, (time.time() - ago,) * 2)


def test_a_second_is_refused_and_told_who_has_it(run: Path) -> None:
    with RunLock(run):
        assert holder(run) == Holder(os.getpid(), socket.gethostname())
        with pytest.raises(RunLockedError, match=f"^run is being trained by process {os.getpid()} on "):
            RunLock(run)
    assert holder(run) is None
    assert not (run / LOCK).exists()
    RunLock(run).release()


def test_what_a_killed_process_left_holds_nobody_up(run: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from nexus_tui.runs.lock import RunLock;"
        "RunLock(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    assert (run / LOCK).exists()
    assert holder(run) is None
    RunLock(run).release()


def test_a_process_of_another_host_holds_it_while_it_gives_signs_of_life(run: Path) -> None:
    left_by(run, "elsewhere", ago=SILENT / 2)
    assert holder(run) == Holder(42, "elsewhere")
    with pytest.raises(RunLockedError, match="being trained by process 42 on elsewhere; stop it there first"):
        RunLock(run)
    assert json.loads((run / LOCK).read_text())["host"] == "elsewhere"  # and it was not disturbed


def test_a_process_of_another_host_that_has_long_been_silent_is_dead(run: Path) -> None:
    left_by(run, "elsewhere", ago=SILENT * 2)
    assert holder(run) is None
    RunLock(run).release()


def test_a_clock_that_is_ahead_does_not_make_it_immortal(run: Path) -> None:
    left_by(run, "elsewhere", ago=-SILENT * 2)
    assert holder(run) is None


def test_a_sign_of_life_is_a_new_time(run: Path) -> None:
    with RunLock(run) as held:
        os.utime(run / LOCK, (0, 0))
        held.beat()
        assert abs((run / LOCK).stat().st_mtime - time.time()) < 5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "host": 1}', "\x00" * 100])
def test_a_file_that_says_nothing_holds_nobody_up(run: Path, content: str) -> None:
    (run / LOCK).write_text(content)
    assert holder(run) is None
    RunLock(run).release()


def test_a_lock_that_was_taken_away_while_one_waited_is_not_the_lock(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = lock.fcntl.flock
    first = RunLock(run)

    def lets_go_meanwhile(file: object, how: int) -> None:
        if not released:
            released.append(True)
            first.release()
        take(file, how)

    released: list[bool] = []
    monkeypatch.setattr(lock.fcntl, "flock", lets_go_meanwhile)
    second = RunLock(run)
    assert released
    assert holder(run) == Holder(os.getpid(), socket.gethostname())
    second.release()

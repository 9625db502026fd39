"""Who may write a run: one process, whatever became of those before it, and also over hosts without locks."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.runs import lock, processes
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
    with pytest.raises(
        RunLockedError, match="by process 42 on elsewhere, whose last sign of life is 50 s old; stop"
    ):
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


def without_a_kernels_lock(file: object, how: int) -> None:
    """flock as it is where it is not honoured: everybody gets it."""


def unsupported(file: object, how: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("flock", [without_a_kernels_lock, unsupported])
def test_without_the_kernels_lock_the_process_table_tells(
    run: Path, monkeypatch: pytest.MonkeyPatch, flock: Callable[..., None]
) -> None:
    monkeypatch.setattr(lock.fcntl, "flock", flock)
    first = RunLock(run)
    assert holder(run) == Holder(os.getpid(), socket.gethostname())
    with pytest.raises(
        RunLockedError, match=f"being trained by process {os.getpid()} on .*; stop it there first"
    ):
        RunLock(run)
    first.release()
    assert not any(run.iterdir())
    RunLock(run).release()


@pytest.mark.parametrize(
    ("changed", "lives"),
    [
        ({}, True),
        ({"began": 1}, False),  # its number is another process' now
        ({"pid": 2**22 + 1}, False),
        ({"space": "pid:[1]"}, False),  # another container of this kernel, whose locks hold there too
        ({"boot": "another", "ago": 10**9}, False),  # before this machine was booted
        ({"boot": "another", "ago": 5}, True),  # another machine of the same name
        ({"host": "elsewhere", "ago": 5}, True),
        ({"host": "elsewhere", "ago": SILENT + 5}, False),
    ],
)
def test_who_lives_is_told_by_kernel_number_and_time(
    run: Path, changed: dict[str, object], lives: bool
) -> None:
    ours = processes.here()
    told = {"pid": os.getpid(), "host": socket.gethostname(), "boot": ours.boot, "space": ours.space}
    told |= {"began": processes.began(os.getpid())} | changed
    (run / LOCK).write_text(json.dumps(told))
    os.utime(run / LOCK, (time.time() - float(told.get("ago", 0)),) * 2)
    assert (holder(run) is not None) == lives
    if lives:
        with pytest.raises(RunLockedError):
            RunLock(run)
    else:
        RunLock(run).release()


def test_who_ended_and_was_not_waited_for_does_not_live() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        end = time.monotonic() + 10
        while processes.began(child.pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert not processes.began(child.pid)


def test_of_many_who_find_a_dead_process_lock_at_once_one_gets_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock.fcntl, "flock", without_a_kernels_lock)
    for _ in range(5):
        left_by(run, "elsewhere", ago=SILENT * 2)
        barrier, taken = threading.Barrier(8), list[RunLock]()

        def take(barrier: threading.Barrier = barrier, taken: list[RunLock] = taken) -> None:
            barrier.wait()
            with contextlib.suppress(RunLockedError):
                taken.append(RunLock(run))

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        assert [path.name for path in run.iterdir()] == [LOCK]
        taken[0].release()
        assert not any(run.iterdir())


@pytest.mark.parametrize("flock", [fcntl.flock, without_a_kernels_lock])
def test_who_died_while_it_removed_a_dead_process_lock_holds_nobody_up(
    run: Path, monkeypatch: pytest.MonkeyPatch, flock: Callable[..., None]
) -> None:
    code = (
        "import sys, os; from pathlib import Path; from nexus_tui.runs import lock;"
        "lock._is_at = lambda *_: os.kill(os.getpid(), 9);"
        "lock.RunLock(Path(sys.argv[1]))"
    )
    left_by(run, "elsewhere", ago=SILENT * 2)
    subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    assert sorted(path.name.split("-")[0] for path in run.iterdir()) == [".lock", ".lock", "lock"]
    monkeypatch.setattr(lock.fcntl, "flock", flock)
    RunLock(run).release()


def test_a_reader_that_is_slow_to_let_go_holds_nobody_up(run: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from nexus_tui.runs.lock import RunLock;"
        "RunLock(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    with (run / LOCK).open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        RunLock(run).release()


def test_a_lock_that_cannot_be_removed_is_let_go_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    held = RunLock(run)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        held.release()
    assert (run / LOCK).exists()
    assert holder(run) is None
    RunLock(run).release()


def test_a_lock_that_is_somebody_elses_by_now_is_neither_touched_nor_removed(run: Path) -> None:
    first = RunLock(run)
    (run / LOCK).unlink()
    with RunLock(run):
        os.utime(run / LOCK, (0, 0))
        first.beat()
        first.release()
        assert (run / LOCK).stat().st_mtime == 0


def test_a_lock_that_was_deleted_is_taken_again_at_the_next_sign_of_life(run: Path) -> None:
    with RunLock(run) as held:
        (run / LOCK).unlink()
        assert holder(run) is None
        held.beat()
        assert holder(run) == Holder(os.getpid(), socket.gethostname())
        with pytest.raises(RunLockedError):
            RunLock(run)
    assert not any(run.iterdir())


def test_where_no_file_can_have_two_names_there_is_a_lock_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(lock.os, "link", refuse)
    with RunLock(run):
        assert holder(run) == Holder(os.getpid(), socket.gethostname())
        with pytest.raises(RunLockedError, match=f"process {os.getpid()} on"):
            RunLock(run)
    assert not any(run.iterdir())


def test_a_link_or_a_pipe_in_a_locks_place_is_put_aside_and_nothing_behind_it_changes(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").write_text("mine")
    (run / LOCK).symlink_to(tmp_path / "outside")
    RunLock(run).release()
    assert (tmp_path / "outside").read_text() == "mine"
    os.mkfifo(run / LOCK)
    assert holder(run) is None
    with contextlib.suppress(RunLockedError):
        RunLock(run).release()


def test_what_a_process_left_that_died_while_it_took_the_lock_goes(run: Path) -> None:
    old, young = run / ".lock-1-old", run / ".lock-2-young"
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 2 * SILENT,) * 2)
    RunLock(run).release()
    assert list(run.iterdir()) == [young]


def test_a_beat_that_comes_after_the_lock_was_let_go_takes_nothing(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.release()
    lock.beat()
    assert list(tmp_path.iterdir()) == []
    with RunLock(tmp_path):
        lock.beat()
        assert holder(tmp_path) is not None


def test_a_beat_and_letting_go_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a beat the lock is let go: that waits, and leaves nothing behind."""
    lock = RunLock(tmp_path)
    releasing = threading.Thread(target=lock.release)
    utime = os.utime

    def meanwhile(path: Path) -> None:
        releasing.start()
        releasing.join(0.2)
        assert releasing.is_alive()
        utime(path)

    monkeypatch.setattr(os, "utime", meanwhile)
    lock.beat()
    releasing.join()
    assert list(tmp_path.iterdir()) == []

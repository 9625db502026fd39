"""A share of one core: over every piece of work and its sleep, whatever the work is."""

import threading
import time

import pytest

from nexus_tui.lm.drawing import SamplingError
from nexus_tui.lm.pace import Pace


def burn(seconds: float) -> None:
    """Use so many seconds of processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_the_share_holds(share: float):
    pace = Pace(share)
    clock, processor = time.perf_counter(), time.thread_time()
    for _ in range(12):
        with pace.work():
            burn(0.005)
    used, passed = time.thread_time() - processor, time.perf_counter() - clock
    assert used / passed <= share / (1 + share) * 1.02
    assert used >= 0.06


def test_a_whole_core_never_sleeps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("slept"))
    for pace in (Pace(), Pace(1), Pace(1.5), Pace(lambda: 1.0)):
        with pace.work():
            burn(0.002)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every sleep: what the clock says depends on who else is busy."""
    asked: list[float] = []
    sleep = time.sleep

    def record(seconds: float) -> None:
        asked.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", record)
    return asked


def test_work_that_has_to_wait_is_still_in_the_way(sleeps: list[float]):
    """On a busy machine a token takes longer; who trains is to have the rest of the time all the same."""
    with Pace(0.2).work():
        threading.Event().wait(0.1)
    assert sum(sleeps) >= 0.48  # who stood still for these 0.1 s has 0.5 s to itself: slowed by a fifth


def test_work_on_many_threads_counts_for_all():
    started = time.perf_counter()
    with Pace(0.5).work(threads=4):
        burn(0.02)
    assert time.perf_counter() - started >= 0.16


def test_a_share_that_changes_is_asked_every_time(sleeps: list[float]):
    shares = iter([1.0, 0.05, 1.0])
    pace = Pace(lambda: next(shares))  # the first is asked for at once
    with pace.work():
        burn(0.02)
    assert sum(sleeps) > 0.1
    sleeps.clear()
    with pace.work():
        burn(0.02)
    assert not sleeps


def test_a_long_sleep_looks_up_and_can_be_ended(sleeps: list[float]):
    looks = []

    def awake() -> None:
        looks.append(len(sleeps))
        if len(looks) == 3:
            raise KeyError

    with pytest.raises(KeyError), Pace(0.001, awake).work():
        burn(0.01)  # ten seconds of sleep
    assert looks == [1, 2, 3]
    assert max(sleeps) <= 0.05


@pytest.mark.parametrize("share", [0, -1, float("nan")])
def test_no_share_at_all_is_refused(share: float):
    with pytest.raises(SamplingError, match=r"^The share of a core is .*; it must be above 0"):
        Pace(share)
    with pytest.raises(SamplingError, match="above 0"):
        Pace(lambda: share)


def test_an_error_in_the_work_is_not_slept_on(sleeps: list[float]):
    with pytest.raises(KeyError), Pace(0.001).work():
        burn(0.01)
        raise KeyError
    assert not sleeps

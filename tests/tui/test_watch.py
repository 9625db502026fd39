"""Looking at the disk: often at what is alive, rarely at the rest, never for nothing."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.reading import LeftError
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs
from nexus_tui.runs.summaries import Summaries
from nexus_tui.tui import watch
from nexus_tui.tui.app import TICK, NexusApp
from nexus_tui.tui.watch import IDLE, Watcher
from tests.tui.conftest import ready, until
from tests.tui.fake_runs import START, FakeRun
from tests.tui.screens import press, text


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_idle_folder_is_only_looked_at_and_never_read(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeRun(folder / "a").train(5)
    store = Runs(folder)
    watcher = Watcher(store, clock)
    assert watcher.look()

    def read() -> None:
        raise AssertionError("nothing changed, and the runs were read")

    monkeypatch.setattr(store, "refresh", read)
    for _ in range(20):
        clock.now += TICK
        assert not watcher.tick()


def test_a_live_run_is_read_at_every_tick(folder: Path, clock: Clock) -> None:
    run = FakeRun(folder / "a").train(5)
    run.hold()
    watcher = Watcher(Runs(folder), clock)
    watcher.look()
    assert not watcher.tick()
    run.train(6)
    clock.now += TICK
    assert watcher.tick()
    assert watcher.runs[0].step == 6
    run.release()


def test_a_new_run_and_one_that_began_again_are_found_within_the_idle_time(
    folder: Path, clock: Clock
) -> None:
    old = FakeRun(folder / "old").train(5)
    watcher = Watcher(Runs(folder), clock)
    watcher.look()
    FakeRun(folder / "new").train(1)
    old.hold()
    clock.now += IDLE / 2
    assert not watcher.tick()
    clock.now += IDLE
    assert watcher.tick()
    assert {run.name for run in watcher.runs} == {"old", "new"}
    assert next(run for run in watcher.runs if run.name == "old").holder
    old.release()


def test_a_trainer_that_died_is_noticed(folder: Path, clock: Clock) -> None:
    run = FakeRun(folder / "a").train(5)
    run.hold()
    watcher = Watcher(Runs(folder), clock)
    watcher.look()
    assert watcher.runs[0].state == "training"
    assert run.lock is not None
    run.lock._file.close()  # as the kernel does for a killed process; the file stays, and is another's
    left = run.folder / "lock"
    left.write_text(json.dumps(json.loads(left.read_text()) | {"began": 1}))
    assert watcher.tick()
    assert watcher.runs[0].state == "crashed"


def test_a_deleted_folder_and_a_missing_one_are_no_error(folder: Path, clock: Clock) -> None:
    watcher = Watcher(Runs(folder), clock)
    assert not watcher.look()
    FakeRun(folder / "a")
    clock.now += IDLE
    assert watcher.tick()
    (folder / "a" / "journal.jsonl").unlink()
    clock.now += IDLE
    assert watcher.tick()
    assert watcher.runs == []


def test_what_is_not_read_at_once_comes_from_a_thread(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AT_FIRST", 0)
    monkeypatch.setattr(watch, "SMALL", 0)
    for name in "abc":
        FakeRun(folder / name).train(5)
    watcher = Watcher(Runs(folder, summaries=Summaries(folder, wait=False)), clock)
    watcher.look()
    run = watcher.runs[0]
    fetched(watcher)
    assert all(run.summary.step == 5 and run.state == "crashed" for run in watcher.runs)
    assert not any(run.is_read for run in watcher.runs)
    woken: list[bool] = []
    watcher.fetcher.wake = lambda: woken.append(True)
    assert not watcher.at_hand(run) and not watcher.at_hand(run)
    fetched(watcher)
    assert woken == [True] and watcher.at_hand(run) and run.is_read and not watcher.runs[1].is_read
    watcher.close()


def test_whoever_leaves_waits_for_no_long_journal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(j, "_BATCH", 64)
    FakeRun(folder / "a").train(3)
    with pytest.raises(LeftError):
        Run(folder / "a").read(lambda: True)
    watcher = Watcher(Runs(folder, summaries=Summaries(folder, wait=False)))
    watcher.find()
    watcher.close()
    watcher.fetcher.open(watcher.runs[0])
    watcher.fetcher.close()
    assert not watcher.runs[0].summarised


def fetched(watcher: Watcher) -> None:
    """Wait for what is being read, and take it."""
    while watcher.fetcher.busy:
        watcher.fetcher.take()


def test_of_many_runs_a_tick_looks_at_some_and_a_round_at_all(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "A_TICK", 2)
    made = [FakeRun(folder / name) for name in "abcde"]
    watcher = Watcher(Runs(folder, summaries=Summaries(folder, wait=False)), clock)
    watcher.look()
    made[0].train(3)
    made[4].train(3)
    clock.now += IDLE
    changed = [watcher.tick() for _ in range(4)]
    assert changed[3] is False and 1 <= sum(changed) <= 2
    assert sorted(run.name for run in watcher.runs if run.summary.step == 3) == ["a", "e"]


async def test_a_run_that_takes_long_to_read_is_read_in_a_thread_and_shown_when_it_is_there(
    make_app: Callable[..., NexusApp], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SMALL", 0)
    for number, name in enumerate(("big", "newest")):
        FakeRun(folder / name, now=START + timedelta(minutes=number)).train(30)
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        big = next(run for run in app.runs if run.name == "big")
        assert not big.is_read
        asked: list[Run] = []
        fetcher = app._watcher.fetcher  # type: ignore[union-attr]
        with monkeypatch.context() as slow:
            slow.setattr(fetcher, "open", asked.append)
            await press(pilot, "end")
            await until(pilot, lambda: "reading big" in text(app))
            await press(pilot, "enter")
            assert app.current_mode == "runs" and "Reading big" in text(app) and set(asked) == {big}
            app.current = big
            await press(pilot, "3")
            assert app.current_mode == "runs"
        fetcher.open(big)
        await until(pilot, lambda: app.current_mode == "checkpoints")
        assert app.current is big


async def test_a_run_that_was_wanted_before_another_was_opened_is_not_shown_any_more(
    make_app: Callable[..., NexusApp], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("big", "small"):
        FakeRun(folder / name).train(3)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        big, small = sorted(app.runs, key=lambda run: run.name)
        monkeypatch.setattr(app, "at_hand", lambda run: run is small or run.is_read)
        app.open(big)
        app.open(small)
        await until(pilot, lambda: app.current_mode == "training")
        await press(pilot, "1")
        big.read()
        app._tick()
        await pilot.pause()
        assert (app.current_mode, app.current) == ("runs", small)

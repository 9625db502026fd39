"""Other tools' runs on every screen: the same as ours, without weights to sample or resume from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.interop.opening import all_runs
from nexus_tui.tui import watch
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.watch import IDLE, Watcher
from tests.interop.conftest import Output, write_events
from tests.tui.conftest import FakeLauncher, ready, settled
from tests.tui.screens import line, press

LOSSES = {100: 3.0, 200: 2.0, 300: 2.2}


@pytest.fixture
def foreign(folder: Path) -> Path:
    folder.mkdir()
    Output(folder / "trainer").run(LOSSES, best=300)
    write_events(folder / "board", [(1, {"train_loss": 2.0}), (2, {"train_loss": 1.5, "val_loss": 1.7})])
    (folder / "table.csv").write_text("step,loss,val_loss\n1,2,2.5\n2,1,1.5\n")
    (folder / "notes.md").write_text("| step | loss |\n|--|--|\n| 1 | 2 |\n")
    return folder


@pytest.mark.parametrize("name", ["trainer", "board", "table.csv", "notes.md"])
async def test_every_screen_shows_it(
    foreign: Path, make_app: Callable[..., NexusApp], launcher: FakeLauncher, name: str
) -> None:
    app = make_app(open_run=name)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert app.current is not None
        assert app.current.folder.name == name
        for key in ("1", "2", "3"):
            await press(pilot, key)
        await settled(pilot)
        if name == "trainer":
            assert "2.0000" in line(app, "★")
            assert "200" in line(app, "★")
        await press(pilot, "r")
        assert launcher.resumed == []  # there is nothing of ours to resume from
        await press(pilot, "v", "enter", "5")
        await settled(pilot)


async def test_documents_are_listed_only_by_name(foreign: Path, make_app: Callable[..., NexusApp]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert {run.name for run in app.runs} == {"trainer", "board", "table"}


def test_a_foreign_run_that_grows_is_noticed(foreign: Path) -> None:
    now = [0.0]
    watcher = Watcher(all_runs(foreign), lambda: now[0])
    watcher.look()
    now[0] += IDLE
    assert not watcher.tick()
    write_events(foreign / "board", [(3, {"train_loss": 1.0})], "events.out.tfevents.2.host")
    now[0] += IDLE
    assert watcher.tick()
    assert next(run for run in watcher.runs if run.name == "board").step == 3


def test_of_many_some_are_read_at_once_and_the_others_in_a_thread(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OTHERS", 1)
    store = all_runs(foreign)
    watcher = Watcher(store, lambda: 0.0)
    watcher.find("table.csv")
    first = {run.name for run in watcher.runs}
    assert "table" in first and len(first) <= 2
    watcher.fill()
    while watcher.fetcher.busy:
        watcher.tick()
    assert {run.name for run in watcher.runs} == {"trainer", "board", "table"}
    assert not store.find_new(0) and not store.unopened

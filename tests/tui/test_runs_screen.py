"""The list of runs."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.listing import Column, Listing, fitting
from nexus_tui.tui.story import state
from tests.tui.conftest import FakeLauncher, ready, settled, until
from tests.tui.fake_runs import START, FakeRun, branched
from tests.tui.screens import line, press, text

Make = Callable[..., NexusApp]


def several(folder: Path) -> FakeRun:
    """Four runs in four states; the last one, `nexus-byte-2`, is the newest."""
    tiny = FakeRun(folder / "first-try", total=400, every=100, preset="nexus-tiny", seconds=0.05)
    tiny.train(400)
    tiny.end()
    bpe = FakeRun(folder / "bpe-1", total=3000, preset="nexus-bpe", now=START + timedelta(minutes=5))
    bpe.train(420)
    bpe.end("failed", "the loss is not a number at step 421")
    stopped = FakeRun(folder / "nexus-byte-1", now=START + timedelta(minutes=10))
    stopped.train(230)
    stopped.end("stopped")
    return branched(folder / "nexus-byte-2")


def rows(app: NexusApp) -> list[str]:
    """The list's lines, without its titles."""
    seen = text(app).splitlines()
    start = next(i for i, row in enumerate(seen) if row.startswith("  state"))
    return seen[start + 1 : start + 1 + len(app.screen.query_one(Listing).rows)]


def names(app: NexusApp) -> list[str]:
    """The runs that are listed."""
    return [Path(row.id).name for row in app.screen.query_one(Listing).rows]


def cursor(app: NexusApp) -> str:
    """Name of the run under the cursor."""
    return Path(app.screen.query_one(Listing).current or "").name


async def go_to(pilot: Pilot[str], app: NexusApp, name: str) -> None:
    """Put the cursor on a run."""
    await press(pilot, "home")
    for _ in names(app):
        if cursor(app) == name:
            return
        await press(pilot, "down")
    raise AssertionError(f"{name} is not in the list: {names(app)}")


async def test_a_row_says_state_figures_and_the_true_best(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder), here=True)
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(pilot)
        listed = rows(app)
        assert [row.split()[:3] for row in listed] == [
            ["●", "training", "nexus-byte-2"],
            ["■", "stopped", "nexus-byte-1"],
            ["✗", "failed", "bpe-1"],
            ["✓", "finished", "first-try"],
        ]
        assert "1.4623     2.1097    ★ 1,400" in listed[0].replace("2.1096", "2.1097")
        assert re.search(r"1,412 / 2,000  [▁▂▃▄▅▆▇█]{11} ", listed[0])
        assert listed[0].endswith("now")
        assert "nexus-bpe" in listed[2] and "★ 400" in listed[2]


async def test_moving_and_opening(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert cursor(app) == "nexus-byte-2"
        await press(pilot, "j", "down")
        assert cursor(app) == "bpe-1"
        await press(pilot, "k")
        assert cursor(app) == "nexus-byte-1"
        await press(pilot, "end")
        assert cursor(app) == "first-try"
        await press(pilot, "enter")
        assert app.current_mode == "training"
        assert app.current is not None and app.current.name == "first-try"


async def test_the_look_follows_the_cursor(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert "samples at 1,400" in text(app)
        await press(pilot, "j")
        assert "samples at 200" in text(app)


async def test_resume_is_for_runs_that_nobody_trains(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = several(folder)
    run.hold()
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "r")
        assert "nexus-byte-2 is being trained." in text(app)
        await press(pilot, "j", "r")
        await until(pilot, lambda: app.current_mode == "training")
        assert launcher.resumed == [("nexus-byte-1", None)]
        assert app.control is not None
    run.release()


async def test_a_filter_is_previewed_explained_and_kept(make_app: Make, folder: Path) -> None:
    run = several(folder)
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "slash", *"BYTE stopped")
        assert names(app) == ["nexus-byte-1"]
        assert "1 of 4 runs  BYTE stopped" in text(app)
        app.screen.query_one(Input).value = "model:byte besst<2"
        await pilot.pause()
        assert names(app) == ["nexus-byte-1"], "what could be read last stays in force"
        field, said = text(app).splitlines()[-3:-1]
        assert said.index("▲") == field.index("besst") and "There is no key besst; near it: best" in said
        await press(pilot, "enter")
        assert app.screen.focused is app.screen.query_one(Input), "enter does not take what is wrong"
        app.screen.query_one(Input).value = "model:byte best<1.5"
        await press(pilot, "enter")
        assert isinstance(app.focused, Listing), "letters act on the list again"
        assert names(app) == ["nexus-byte-2"] and app.view.filter == "model:byte best<1.5"

    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        assert names(app) == ["nexus-byte-2"], "the next start looks as the last one was left"
        await press(pilot, "escape")
        assert len(names(app)) == 4 and app.view.filter == ""


async def test_marks_order_pins_and_the_difference(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder))
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(pilot)
        await press(pilot, "space", "j", "space", "d")
        await until(pilot, lambda: "configured otherwise" in text(app))
        assert "no setting differs" in text(app) and "● nexus-byte-2" in text(app)
        await press(pilot, "escape", "j", "p")
        assert names(app)[0] == "bpe-1" and "bpe-1 ▴" in text(app)
        await press(pilot, "p", "U", "d")
        await until(pilot, lambda: "configured otherwise" in text(app))
        assert re.search(r"preset +nexus-tiny +nexus-bpe ", text(app))
        assert re.search(r"budget\.steps +400 +3000\n", text(app))
        await press(pilot, "escape", *"ssssss")
        assert app.view.sort == "val" and "best val▲" in text(app)
        assert (names(app)[0], names(app)[-1]) == ("nexus-byte-2", "nexus-byte-1")
        await press(pilot, "S")
        assert names(app)[0] == "nexus-byte-1" and "best val▼" in text(app)
        title = line(app, "best val")
        await pilot.click(Listing, offset=(title.index("bits"), 0))
        assert app.view.sort == "bits" and not app.view.sort_reversed


async def test_a_run_is_deleted_only_when_that_is_confirmed_and_comes_back(
    make_app: Make, folder: Path
) -> None:
    run = several(folder)
    run.hold()
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "D")
        assert "nexus-byte-2 is being trained by process" in text(app)
        await press(pilot, "N")
        assert "trains nexus-byte-2 and has no socket" in text(app)
        await press(pilot, "j", "space", "j", "space", "D")
        await until(pilot, lambda: "Delete bpe-1?" in text(app))
        assert "420 steps, 2 checkpoints" in text(app) and "delete the 2 marked" in text(app)
        await press(pilot, "escape")
        assert len(names(app)) == 4
        await press(pilot, "D")
        await until(pilot, lambda: "Delete bpe-1?" in text(app))
        await press(pilot, "m")
        await until(pilot, lambda: names(app) == ["nexus-byte-2", "first-try"])
        assert "2 runs moved to runs/.trash" in text(app) and app.view.marked == []
        await press(pilot, "u")
        await until(pilot, lambda: cursor(app) == "bpe-1")
        await press(pilot, "u")
        await until(pilot, lambda: cursor(app) == "nexus-byte-1")
        assert not (folder / ".trash").exists()
        await press(pilot, "u")
        assert "Nothing was deleted or renamed" in text(app)
        await press(pilot, "D")
        await until(pilot, lambda: "Delete nexus-byte-1?" in text(app))
        await press(pilot, "enter")  # one answer
        await until(pilot, lambda: "nexus-byte-1" not in names(app))
    run.release()


async def test_a_new_name_and_a_note(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "j", "space", "p", "R", *"bpe-1", "enter")
        assert "There is a run bpe-1 already" in text(app)
        app.screen.query_one(Input).value = "plain"
        await press(pilot, "enter")
        await until(pilot, lambda: names(app)[0] == "plain")
        assert (app.view.marked, app.view.pins, cursor(app)) == (["plain"], ["plain"], "plain")
        await press(pilot, "N", *"knee", "enter")
        await until(pilot, lambda: "Noted at step 230 of plain" in text(app))
        await press(pilot, "slash", *"note:knee", "enter")
        assert names(app) == ["plain"]
        await press(pilot, "u")
        await until(pilot, lambda: names(app) == ["nexus-byte-1"])


async def test_a_run_that_appears_is_listed_and_the_cursor_stays(make_app: Make, folder: Path) -> None:
    app = make_app(several(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "j")
        FakeRun(folder / "newcomer").train(3)
        await until(pilot, lambda: "newcomer" in text(app))
        assert cursor(app) == "nexus-byte-1"


async def test_more_runs_than_rows_scroll(make_app: Make, folder: Path) -> None:
    for number in range(40):
        FakeRun(folder / f"run-{number:02d}", now=START - timedelta(minutes=number))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "end")
        await pilot.pause()
        assert cursor(app) in text(app)


async def test_no_size_breaks_it(make_app: Make, folder: Path) -> None:
    run = several(folder)
    for size in ((60, 20), (20, 6), (80, 24), (200, 60)):
        app = make_app(run)
        async with app.run_test(size=size) as pilot:
            await ready(pilot)
            await press(pilot, "j")
            assert "nexus-tui" in line(app, "nexus-tui")


def test_columns_give_way_in_their_order() -> None:
    columns = [Column("a", "", 10), Column("b", "", 5, priority=2, grow=4), Column("c", "", 5, priority=1)]
    assert [column.key for column in fitting(columns, 80)] == ["a", "b", "c"]
    assert [column.width for column in fitting(columns, 80)] == [10, 9, 5]
    assert [column.key for column in fitting(columns, 22)] == ["a", "c"]
    assert [column.key for column in fitting(columns, 5)] == ["a"]


@pytest.mark.parametrize(
    ("size", "theme_name"), [((80, 24), "nexus-dark"), ((160, 48), "nexus-dark"), ((120, 36), "nexus-light")]
)
def test_picture(
    make_app: Make, folder: Path, snap_compare: Any, size: tuple[int, int], theme_name: str
) -> None:
    app = make_app(several(folder), here=True, theme_name=theme_name)
    assert snap_compare(app, terminal_size=size, run_before=ready)


def test_picture_of_a_filter_that_is_wrong(make_app: Make, folder: Path, snap_compare: Any) -> None:
    async def before(pilot: Pilot[str]) -> None:
        await ready(pilot)
        await press(pilot, "space", "j", "space", "j", "p", "slash", *"tinyshake lrr")
        pilot.app.screen.query_one(Input).value = "tinyshake lrr>=1e-4"
        await settled(pilot)

    app = make_app(several(folder), theme_name="nexus-light")
    assert snap_compare(app, terminal_size=(100, 30), run_before=before)


def test_picture_of_a_difference(make_app: Make, folder: Path, snap_compare: Any) -> None:
    async def before(pilot: Pilot[str]) -> None:
        await ready(pilot)
        await press(pilot, "space", "j", "j", "space", "end", "space", "d")
        await until(pilot, lambda: "configured otherwise" in text(pilot.app))
        await settled(pilot)

    assert snap_compare(make_app(several(folder)), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_picture_of_the_first_screen(make_app: Make, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(make_app(), terminal_size=size, run_before=ready)


async def test_recorded_runs_are_there_before_anything_is_trained(make_app: Make, shipped: None) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert len(app.shipped) >= 1 and app.runs == []
        wanted = [[*state(run)[:2], run.name] for run in app.shipped]
        assert len(wanted) > 1
        assert sorted(row.split()[:3] for row in rows(app)) == sorted(wanted)
        assert "n   new run" in text(app)
        await go_to(pilot, app, "shakespeare-byte")
        await press(pilot, "r")
        assert "is a record to look at" in text(app)
        await press(pilot, "enter")
        assert app.current_mode == "training" and app.current in app.shipped


async def test_a_recorded_run_with_weights_goes_on_in_a_run_of_one_s_own(
    make_app: Make, shipped: None, launcher: FakeLauncher
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await go_to(pilot, app, "nexus-byte-tuned")
        await press(pilot, "r")
        await until(pilot, lambda: "to which step?" in text(app))
        await press(pilot, "1", "enter")
        assert "It begins at step 2,000; write a later one." in text(app)
        await press(pilot, *["backspace"] * 4, *"2500", "enter")
        await until(pilot, lambda: bool(launcher.branched))
        assert launcher.branched == [("nexus-byte-tuned", "step_2000", 2500)]
        await until(pilot, lambda: app.current_mode == "training")
        await press(pilot, "5")
        offered = app.screen.query_one("#run", Select)
        assert {"nexus-byte-tuned", "nexus-bpe-tuned"} <= {value for _, value in offered._options}


async def test_they_stand_after_one_s_own(make_app: Make, folder: Path, shipped: None) -> None:
    app = make_app(FakeRun(folder / "mine").train(30))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        names = [row.split()[2] for row in rows(app)]
        assert names[0] == "mine" and sorted(names[1:]) == sorted(run.name for run in app.shipped)

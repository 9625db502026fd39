"""Several runs over each other, on the screen."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.overlay_screen import OverlayScreen
from tests.tui.conftest import ready, settled, until
from tests.tui.fake_runs import START, FakeRun
from tests.tui.screens import line, press, text
from tests.tui.test_overlay_curves import change

Make = Callable[..., NexusApp]
DAY = timedelta(days=1)


def three(folder: Path) -> FakeRun:
    """`first` and `wide`, which are configured otherwise, and `live`, the newest."""
    first = FakeRun(folder / "first", total=400, every=100, now=START - 2 * DAY)
    first.train(400).end()
    wide = FakeRun(folder / "wide", total=400, every=100, now=START - DAY, seed=2, _lift=0.5)
    wide.train(250).end("stopped")
    change(wide.folder, "lr = 3e-4", "lr = 1e-3")
    live = FakeRun(folder / "live", total=400, every=100, seed=3, _lift=-0.3)
    return live.train(320)


def listed(app: NexusApp) -> list[str]:
    return [row.id for row in app.screen.query_one(Listing).rows]


async def overlaid(app: NexusApp, pilot: Pilot[str], *names: str) -> OverlayScreen:
    await ready(pilot)
    app.view.marked = list(names)
    await press(pilot, "o")
    await settled(pilot)
    assert isinstance(app.screen, OverlayScreen)
    return app.screen


async def test_reads_hides_takes_out_and_opens(make_app: Make, folder: Path) -> None:
    app = make_app(three(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await overlaid(app, pilot, "first", "wide", "live")
        assert listed(app) == ["first", "wide", "live"]
        assert "optimizer.lr  ●◆ 0.0003  ■ 0.001" in text(app)
        best = {run.name: run.summary.best_loss for run in app.runs}
        assert f"{best['wide']:.4f}" in line(app, "■ wide  ")
        # Every run's value at a step is the journal's; what has ended says nothing.
        await press(pilot, "right", "shift+left")
        at = screen.board.at
        assert at is not None and 250 < at < 320
        losses = {run.name: run.steps["loss"][int(at) - 1] for run in app.runs if run.name != "wide"}
        assert all(f"{loss:.4f}" in line(app, f" {name}   ") for name, loss in losses.items())
        assert listed(app)[-1] == "wide" and f"step {at:,.0f}" in text(app)
        # Escape leaves the crosshair first.
        await press(pilot, "escape", "j", "space")
        assert app.view.hidden == ["wide"] and "3 runs over each other, 1 hidden" in text(app)
        assert "hidden" in line(app, "■ wide  ") and screen.board.charts[0].drawn[-1].name.startswith("live")
        await press(pilot, "space", "backspace")
        assert app.view.hidden == [] and listed(app) == ["first", "live"] == app.view.marked
        assert "◆ live" in text(app), "each keeps its own sign"
        await press(pilot, "enter")
        assert app.current_mode == "training" and app.current is not None and app.current.name == "live"
        await press(pilot, "1", "escape")
        assert not isinstance(app.screen, OverlayScreen)


async def test_without_marks_it_takes_the_run_at_hand_and_the_open_one(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(three(folder), open_run="live")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "1", "o")
        assert "nothing to lay this run over" in text(app), "the one under the cursor is the open one"
        monkeypatch.setattr(app, "at_hand", lambda run: run.name != "wide")
        await press(pilot, "j", "o")
        await settled(pilot)
        assert listed(app) == ["wide", "live"] and app.view.marked == []
        assert "1 being read" in text(app) and "■" in text(app)
        monkeypatch.setattr(app, "at_hand", lambda run: True)
        app.runs[1].touch()  # as when a thread has read it
        app.screen.record_changed()
        await settled(pilot)
        assert "being read" not in text(app)
        await press(pilot, "backspace", "backspace")
        assert not isinstance(app.screen, OverlayScreen), "nothing is left to show"


async def test_live_runs_grow_and_what_is_deleted_is_left_out(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_tui.tui.watch.IDLE", 0.2)
    run = three(folder)
    run.hold()
    app = make_app(run)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await overlaid(app, pilot, "wide", "live")
        run.train(330)
        await until(pilot, lambda: len(screen.board.charts[0].drawn[3].x) == 330)
        shutil.rmtree(folder / "wide")
        await until(pilot, lambda: listed(app) == ["live"])
        assert "wide: no longer in runs, and left out here." in text(app)
    run.release()


async def test_no_size_loses_anything(make_app: Make, folder: Path) -> None:
    app = make_app(three(folder))
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await overlaid(app, pilot, "first", "wide", "live")
        await press(pilot, "left", "shift+left", "j")
        before = text(app)
        for size in ((60, 20), (20, 6), (160, 48), (120, 36)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert size[0] < 60 or "◆ live" in text(app), size
        assert text(app) == before and screen.board.at is not None


@pytest.mark.parametrize(
    ("size", "theme_name", "keys", "names"),
    [
        ((80, 24), "nexus-dark", "", "first wide live bpe"),
        ((120, 36), "nexus-dark", "right shift+left", "first wide live"),
        ((160, 48), "nexus-light", "j", "first wide live bpe"),
    ],
    ids=["tokens", "crosshair", "light"],
)
def test_picture(
    make_app: Make,
    folder: Path,
    snap_compare: Any,
    size: tuple[int, int],
    theme_name: str,
    keys: str,
    names: str,
) -> None:
    run = three(folder)
    bpe = FakeRun(folder / "bpe", total=400, every=100, now=START - 3 * DAY, seed=4, _lift=1.2)
    bpe.train(400).end()
    change(bpe.folder, '"byte"', '"bpe"')

    async def opened(pilot: Pilot[str]) -> None:
        assert isinstance(pilot.app, NexusApp)
        await overlaid(pilot.app, pilot, *names.split())
        await press(pilot, *keys.split())
        await settled(pilot)

    assert snap_compare(make_app(run, theme_name=theme_name), terminal_size=size, run_before=opened)

"""The board: one crosshair, one axis and one window over all charts, whatever they draw."""

from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.board import Board
from nexus_tui.tui.board_screen import BoardScreen
from nexus_tui.tui.metric_chart import MetricChart
from nexus_tui.tui.view import ViewFile
from tests.tui.conftest import ready, settled
from tests.tui.fake_runs import FakeRun, branched
from tests.tui.screens import line, press, text

Make = Callable[..., NexusApp]
OTHERS = [f"layer_{number}" for number in range(20)]


async def opened(pilot: Pilot[str]) -> Board:
    """Go to the board of the training screen."""
    await ready(pilot)
    await press(pilot, "2")
    await settled(pilot)
    assert isinstance(pilot.app.screen, BoardScreen)
    return pilot.app.screen.board


def measured(run: FakeRun) -> FakeRun:
    """A run that has twenty other metrics too, at every tenth step."""
    for step in range(10, 1001, 10):
        values: dict[str, float | None] = dict.fromkeys(OTHERS, step * 1.0)
        run.append(lambda t, step=step, values=values: j.MeasuredEvent(time=t, step=step, values=values))
    return run


async def test_the_crosshair_says_what_the_journal_says_in_every_chart(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(160, 48)) as pilot:
        board = await opened(pilot)
        await press(pilot, "left", "shift+left", "left", "left")
        run = Run(folder / "run")
        rows = run.canonical() & (run.steps["step"] == board.at)
        assert rows.sum() == 1, "it stands at a step of the run"
        read = {metric.id: {one.name: one for one in found} for metric, found in board.readings()}
        for metric in ("loss", "lr", "grad_norm"):
            assert read[metric]["train"].raw == run.steps[metric][rows][0]
            assert read[metric]["train"].x == board.at
        assert f"step {board.at:.0f} · " in line(app, "trained")
        assert f"{fmt.short(run.steps['tokens'][rows][0])} tokens" in line(app, "trained")
        assert {chart.crosshair for chart in board.charts} == {board.at}


async def test_keys_zoom_and_pan_all_charts_and_home_is_live_again(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(160, 48)) as pilot:
        board = await opened(pilot)
        before = text(app)
        whole = board.charts[0].x_view
        assert whole is not None
        await press(pilot, "less_than_sign")
        assert board.window is None and "z zooms in" in text(app)
        await press(pilot, "z", "z", "less_than_sign")
        window = board.window
        assert window is not None and window[1] - window[0] == pytest.approx((whole[1] - whole[0]) / 4)
        assert {chart.x_view for chart in board.charts} == {window}
        assert f"{window[0]:,.0f} – {window[1]:,.0f}" in text(app)
        await press(pilot, "Z")
        assert board.window is not None and board.window[1] - board.window[0] > window[1] - window[0]
        await press(pilot, "left", "home")
        await pilot.pause()
        assert text(app).splitlines()[:-1] == before.splitlines()[:-1]


async def test_the_mouse_points_zooms_and_pans(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(120, 36)) as pilot:
        board = await opened(pilot)
        chart = board.charts[0]
        await pilot.click(chart, offset=(30, 5))
        await pilot.pause()
        at = board.at
        assert at is not None and at == round(at) and chart.column(at) == 30
        chart.post_message(mouse(events.MouseScrollUp, chart, 30))
        await pilot.pause()
        window = board.window
        assert window is not None and window[0] < at < window[1]
        assert chart.column(at) == 30, "what is under the mouse stays there"
        chart.post_message(mouse(events.MouseMove, chart, 40, dragged=10))
        await pilot.pause()
        assert board.window is not None and board.window[0] < window[0]
        assert chart.column(at) == 40
        for _ in range(8):
            chart.post_message(mouse(events.MouseScrollDown, chart, 40))
        await pilot.pause()
        assert board.window is None


def mouse(kind: type[events.MouseEvent], chart: MetricChart, column: int, dragged: int = 0) -> events.Event:
    """The mouse on row 5 of a chart."""
    x, y = chart.region.x + column, chart.region.y + 5
    return kind(chart, column, 5, dragged, 0, int(bool(dragged)), False, False, False, x, y)


async def test_more_charts_than_fit_have_pages(make_app: Make, folder: Path) -> None:
    app = make_app(measured(branched(folder / "run", until=1000)))
    async with app.run_test(size=(120, 36)) as pilot:
        board = await opened(pilot)
        seen = [metric.id for metric in board.shown]
        assert "charts 2–5 of 27" in text(app)
        for _ in range(6):
            await press(pilot, "pagedown")
            seen += [metric.id for metric in board.shown if metric.id not in seen]
        assert seen[-20:] == OTHERS and "charts 24–27 of 27" in text(app)
        assert board.shown[0].id == "loss" and len(board.shown) == 5
        await press(pilot, "pagedown")
        assert "charts 2–5 of 27" in text(app)
        await press(pilot, "shift+tab")
        assert board.shown[0].id == "layer_19"


async def test_it_is_as_it_was_left_at_every_size_and_at_the_next_start(make_app: Make, folder: Path) -> None:
    run = branched(folder / "run", until=1000)
    app = make_app(run)
    async with app.run_test(size=(160, 48)) as pilot:
        board = await opened(pilot)
        app.theme = "nexus-light"
        await press(pilot, "tab", "y", "x", "plus", "left", "shift+left", "z", "right_square_bracket")
        await settled(pilot)
        before, at, window = text(app), board.at, board.window
        for size in ((60, 20), (30, 9), (160, 48)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            assert (board.at, board.window) == (at, window)
        assert text(app).splitlines()[:-1] == before.splitlines()[:-1]
    again = make_app(run)
    async with again.run_test(size=(160, 48)) as pilot:
        board = await opened(pilot)
        assert board.large is not None and board.large.id == "perplexity"
        chart = board.charts[0]
        assert (chart.x_kind, chart.log_y, chart.smoothing) == ("tokens", True, 0.95)
        assert "samples at" not in text(again) and again.theme == "nexus-light"
    path = ViewFile(folder).path
    path.write_text("no view at all")
    fresh = make_app(run)
    async with fresh.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert [notice.message for notice in fresh._notifications if "what was kept is" in notice.message]
    assert path.with_suffix(".damaged").read_text() == "no view at all"


async def test_a_board_draws_the_record_as_it_is_by_then(make_app: Make, folder: Path) -> None:
    fake = branched(folder / "run", until=1000)
    app = make_app(fake)
    async with app.run_test(size=(120, 36)) as pilot:
        board, run = await opened(pilot), app.current
        assert run is not None
        fake.train(1040)
        run.refresh()  # by somebody else than the screen
        board.redraw()
        assert board._curves is not None
        assert (board._curves.end, board._curves.stale) == (1040, False)

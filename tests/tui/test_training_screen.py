"""The training screen: what it says, what it asks for, how it fits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.dialogs import ChoiceDialog, LineDialog
from nexus_tui.tui.training_screen import TrainingScreen
from tests.tui.conftest import FakeLauncher, ready, settled, until
from tests.tui.fake_runs import FakeRun, branched
from tests.tui.screens import footer, line, press, text

Make = Callable[..., NexusApp]


async def opened(pilot: Pilot[str]) -> TrainingScreen:
    """Go to the training screen."""
    await ready(pilot)
    await press(pilot, "2")
    await settled(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, TrainingScreen)
    return screen


# What it says ----------------------------------------------------------------------------------------


async def test_status_progress_and_time_left(make_app: Make, folder: Path) -> None:
    run = branched(folder / "nexus-byte-2")
    app = make_app(run, here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        first, second = text(app).splitlines()[:2]
        assert first.startswith(" nexus-byte-2  ● training   nexus-byte · tinyshakespeare · 6.74M")
        assert first.endswith("1,941 tok/s · 2 cores")
        assert second.startswith(" step 1,412 / 2,000  ━")
        # 588 steps of 1.055 s, and evaluations at 1,600, 1,800 and 2,000 of 6 s each
        assert "71 %" in second and "10:38 left" in second and second.endswith("lr 3.27e-05")


async def test_no_time_left_is_guessed_during_warm_up(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(5), here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        assert "– left" in text(app) and "tok/s" not in text(app)


async def test_what_the_trainer_does_besides_steps(make_app: Make, folder: Path) -> None:
    run = FakeRun(folder / "run").train(30)
    run.doing("evaluating")
    app = make_app(run, here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "● training · evaluating" in line(app, " run")
        run.train(31)
        await until(pilot, lambda: "step    31" in text(app))
        assert "evaluating" not in line(app, " run")


@pytest.mark.parametrize(("reason", "sign"), [("finished", "✓"), ("stopped", "■"), ("failed", "✗")])
async def test_how_it_ended(make_app: Make, folder: Path, reason: str, sign: str) -> None:
    run = FakeRun(folder / "run").train(30)
    run.end(reason, "the disk is on fire")
    app = make_app(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert f"{sign} {reason}" in text(app)
        assert "left" not in text(app).splitlines()[1]
        assert ("failed: the disk is on fire" in text(app)) == (reason == "failed")


async def test_without_a_run_it_says_where_to_go(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "No run is open. 1 lists the runs, n begins one." in text(app)
        await press(pilot, "p", "left", "tab", "f", "y", "x", "plus", "home", "L", "m", "S", "r")
        assert isinstance(app.screen, TrainingScreen)


async def test_foreign_text_is_shown_as_it_is(make_app: Make, folder: Path) -> None:
    run = FakeRun(folder / "[red]run[b]", every=10).train(10)
    run.sample("To be", "[link=x]\x1b]0;title\x07 a")
    run.note("[b]bold[/b]")
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        seen = text(app)
        assert "[red]run[b]" in seen and "[link=x]" in seen and "[b]bold[/b]" in seen
        assert "\x1b" not in seen and "\x07" not in seen


# Steering --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "wish"),
    [("p", c.Pause()), ("s", c.Save()), ("e", c.Evaluate()), ("g", c.Sample())],
)
async def test_a_key_is_a_wish(
    make_app: Make, folder: Path, launcher: FakeLauncher, keys: str, wish: c.Act
) -> None:
    app = make_app(FakeRun(folder / "run").train(30), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, keys)
        assert launcher.session is not None and launcher.session.wishes() == [wish]
        assert "after this step" in text(app), "the screen says that it was asked for"


async def test_p_continues_a_paused_run(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    run = FakeRun(folder / "run").train(30)
    run.act("pause")
    app = make_app(run, here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert "‖ paused" in text(app)
        await press(pilot, "p")
        assert launcher.session is not None and launcher.session.wishes() == [c.Continue()]


async def test_the_learning_rate_is_scaled_after_a_check(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = FakeRun(folder / "run").train(300)
    run.scale_rate(0.5)
    run.train(310)
    app = make_app(run, here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "L")
        assert isinstance(app.screen, LineDialog)
        field = app.screen.query_one(Input)
        assert field.value == "0.5", "the factor that is in force"
        assert f"{run.rate(310) / 0.5:.2e}" in text(app), "what the schedule has without it"
        field.value = "much"
        await press(pilot, "enter")
        assert "'much' is no number" in text(app)
        field.value = "0,25"
        await press(pilot, "enter")
        assert launcher.session is not None and launcher.session.wishes() == [c.ScaleRate(0.25)]


async def test_a_note_and_letters_typed_into_it(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    app = make_app(FakeRun(folder / "run").train(30), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "m", *"spqe", "enter")
        assert launcher.session is not None and launcher.session.wishes() == [c.Note("spqe")]
        await press(pilot, "m", "enter")
        assert "Write something" in text(app)
        await press(pilot, "escape")
        assert launcher.session.wishes() == []


async def test_a_note_at_the_crosshair_is_said_there(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    app = make_app(FakeRun(folder / "run").train(300), here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        board = (await opened(pilot)).board
        await press(pilot, "left", "shift+left", "m")
        assert board.at is not None and 100 < board.at < 299
        assert f"Note at step {board.at:.0f}" in text(app)
        await press(pilot, *"why", "enter")
        assert launcher.session is not None and launcher.session.wishes() == [c.Note("why", int(board.at))]
    FakeRun(folder / "alone").train(300).end()
    app = make_app(open_run="alone")
    async with app.run_test(size=(120, 36)) as pilot:
        board = (await opened(pilot)).board
        await press(pilot, "left", "shift+left", "m", *"here", "enter")
        await until(pilot, lambda: f"step {board.at:.0f}   ◆ here" in text(app))
        events = Run(folder / "alone").log
        assert [(e.step, e.text) for e in events if isinstance(e, j.NotedEvent)] == [(board.at, "here")]


async def test_stop_asks_first(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    app = make_app(FakeRun(folder / "run").train(30), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        session = launcher.session
        assert session is not None
        await press(pilot, "S", "escape")
        assert session.wishes() == []
        await press(pilot, "S")
        assert isinstance(app.screen, ChoiceDialog)
        await press(pilot, "s")
        assert session.wishes() == [c.Stop()]
        await press(pilot, "S")
        assert "30 steps are to be trained again from the beginning" in " ".join(text(app).split())
        await press(pilot, "x")
        assert session.wishes() == [c.Stop(save=False)]
        await press(pilot, "S", "k")
        await until(pilot, lambda: app.return_value == "keep")


async def test_another_last_step(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    app = make_app(FakeRun(folder / "run").train(30), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert launcher.session is not None
        await press(pilot, "P", *"20", "enter")
        assert "It is at step 30 already" in text(app)
        await press(pilot, "home", *"30", "enter")
        assert launcher.session.wishes() == [c.Plan(3020)]


async def test_a_run_of_another_process_cannot_be_steered_and_it_says_who(
    make_app: Make, folder: Path
) -> None:
    run = FakeRun(folder / "run").train(30)
    run.hold()
    app = make_app(run)
    async with app.run_test(size=(120, 30)) as pilot:
        await opened(pilot)
        assert footer(app).startswith("(p)  (s)  (e)  (g)  (r)  ←→")
        await press(pilot, "s")
        assert "Process " in text(app) and "steer it there" in text(app)
    run.release()


async def test_resume_goes_on_from_the_newest_checkpoint(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = FakeRun(folder / "run").train(230)
    run.end("stopped")
    app = make_app(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: "● training" in text(app))
        assert launcher.resumed == [("run", None)]
        assert footer(app).startswith("p  s  e  g  (r)")


async def test_a_resume_that_cannot_be_says_why(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    run = FakeRun(folder / "run", total=200).train(200)
    run.end()
    launcher.failure = "run has finished its 200 steps; resume it from an earlier checkpoint."
    app = make_app(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: "run was not resumed" in text(app))
        assert "resume it from an earlier checkpoint" in " ".join(text(app).split())


# Looking ---------------------------------------------------------------------------------------------


async def test_tab_puts_every_curve_into_the_large_chart(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(120, 36)) as pilot:
        board = (await opened(pilot)).board
        seen = []
        for _ in range(7):
            assert board.charts[0].size.width > 70 and board.large is not None
            seen.append(board.large.id)
            await press(pilot, "tab")
        assert seen == ["loss", "perplexity", "lr", "grad_norm", "speed", "gap", "bits_per_byte"]
        assert text(app).splitlines()[3].startswith(" loss ")
        await press(pilot, "comma", "comma")
        assert "gap val – train" in text(app).splitlines()[3]


async def test_the_crosshair_reads_and_home_is_live_again(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1400))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        live = line(app, " loss ")
        await press(pilot, "left")
        near = line(app, " loss ")
        assert "raw" in near and "step 1,400 · " in text(app)
        await press(pilot, "shift+left")
        far = line(app, " loss ")
        assert far != near
        await press(pilot, "right", "home")
        assert line(app, " loss ") == live
        await press(pilot, "left", "escape")
        assert line(app, " loss ") == live
        await press(pilot, "escape")
        assert app.current_mode == "runs"


async def test_full_hides_all_but_the_large_chart(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(120, 36)) as pilot:
        board = (await opened(pilot)).board
        width = board.charts[0].size.width
        await press(pilot, "f")
        assert board.charts[0].size.width > width and "checkpoints" not in text(app)
        assert "perplexity" not in text(app)
        await press(pilot, "escape")
        assert board.charts[0].size.width == width and "checkpoints" in text(app)


async def test_side_and_small_charts_can_be_hidden(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await press(pilot, "right_square_bracket")
        assert "samples at" not in text(app) and "perplexity" in text(app)
        await press(pilot, "left_square_bracket")
        assert "perplexity" not in text(app)
        assert app.view.closed == ["side", "lower"]
        await press(pilot, "left_square_bracket", "right_square_bracket")
        assert "samples at" in text(app) and "perplexity" in text(app)


async def test_axes_and_smoothing(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(120, 36)) as pilot:
        board = (await opened(pilot)).board
        chart = board.charts[0]
        await press(pilot, "y")
        assert chart.log_y and app.view.log == ["loss"] and "nats/byte log" in text(app)
        await press(pilot, "left", "x")
        seen = text(app)
        assert chart.x_kind == "tokens" and "step 1,000" in seen, "the crosshair stays at its step"
        await press(pilot, "x", "x")
        assert chart.x_kind == "clock" and "step 1,000" in text(app)
        await press(pilot, "x")
        assert chart.x_kind == "step" and board.at == 1000
        usual = chart.smoothing
        await press(pilot, "plus")
        assert chart.smoothing > usual
        await press(pilot, "minus", "minus")
        assert chart.smoothing < usual == 0.9 and app.view.smoothing == 0.8
        await press(pilot, "0")
        assert chart.smoothing == usual and app.view.smoothing is None
        await press(pilot, "plus", "tab", "tab", "f")
        assert board.large is not None and board.large.id == "lr"
        await press(pilot, "0")
        assert "Nothing here is smoothed" in text(app) and app.view.smoothing == 0.95


async def test_a_new_step_reaches_the_screen(make_app: Make, folder: Path) -> None:
    run = FakeRun(folder / "run").train(399)
    app = make_app(run, here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        run.train(400)
        await until(pilot, lambda: "400 / 2,000" in text(app))
        assert "400 evaluated" in text(app) and "samples at 400" in text(app)


# Fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 20), (40, 12), (20, 6), (80, 24), (200, 60), (300, 20)])
async def test_no_size_breaks_it(make_app: Make, folder: Path, size: tuple[int, int]) -> None:
    app = make_app(branched(folder / "run", until=1000), here=True)
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot)
        assert "run" in text(app).splitlines()[0]
        await press(pilot, "tab", "f", "y", "left", "escape", "escape")
        assert screen.size.width == size[0]


async def test_what_80_by_24_keeps(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run"), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await opened(pilot)
        lines = text(app).splitlines()
        assert "● training" in lines[0] and "step" in lines[1] and lines[2].startswith(" loss ")
        assert [chart.size.height for chart in screen.board.charts] == [20]
        assert "1,400 evaluated" in lines[22] and "p pause" in lines[23]
        await press(pilot, "left")
        assert "step 1,412 · 24:50 trained" in text(app).splitlines()[22]


@pytest.mark.parametrize(
    ("size", "theme_name"), [((80, 24), "nexus-dark"), ((160, 48), "nexus-dark"), ((120, 36), "nexus-light")]
)
def test_picture(
    make_app: Make, folder: Path, snap_compare: Any, size: tuple[int, int], theme_name: str
) -> None:
    app = make_app(branched(folder / "nexus-byte-2"), here=True, theme_name=theme_name)
    assert snap_compare(app, terminal_size=size, run_before=opened)


async def test_it_is_painted_once_all_of_it_is_known(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[str] = []

    def display(_: NexusApp, screen: Screen[Any], what: object) -> None:
        painted.extend([type(screen).__name__] if what is not None else [])

    monkeypatch.setattr(NexusApp, "_display", display)
    app = make_app(branched(folder / "run"), open_run="run")
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "TrainingScreen" in painted)
        await settled(pilot)
        assert painted.count("TrainingScreen") == 1 and "1,412 / 2,000" in text(app)

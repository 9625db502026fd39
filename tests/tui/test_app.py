"""The app: starting, modes, keys, leaving."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.widget import Widget
from textual.widgets import Input

from nexus_tui.tui import keys, theme
from nexus_tui.tui.app import KEEP, STOPPED, NexusApp
from nexus_tui.tui.dialogs import QuitDialog, Waiting
from nexus_tui.tui.help import HelpScreen
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.new_run import NewRunDialog
from nexus_tui.tui.screen import ModeScreen
from tests.tui.conftest import FakeLauncher, ready, until
from tests.tui.fake_runs import FakeRun, branched
from tests.tui.screens import footer, line, press, text

Make = Callable[..., NexusApp]


async def test_the_first_screen_without_runs_says_how_to_begin(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "n   new run" in text(app)
        assert "enter   start training" in text(app)
        await press(pilot, "n")
        assert isinstance(app.screen, NewRunDialog)


async def test_the_run_that_somebody_trains_is_the_one_shown(make_app: Make, folder: Path) -> None:
    live = FakeRun(folder / "live").train(20)
    newer = FakeRun(folder / "newer").train(30)
    newer.end("stopped")
    live.hold()
    app = make_app(newer)
    async with app.run_test() as pilot:
        await ready(pilot)
        assert app.current is not None and app.current.name == "live"
    live.release()


async def test_a_run_named_at_the_start_opens_in_the_training_screen(make_app: Make, folder: Path) -> None:
    run = FakeRun(folder / "a").train(20)
    FakeRun(folder / "b").train(30)
    app = make_app(run, open_run="a")
    async with app.run_test() as pilot:
        await ready(pilot)
        await until(pilot, lambda: app.current_mode == "training")
        assert app.current is not None and app.current.name == "a"


async def test_every_mode_opens_by_its_number(make_app: Make, folder: Path) -> None:
    app = make_app(branched(folder / "run", until=1000))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        for key in keys.keys_at("everywhere"):
            if key.method == "mode":
                await press(pilot, key.keys)
                assert f"'{app.current_mode}'" in key.action
                assert isinstance(app.screen, ModeScreen)
                assert app.current_mode == app.screen.WHERE
                app.screen.set_focus(None)


# Leaving ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_leaving_is_immediate_when_nothing_trains(make_app: Make, folder: Path, key: str) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press(key)
        await until(pilot, lambda: app._exit)
    assert app.return_value is None


async def test_quit_asks_while_this_program_trains_and_back_changes_nothing(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    app = make_app(FakeRun(folder / "run").train(20), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "q")
        assert isinstance(app.screen, QuitDialog)
        for choice in ("save and stop", "keep training", "back"):
            assert choice in text(app)
        await press(pilot, "escape")
        assert not isinstance(app.screen, QuitDialog)
        assert launcher.session is not None and not launcher.session.asked_to_stop


async def test_keep_leaves_the_session_alone(make_app: Make, folder: Path, launcher: FakeLauncher) -> None:
    app = make_app(FakeRun(folder / "run").train(20), here=True)
    async with app.run_test() as pilot:
        await ready(pilot)
        await press(pilot, "q")
        await pilot.press("k")
        await until(pilot, lambda: app._exit)
    assert app.return_value == KEEP
    assert launcher.session is not None and not launcher.session.asked_to_stop


@pytest.mark.parametrize("pressed", [("q", "s"), ("ctrl+c",), ("q", "ctrl+c")])
async def test_stopping_waits_until_everything_is_saved(
    make_app: Make, folder: Path, launcher: FakeLauncher, pressed: tuple[str, ...]
) -> None:
    app = make_app(FakeRun(folder / "run").train(20), here=True)
    async with app.run_test() as pilot:
        await ready(pilot)
        session = launcher.session
        assert session is not None
        await press(pilot, *pressed)
        await until(pilot, lambda: isinstance(app.screen, Waiting))
        assert session.asked_to_stop
        await press(pilot, "escape")
        assert isinstance(app.screen, Waiting), "escape must not cut a save off"
        session.end()
        await until(pilot, lambda: app._exit)
    assert app.return_value == STOPPED


async def test_ctrl_c_copies_what_is_selected_instead_of_leaving(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test() as pilot:
        await ready(pilot)
        await press(pilot, "slash", "r", "u")
        app.screen.query_one(Input).select_all()
        await press(pilot, "ctrl+c")
        assert not app._exit
        assert app.clipboard == "ru"


# Keys ------------------------------------------------------------------------------------------------


def _owner(where: str) -> list[type[Any]]:
    from nexus_tui.tui.board_screen import BoardScreen
    from nexus_tui.tui.checkpoints_screen import CheckpointsScreen
    from nexus_tui.tui.compare_screen import CompareScreen
    from nexus_tui.tui.compare_windows import WindowList
    from nexus_tui.tui.evolution_screen import EvolutionScreen
    from nexus_tui.tui.grid_screen import GridScreen
    from nexus_tui.tui.inspector import Inspector
    from nexus_tui.tui.overlay_screen import OverlayScreen
    from nexus_tui.tui.playground_screen import PlaygroundScreen
    from nexus_tui.tui.runs_screen import RunsScreen
    from nexus_tui.tui.token_view import TokenView
    from nexus_tui.tui.training_screen import TrainingScreen
    from nexus_tui.tui.window_text import WindowText

    screens: dict[str, type[Any]] = {
        "everywhere": NexusApp,
        "list": Listing,
        "board": BoardScreen,
        "runs": RunsScreen,
        "training": TrainingScreen,
        "checkpoints": CheckpointsScreen,
        "compare": CompareScreen,
        "playground": PlaygroundScreen,
        "grid": GridScreen,
        "evolution": EvolutionScreen,
        "overlay": OverlayScreen,
        "text": TokenView,
        "options": Inspector,
        "windows": WindowList,
        "reading": WindowText,
    }
    return [screens[where]]


@pytest.mark.parametrize("key", keys.TABLE, ids=lambda key: key.id)
def test_every_action_of_the_table_exists(key: keys.Key) -> None:
    owners = [NexusApp] if key.action.startswith("app.") else _owner(key.where)
    assert any(hasattr(owner, f"action_{key.method}") for owner in owners)
    assert key.help.endswith(".") and key.label == key.label.strip() != ""


def test_ids_are_unique_and_no_key_has_two_meanings_in_one_place() -> None:
    assert len({key.id for key in keys.TABLE}) == len(keys.TABLE)
    for where in ("everywhere", *keys.MODES, "overlay", "text", "options", "windows", "reading"):
        taken = [one for key in keys.keys_of(where) for one in key.keys.split(",")]
        assert len(taken) == len(set(taken)), where


SETTLED = {
    "everywhere": "1 2 3 4 5 question_mark ctrl+p q n",
    "runs": "enter slash r",
    "training": "p s e g L m S left right shift+left shift+right plus minus 0 y x f "
    "z Z less_than_sign greater_than_sign left_square_bracket right_square_bracket home tab shift+tab r "
    "escape",
    "checkpoints": "r v enter space c",
    "compare": "tab shift+tab enter space w escape",
    "playground": "ctrl+r ctrl+g ctrl+e ctrl+y escape w",
}
"""The keys that the documentation promises, where they are implemented."""


@pytest.mark.parametrize("where", SETTLED)
def test_the_table_has_the_keys_that_are_promised(where: keys.Where) -> None:
    bound = {one for key in keys.keys_of(where) for one in key.keys.split(",")}
    assert set(SETTLED[where].split()) <= bound


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
async def test_the_footer_keeps_its_order_and_its_end(make_app: Make, folder: Path, width: int) -> None:
    app = make_app(FakeRun(folder / "run").train(20), here=True)
    async with app.run_test(size=(width, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "2")
        shown = [key.id for _, key in app.screen.query_one(KeyBar).places()]
        wanted = [key.id for key in keys.footer_keys("training")]
        assert shown[:-3] == wanted[: len(shown) - 3]
        assert line(app, "p pause").endswith("1–5 screens  ? keys  ^p all")


async def test_a_click_on_the_footer_does_what_the_key_does(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        bar = app.screen.query_one(KeyBar)
        x = next(x for x, key in bar.places() if key.id == "help")
        await pilot.click(KeyBar, offset=(x, 0))
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)


async def test_help_lists_every_key_of_the_place(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test(size=(160, 60)) as pilot:
        await ready(pilot)
        await press(pilot, "2", "question_mark")
        seen = " ".join(text(app).split())
        for key in keys.keys_at("training", "board", "everywhere"):
            if key.listed:
                first = key.help.split()[:3]
                assert f"{key.written} {' '.join(first)}" in seen


async def test_the_palette_lists_what_can_be_done_here(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test() as pilot:
        await ready(pilot)
        await press(pilot, "2")
        titles = {command.title for command in app.get_system_commands(app.screen)}
        for key in keys.keys_at("training", "board", "everywhere"):
            assert isinstance(app.screen, ModeScreen)
            possible = key.where == "everywhere" or not app.screen.why_not(key.method)
            assert (key.title in titles) == (key.palette and possible), key.id
        assert keys.BY_ID["training.pause"].title not in titles
        assert keys.BY_ID["training.resume"].title in titles


async def test_the_palette_carries_an_action_out(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "2", "ctrl+p", *"side column")
        await until(pilot, lambda: "Show or hide checkpoints" in text(app))
        await press(pilot, "enter")
        await until(pilot, lambda: app.screen.has_class("-no-side"))


async def test_a_key_that_cannot_act_is_grey_and_says_why(make_app: Make, folder: Path) -> None:
    run = FakeRun(folder / "run").train(20)
    run.end("stopped")
    app = make_app(run)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(pilot)
        await press(pilot, "2")
        assert footer(app).startswith("(p)  (s)  (e)  (g)  r")
        await press(pilot, "p")
        assert "Nobody trains run now; r resumes it." in text(app)


async def test_no_color_leaves_the_terminal_s_own_colors(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(FakeRun(folder / "run").train(230))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for mode in ("1", "2"):
            await press(pilot, mode)
            filters = app.get_line_filters()
            for strip in app.screen._compositor.render_strips():
                for filter in filters:
                    strip = strip.apply_filter(filter, Color(0, 0, 0))
                for segment in strip:
                    color = segment.style and segment.style.color
                    assert not segment.text.strip() or color is None or color.is_default


async def test_ascii_draws_nothing_else(make_app: Make, folder: Path) -> None:
    theme.use_ascii()
    run = branched(folder / "run")
    run.note("naïve “quote” → ★")
    app = make_app(run, here=True)
    async with app.run_test(size=(160, 48)) as pilot:
        await ready(pilot)
        for mode in ("1", "2"):
            await press(pilot, mode)
            odd = {sign for sign in text(app) if not sign.isascii()} - {"│"}  # the rule is Textual's border
            assert odd == set(), mode
        await press(pilot, "question_mark")
        assert {sign for sign in text(app) if not sign.isascii()} - {"│"} == set()


# Cost ------------------------------------------------------------------------------------------------


async def test_nothing_is_painted_when_nothing_changed(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = branched(folder / "run", until=1000)
    run.hold()
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for mode in ("1", "2"):
            await press(pilot, mode)
            painted: list[str] = []
            refresh = Widget.refresh

            def counted(
                self: Widget, *args: Any, refresh: Any = refresh, painted: Any = painted, **kw: Any
            ) -> Any:
                painted.append(type(self).__name__)
                return refresh(self, *args, **kw)

            with monkeypatch.context() as patch:
                patch.setattr(Widget, "refresh", counted)
                for _ in range(100):  # until the mode has been drawn for good
                    painted.clear()
                    for _ in range(8):
                        app._tick()
                    await pilot.pause()
                    if not painted:
                        break
                assert painted == [], mode
                run.train(run.step + 1)
                app._tick()
                assert painted, "a new step must be painted"
    run.release()

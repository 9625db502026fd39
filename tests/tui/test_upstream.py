"""What ended the app, or answered twice, when a monkey was at the keys."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.style import Style
from textual import events
from textual.command import CommandPalette
from textual.errors import NoWidget
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import OptionList

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.dialogs import Choice, ChoiceDialog
from nexus_tui.tui.help import HelpScreen
from tests.tui.conftest import ready, until
from tests.tui.fake_runs import FakeRun

Make = Callable[..., NexusApp]


async def test_the_palette_has_no_pages_where_it_has_no_room(make_app: Make) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await pilot.press("down")
        await pilot.resize_terminal(1, 1)
        await pilot.press("pageup", "pagedown", "down", "pageup")
        await pilot.resize_terminal(80, 24)
        await pilot.press("pagedown")


@pytest.mark.parametrize("columns", [1, 4, 5])
async def test_the_palette_opens_where_it_has_no_room_for_a_letter(make_app: Make, columns: int) -> None:
    async with make_app().run_test(size=(columns, 29)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        options = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count > 1)
        await pilot.press("down", "down", "escape")


async def test_a_click_on_an_option_that_has_gone_does_nothing(make_app: Make) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        options = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count > 1)
        last = Style(meta={"option": options.option_count - 1})
        options.clear_options()
        await options._on_click(events.Click(options, 4, 2, 0, 0, 1, False, False, False, style=last))
        assert isinstance(pilot.app.screen, CommandPalette)


async def test_the_palette_opens_while_the_last_one_is_taken_down(make_app: Make) -> None:
    async with make_app().run_test() as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        first = pilot.app.screen
        first.dismiss()
        pilot.app.action_command_palette()
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette) and not first.is_running)
        assert pilot.app.screen is not first


async def test_a_dialog_that_has_gone_answers_no_more_and_closes_nothing(make_app: Make) -> None:
    app, answers = make_app(), []
    dialog = ChoiceDialog("Really?", "", [Choice("y", "yes", "")])
    async with app.run_test() as pilot:
        await ready(pilot)
        below = app.screen
        app.push_screen(dialog, answers.append)
        await until(pilot, lambda: app.screen is dialog)
        dialog.dismiss("y")
        dialog.dismiss("y")
        await until(pilot, lambda: app.screen is below and bool(answers))
        await pilot.pause()
        assert answers == ["y"]


async def test_a_dialog_that_is_covered_takes_what_covers_it_along(make_app: Make) -> None:
    app, answers = make_app(), []
    dialog = ChoiceDialog("Really?", "", [Choice("y", "yes", "")])
    async with app.run_test() as pilot:
        await ready(pilot)
        below = app.screen
        app.push_screen(dialog, answers.append)
        app.push_screen(HelpScreen("everywhere"))
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        dialog.dismiss("y")
        await until(pilot, lambda: app.screen is below and bool(answers))
        await pilot.pause()
        assert answers == ["y"]


async def test_news_are_for_no_screen_that_is_taken_down(
    make_app: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, drawn = make_app(FakeRun(folder / "run").train(20)), []
    async with app.run_test() as pilot:
        await ready(pilot)
        monkeypatch.setattr(app.screen, "record_changed", lambda: drawn.append(1))
        app._news()
        assert drawn == [1]
        app.screen._pruning = True
        app._news()
        app.screen._pruning = False
        assert drawn == [1]


async def test_only_what_comes_to_a_screen_that_nobody_sees_is_harmless(make_app: Make) -> None:
    app = make_app()
    with pytest.raises(KeyError):
        async with app.run_test() as pilot:
            await ready(pilot)
            app._handle_exception(NoWidget("at no place"))
            assert app._exception is None
            app._handle_exception(KeyError("a fault"))


async def test_a_screen_that_stands_and_lacks_a_part_is_a_fault(make_app: Make) -> None:
    app = make_app()
    with pytest.raises(Exception, match="#none"):
        async with app.run_test() as pilot:
            await ready(pilot)
            app.screen.call_later(lambda: app.screen.query_one("#none"))
            await pilot.pause()


async def test_of_many_sizes_at_once_the_newest_is_laid_out(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, laid = make_app(), []
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        screen_resized = Screen._screen_resized
        monkeypatch.setattr(
            Screen, "_screen_resized", lambda self, size: (laid.append(size), screen_resized(self, size))
        )
        newest = Size(90, 24)
        await app._on_resize(events.Resize(newest, newest))
        laid.clear()
        for size in (Size(100, 30), Size(60, 20), newest):  # as they wait, with other messages between them
            await app.screen._on_resize(events.Resize(size, size))
        assert set(laid) == {newest}


async def test_a_palette_that_is_closed_before_it_is_there_is_no_fault(make_app: Make) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await ready(pilot)
        below = app.screen
        app.action_command_palette()
        await app.pop_screen()
        await pilot.pause(0.2)
        assert app.screen is below
        assert app._exception is None

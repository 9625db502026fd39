"""While a text is edited, the footer promises no key that would be typed."""

from collections.abc import Callable

from textual.app import App
from textual.widget import Widget

from nexus_tui.tui import theme
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import BY_ID
from nexus_tui.tui.lines import ink
from nexus_tui.tui.prompt_editor import PromptEditor
from tests.tui.conftest import ready
from tests.tui.playground import field, show
from tests.tui.screens import press
from tests.tui.trained import Trained

Make = Callable[..., NexusApp]


def _faint(app: App[str], bar: Widget) -> str:
    """What of the footer is grey."""
    faint = ink(theme.palette(app), "faint").color
    return "".join(part.text for part in bar.render_line(0) if part.style and part.style.color == faint)


def footer(app: App[str]) -> str:
    """The footer as painted."""
    return app.screen.query_one(KeyBar).render_line(0).text


def test_which_keys_would_be_typed() -> None:
    typed = {id for id, key in BY_ID.items() if key.typed}
    assert {"quit", "help", "playground.continue", "playground.before", "grid.more", "mode.runs"} <= typed
    assert not typed & {"playground.generate", "palette", "compare.next", "playground.stop", "grid.left"}


async def test_in_a_field_the_footer_says_how_to_leave_it(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot)
        bar = screen.query_one(KeyBar)
        for widget in (screen.query_one(PromptEditor), screen.query_one("#stop"), field(screen, "seed")):
            widget.focus()
            await ready(pilot)
            assert "esc leaves the field" in footer(app) and "1–5" not in footer(app)
            assert "? keys" in _faint(app, bar) and "c continue" in _faint(app, bar)
            assert "^r generate" not in _faint(app, bar) and "^p all" not in _faint(app, bar)
        await press(pilot, "escape")
        assert "1–5 screens" in footer(app) and "leaves the field" not in footer(app)
        assert "? keys" not in _faint(app, bar)


async def test_the_end_of_the_footer_does_what_it_says(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot)
        screen.query_one("#stop").focus()
        await ready(pilot)
        await pilot.click(KeyBar, offset=(footer(app).index("leaves"), 0))
        await ready(pilot)
        assert not screen.typing


async def test_the_filter_of_the_runs_too(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "slash")
        assert "esc shows all runs" in footer(app)
        assert "n new run" in _faint(app, app.screen.query_one(KeyBar))
        await press(pilot, "escape")
        assert "1–5 screens" in footer(app)

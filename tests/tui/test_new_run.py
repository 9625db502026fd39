"""The new-run dialog: Enter, Enter trains; what is wrong is said where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.launcher import override
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.new_run import DEFAULT, NewRunDialog, presets
from tests.tui.conftest import FakeLauncher, ready, settled, until
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import press, text

Make = Callable[..., NexusApp]


async def opened(pilot: Pilot[str]) -> NewRunDialog:
    """Open the dialog."""
    await ready(pilot)
    await press(pilot, "n")
    await settled(pilot)
    screen = pilot.app.screen
    assert isinstance(screen, NewRunDialog)
    return screen


async def test_enter_enter_trains_the_default(make_app: Make, launcher: FakeLauncher) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.current_mode == "training")
        assert launcher.started == [(DEFAULT, [], "")]
        await until(pilot, lambda: "● training" in text(app))
        assert app.current is not None and app.current.name == f"{DEFAULT}-1"
        assert app.control is not None


async def test_what_is_filled_in_reaches_the_configuration(make_app: Make, launcher: FakeLauncher) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        await press(pilot, "j")
        model = dialog.preset.name
        dialog.query_one("#corpus", Input).value = 'my "texts"/a.txt'
        dialog.query_one("#steps", Input).value = "1,500"
        dialog.query_one("#name", Input).focus()
        await press(pilot, *"abc", "enter")
        await until(pilot, lambda: app.current_mode == "training")
        wanted = [override("budget.steps", 1500), override("data.corpus", 'my "texts"/a.txt')]
        assert launcher.started == [(model, wanted, "abc")]


async def test_a_corpus_is_described_as_it_is_typed(
    make_app: Make, launcher: FakeLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_tui.tui.new_run.PAUSE", 0.0)
    (tmp_path / "rows.jsonl").write_text('{"body": "To be"}\n')
    (tmp_path / "a.txt").write_text("To be")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        corpus, field = dialog.query_one("#corpus", Input), dialog.query_one("#field", Input)
        corpus.value = str(tmp_path / "a.txt")
        await until(pilot, lambda: "1 file of text, 5 bytes." in text(app))
        assert not field.parent.display
        corpus.value = str(tmp_path / "none.txt")
        await until(pilot, lambda: "There is no corpus" in text(app))
        corpus.value = str(tmp_path / "rows.jsonl")
        await until(pilot, lambda: "there is no field 'text'" in text(app))
        assert field.parent.display
        field.value = "body"
        await until(pilot, lambda: "1 file of JSON lines, 18 bytes." in text(app))
        field.focus()
        await press(pilot, "enter")
        await until(pilot, lambda: bool(launcher.started))
        wanted = [override("data.corpus", corpus.value), override("data.field", "body")]
        assert launcher.started == [(DEFAULT, wanted, "")]


async def test_fields_show_what_empty_means(make_app: Make, folder: Path) -> None:
    FakeRun(folder / f"{DEFAULT}-1")
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        for preset in presets():
            assert dialog.preset.name == preset.name
            number = 2 if preset.name == DEFAULT else 1
            assert dialog.query_one("#name", Input).placeholder == f"{preset.name}-{number}"
            assert dialog.query_one("#steps", Input).placeholder == preset.steps
            await press(pilot, "down")


async def test_steps_that_are_no_number_are_refused_before_anything_starts(
    make_app: Make, launcher: FakeLauncher
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        dialog = await opened(pilot)
        dialog.query_one("#steps", Input).value = "many"
        await press(pilot, "enter", "enter")
        assert "steps: 'many' is no whole number." in text(app)
        assert app.focused is dialog.query_one("#steps")
        assert launcher.started == []


async def test_what_training_refuses_is_shown_in_place_and_can_be_mended(
    make_app: Make, launcher: FakeLauncher
) -> None:
    launcher.failure = "there is a run [b]x[/b] already; resume it or choose another name."
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: "there is a run [b]x[/b] already" in text(app))
        launcher.failure = ""
        await press(pilot, "enter")
        await until(pilot, lambda: app.current_mode == "training")
        assert len(launcher.started) == 2


async def test_one_run_at_a_time(make_app: Make, folder: Path) -> None:
    app = make_app(FakeRun(folder / "run").train(20), here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "n")
        assert not isinstance(app.screen, NewRunDialog)
        assert "run is being trained here; stop it first" in text(app)


async def test_escape_starts_nothing(make_app: Make, launcher: FakeLauncher) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "enter", "escape")
        assert not isinstance(app.screen, NewRunDialog) and launcher.started == []


def test_every_shipped_model_is_offered_with_its_recipe() -> None:
    offered = presets()
    assert offered[0].name == DEFAULT
    for preset in offered:
        assert preset.description and preset.corpus and int(preset.steps) > 0


def test_override_is_toml(tmp_path: Path) -> None:
    import tomllib

    for value in ('a "b" \\ c', "tiny", "ä/ö.txt"):
        assert tomllib.loads(override("x", value))["x"] == value


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_picture(make_app: Make, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(make_app(), terminal_size=size, run_before=opened)


async def test_the_list_has_the_focus_at_first(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(60, 20)) as pilot:
        await opened(pilot)
        assert isinstance(app.focused, Listing)

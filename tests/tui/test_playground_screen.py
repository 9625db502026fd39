"""The playground: a prompt in, a text out, from any checkpoint, while anything else goes on."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Select

from nexus_tui.data.novelty import Originals
from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui import playground_screen
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.number_field import NumberField
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.presets_dialog import PresetsDialog
from nexus_tui.tui.prompt_editor import PromptEditor
from nexus_tui.tui.settings_panel import SETTINGS
from nexus_tui.tui.text_screen import FRAME
from nexus_tui.tui.token_view import TokenView
from nexus_tui.tui.writer import Figures
from tests.tui.conftest import FakeSession, ready, until
from tests.tui.fake_runs import FakeRun
from tests.tui.playground import Fast, field, show, write, written
from tests.tui.screens import footer, line, press, text
from tests.tui.trained import LETTERS, Trained, straight

Make = Callable[..., NexusApp]


async def ready_with(pilot: Pilot[str], run: str) -> PlaygroundScreen:
    """The playground with a run chosen."""
    await ready(pilot)
    await press(pilot, "5")
    screen = pilot.app.screen
    assert isinstance(screen, PlaygroundScreen)
    screen.query_one("#run", Select).value = run
    await until(pilot, lambda: screen.checkpoint is not None)
    return screen


# Writing -----------------------------------------------------------------------------------------------


async def test_the_true_best_is_chosen_and_writes_after_the_prompt(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert screen.checkpoint is not None and screen.checkpoint.name == "step_1400.1"
        field(screen, "max_tokens").value = "60"
        await press(pilot, "ctrl+r")
        whole = await written(pilot, screen)
        assert whole.startswith("To be, or not to be")
        assert len(whole) == len("To be, or not to be") + 60
        assert set(whole[19:].encode()) <= set(LETTERS)
        assert "done   60 tokens" in text(app)
        assert "3.5850 bits/byte" in text(app)  # twelve letters, each as probable: log2 of 12


async def test_the_same_seed_gives_the_same_text_and_another_another(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        texts = []
        field(screen, "max_tokens").value = "50"
        for seed in ("7", "7", "8"):
            field(screen, "seed").value = seed
            await press(pilot, "ctrl+r")
            texts.append(await written(pilot, screen))
        assert texts[0] == texts[1] != texts[2]
        run = Run(trained.folder)
        alone = Sampler.open(run.checkpoints["step_1400.1"]).stream(
            "To be, or not to be", Sampling(seed=8, max_tokens=50)
        )
        assert texts[2] == "To be, or not to be" + "".join(piece.text for piece in alone)


async def test_escape_stops_then_leaves_the_field_then_the_screen(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "1000000"
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: len(screen.query_one(TokenView).text) > 30)
        await press(pilot, "escape")
        await written(pilot, screen)
        assert "stopped" in text(app)
        assert isinstance(screen.focused, PromptEditor)
        await press(pilot, "escape")
        assert isinstance(screen.focused, TokenView)
        await press(pilot, "e")
        assert isinstance(screen.focused, PromptEditor)
        await press(pilot, "escape", "escape")
        await until(pilot, lambda: app.current_mode == "training")


async def test_generating_again_ends_the_text_before(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "1000000"
        await press(pilot, "ctrl+r")
        assert screen.desk.current is not None
        first = screen.desk.current.source
        await until(pilot, lambda: first.figures.tokens > 0)
        field(screen, "max_tokens").value = "5"
        await press(pilot, "ctrl+r")
        assert len(await written(pilot, screen)) == 24
        first.join(10)
        assert first.state == "stopped"


async def test_leaving_the_program_ends_the_thread(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "1000000"
        await press(pilot, "ctrl+r")
        assert screen.desk.current is not None
        source = screen.desk.current.source
        await until(pilot, lambda: source.figures.tokens > 0)
    source.join(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "writer"]


async def test_a_damaged_checkpoint_is_refused_in_one_sentence(make_app: Make, trained: Trained) -> None:
    weights = trained.folder / "checkpoints" / "step_1400.1" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    app = make_app(trained)
    async with app.run_test(size=(160, 30)) as pilot:
        screen = await show(pilot)
        await press(pilot, "ctrl+r")
        await written(pilot, screen)
        assert "failed: runs/byte/checkpoints/step_1400.1/model.safetensors is damaged" in text(app)


async def test_letters_of_a_prompt_act_nowhere_else(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, *"q1n[e]", "enter", *"?x")
        assert screen.query_one(PromptEditor).text == "To be, or not to beq1n[e]\n?x"
        assert app.screen is screen


# Choosing ----------------------------------------------------------------------------------------------


async def test_brackets_step_through_the_checkpoints(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "escape", "left_square_bracket")
        assert screen.checkpoint is not None and screen.checkpoint.name == "step_1200.1"
        await press(pilot, "right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert screen.checkpoint.name == "step_1600"
        assert "10 of 10 kept" in text(app)


async def test_until_somebody_chooses_it_is_the_best_even_if_that_is_new(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        trained.save(1800)
        trained.evaluate(1800, 1.3)
        app.look()
        screen.record_changed()
        assert screen.checkpoint is not None and screen.checkpoint.step == 1800
        await press(pilot, "escape", "left_square_bracket")
        trained.save(2000)
        trained.evaluate(2000, 1.2)
        app.look()
        screen.record_changed()
        assert screen.checkpoint.step == 1600


async def test_another_run_is_chosen_from_the_list_with_its_own_best(
    make_app: Make, trained: Trained, folder: Path
) -> None:
    straight(folder / "[b]other", 600)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert app.current is not None and app.current.name == "[b]other"  # the newest
        assert "[b]other" in text(app)  # a name is no markup
        screen.query_one("#run", Select).value = "byte"
        await until(pilot, lambda: screen.bar.run is not app.current)
        run = screen.bar.run
        assert run is not None and screen.checkpoint is not None
        assert screen.checkpoint.path.is_relative_to(run.folder)


async def test_without_a_checkpoint_it_says_what_to_do(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "5", "ctrl+r")
        assert "No checkpoint to write with yet: train a run (n)" in text(app)
        assert footer(app).startswith("(^r)")


# Settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "typed", "reason"),
    [
        ("temperature", "1.2.3", "temperature: 1.2.3 is no number."),
        ("temperature", "101", "temperature is from 0 to 100, not 101."),
        ("top_p", "0", "top-p is above 0 to 1, not 0."),
        ("top_p", "1.01", "top-p is above 0 to 1, not 1.01."),
        ("max_tokens", "0", "tokens is from 1 to 1e+06, not 0."),
        ("top_k", "", "top-k is empty: write a whole number from 0 to 1e+06."),
        ("seed", "99999999999999999999", "seed is from 0 to 1.84467e+19, not 99999999999999999999."),
    ],
)
def test_what_a_field_does_not_take(id: str, typed: str, reason: str) -> None:
    setting = next(setting for setting in SETTINGS if setting.id == id)
    assert setting.read(typed) == (None, reason)


def test_every_default_and_bound_makes_a_sampling() -> None:
    Sampling(**{setting.id: setting.read(setting.written(setting.default))[0] for setting in SETTINGS})
    Sampling(**{setting.id: setting.high for setting in SETTINGS} | {"seed": 2**64 - 1})


async def test_a_wrong_number_is_marked_at_once_and_not_used(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "top_p").value = "7"
        await pilot.pause()
        marked = [f.setting.id for f in screen.query(NumberField) if f.has_class("-wrong")]
        assert marked == ["top_p"]
        field(screen, "top_k").focus()
        await press(pilot, "minus", "5")  # what is no number is not swallowed
        assert field(screen, "top_k").value == "-5" and screen.query(".-wrong").nodes[0] is not None
        field(screen, "top_k").value = "5"
        await press(pilot, "ctrl+r")
        assert "top-p is above 0 to 1, not 7." in text(app)
        assert screen.focused is field(screen, "top_p")
        assert screen.desk.current is None


async def test_arrow_keys_step_a_number_within_its_bounds(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "tab")
        assert screen.focused is field(screen, "temperature")
        await press(pilot, "up", "up")
        assert field(screen, "temperature").value == "1"
        await press(pilot, *["down"] * 12)
        assert field(screen, "temperature").value == "0"


# Taking along ------------------------------------------------------------------------------------------


async def test_ctrl_y_copies_what_is_shown_even_from_the_prompt(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "10"
        await press(pilot, "ctrl+r")
        whole = await written(pilot, screen)
        assert isinstance(screen.focused, PromptEditor)
        await press(pilot, "ctrl+y")
        assert app.clipboard == whole
        assert (tmp_path / "state" / "nexus-tui" / "copied.txt").read_text() == whole


async def test_a_text_is_exported_with_all_it_takes_to_have_it_again(
    make_app: Make, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground_screen, "_originals", lambda _: Originals(b"x\nto be no. | a\n"))
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        whole = await write(pilot, screen, 30)
        await press(pilot, "escape", "c")
        longer = await written(pilot, screen)
        await press(pilot, "w", "w")
        folder = tmp_path / "state" / "nexus-tui" / "exports"
        first, second = sorted(folder.glob("byte-1400-text*.md"))
        content = first.read_text()
        assert content == second.read_text()
        assert f"```text\n{longer[19:]}\n```" in content and longer.startswith(whole)
        assert "```text\nTo be, or not to be\n```" in content
        assert screen.checkpoint is not None and screen.checkpoint.sha256 in content
        for row in ("| seed | 0 |", "| temperature | 0.8 |", "| bits/byte | 3.5850 |", "| tokens | 60 |"):
            assert row in content
        assert "line 2" in content and "1. continued at token 30" in content
        assert "exports/byte-1400-text" in text(app)


async def test_figures_give_way_and_name_what_they_are_of(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        await write(pilot, screen, 30)
        shown = line(app, "done")
        assert shown.endswith("byte:step_1400.1  seed 0") and "first after" in shown
        await pilot.resize_terminal(60, 24)
        await until(pilot, lambda: line(app, "done").startswith(" done   30 tokens"))


async def test_another_run_without_checkpoints_shows_no_text(
    make_app: Make, trained: Trained, folder: Path
) -> None:
    FakeRun(folder / "bare").train(20)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready_with(pilot, "byte")
        assert await write(pilot, screen, 20)
        screen.query_one("#run", Select).value = "bare"
        await until(pilot, lambda: screen.checkpoint is None)
        await pilot.pause()
        assert screen.view.text == ""
        assert "No checkpoint to write with yet" in text(app) and "done" not in text(app)


async def test_what_was_said_of_a_key_goes_with_the_next(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "escape", "c")
        assert screen.query_one(KeyBar).message
        await press(pilot, "e")
        assert not screen.query_one(KeyBar).message


async def test_while_training_the_share_is_asked_and_shown(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert "core" not in text(app)
        assert screen.desk._share() == 1.0  # type: ignore[operator]
        app.session = FakeSession(trained.folder)
        screen.record_changed()
        await pilot.pause()
        assert "25 % core" in text(app)
        assert screen.desk._share() == 0.25  # type: ignore[operator]
        app.session.end()


async def test_keys_with_ctrl_are_the_screens_in_every_field(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        for id in ("temperature", "stop"):
            field(screen, id).focus()
            await press(pilot, "ctrl+t")
            assert isinstance(app.screen, PresetsDialog)
            await press(pilot, "escape")
            await press(pilot, "ctrl+l")
            assert await written(pilot, screen) == "To be, or not to be"


async def test_the_screen_is_painted_ten_times_a_second_at_most(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        appended: list[str] = []
        monkeypatch.setattr(screen.view, "append", appended.append)
        screen.desk._opener = lambda _: Fast(100_000)
        began = time.monotonic()
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: sum(map(len, appended)) == 100_000)
        assert len(appended) <= (time.monotonic() - began) / FRAME + 2


@pytest.mark.parametrize(
    ("size", "theme_name", "inside"),
    [
        ((80, 24), None, False),
        ((80, 24), None, True),
        ((120, 36), "nexus-light", True),
        ((160, 48), None, True),
    ],
)
def test_picture(
    make_app: Make,
    trained: Trained,
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    theme_name: str | None,
    inside: bool,
) -> None:
    monkeypatch.setattr(playground_screen, "_originals", lambda _: Originals(b"one two\n its inner\n" * 9))

    async def before(pilot: Pilot[str]) -> None:
        screen = await show(pilot)
        await write(pilot, screen, 200)
        assert screen.desk.current is not None
        screen.desk.current.source.figures = Figures(200, 200, 479.579, 1.5, 0.25)
        if inside:
            await press(pilot, "escape", "up", "s")
        screen.query_one(KeyBar).hush()
        screen.show_figures()
        await pilot.pause()

    app = make_app(trained, theme_name=theme_name)
    assert snap_compare(app, terminal_size=size, run_before=before)

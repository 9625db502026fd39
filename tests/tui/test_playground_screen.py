"""The playground: a prompt in, a text out, from any checkpoint, while anything else goes on."""

import shutil
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input, Select

from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Piece, Sampler
from nexus_tui.tui import playground_screen
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.number_field import NumberField
from nexus_tui.tui.playground_screen import FRAME, SETTINGS, PlaygroundScreen
from nexus_tui.tui.prompt_editor import KEPT, History, PromptEditor
from nexus_tui.tui.text_view import TextView, wrap
from nexus_tui.tui.writer import Figures, Writer
from nexus_tui.untrusted import visible
from tests.tui.conftest import ready, until
from tests.tui.screens import footer, press, text
from tests.tui.trained import LETTERS, Trained, branched, straight

Make = Callable[..., NexusApp]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("template") / "byte"
    return folder, branched(folder)


@pytest.fixture
def trained(template: tuple[Path, Trained], folder: Path) -> Trained:
    source, made = template
    shutil.copytree(source, folder / "byte", symlinks=True)
    copy = Trained.__new__(Trained)
    copy.__dict__ |= {**made.__dict__, "folder": folder / "byte"}
    copy.open()
    return copy


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    Sampler._open.clear()


async def show(pilot: Pilot[str]) -> PlaygroundScreen:
    await ready(pilot)
    await press(pilot, "5")
    screen = pilot.app.screen
    assert isinstance(screen, PlaygroundScreen)
    await until(pilot, lambda: screen.is_mounted and screen.checkpoint is not None)
    return screen


async def written(pilot: Pilot[str], screen: PlaygroundScreen) -> str:
    """Wait for the end of the text; all of it."""
    await until(pilot, lambda: not screen._writer.live)  # type: ignore[union-attr]
    await until(pilot, lambda: not screen.query_one(TextView)._live)
    return screen.query_one(TextView).text


def field(screen: PlaygroundScreen, id: str) -> Input:
    return screen.query_one(f"#{id}", Input)


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
        await until(pilot, lambda: len(screen.query_one(TextView).text) > 30)
        await press(pilot, "escape")
        await written(pilot, screen)
        assert "stopped" in text(app)
        assert isinstance(screen.focused, PromptEditor)
        await press(pilot, "escape")
        assert isinstance(screen.focused, TextView)
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
        first = screen._writer
        await until(pilot, lambda: first.figures.tokens > 0)  # type: ignore[union-attr]
        field(screen, "max_tokens").value = "5"
        await press(pilot, "ctrl+r")
        assert len(await written(pilot, screen)) == 24
        first.join(10)  # type: ignore[union-attr]
        assert first.state == "stopped"  # type: ignore[union-attr]


async def test_leaving_the_program_ends_the_thread(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "1000000"
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: screen._writer.figures.tokens > 0)  # type: ignore[union-attr]
    screen._writer.join(10)  # type: ignore[union-attr]
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
        assert "10 of 10" in text(app)


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
        await until(pilot, lambda: screen._run is not app.current)
        run = screen._run
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
        ("top_k", "", "top-k: nothing is no whole number."),
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
        await press(pilot, "ctrl+r")
        assert "top-p is above 0 to 1, not 7." in text(app)
        assert screen.focused is field(screen, "top_p")
        assert screen._writer is None


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


# Copying and remembering -------------------------------------------------------------------------------


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


async def test_earlier_prompts_come_back_in_another_session(make_app: Make, trained: Trained) -> None:
    for prompt in ("The king", "What light\nthrough"):
        app = make_app(trained)
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await show(pilot)
            field(screen, "max_tokens").value = "1"
            screen.query_one(PromptEditor).write(prompt)
            await press(pilot, "ctrl+r")
            await written(pilot, screen)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        editor = screen.query_one(PromptEditor)
        await press(pilot, "alt+up")
        assert editor.text == "What light\nthrough"
        await press(pilot, "alt+up", "alt+up")
        assert editor.text == "The king"
        await press(pilot, "alt+down", "alt+down")
        assert editor.text == "To be, or not to be"


def test_history_keeps_the_newest_and_survives_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "prompts.jsonl"
    history = History(path)
    for number in range(KEPT + 5):
        history.add(f"prompt {number}")
    history.add("prompt 50")
    path.write_text(path.read_text() + "no json\n{}\n")
    again = History(path)
    assert len(again.prompts) == KEPT
    assert again.prompts[-1] == "prompt 50"
    assert again.prompts.count("prompt 50") == 1


# The thread --------------------------------------------------------------------------------------------


class _Fast:
    """Writes as fast as it can, and says when it is through."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        for index in range(self.tokens):
            yield Piece(chr(97 + index % 26), index % 26, 1, -1.0, 1, 1.0)


def _writer(tokens: int, checkpoint: Checkpoint | None = None) -> Writer:
    return Writer(checkpoint or Checkpoint(Path("x"), 1, {}), "", {}, lambda _: _Fast(tokens))


def test_the_thread_never_waits_for_a_reader() -> None:
    writer = _writer(50_000)
    writer.start()
    writer.join(30)
    assert writer.state == "done"
    assert len(writer.take()) == 50_000
    assert writer.take() == []


def test_nothing_is_lost_or_doubled_between_takes() -> None:
    writer, found = _writer(20_000), []
    writer.start()
    while True:
        live = writer.live
        found += writer.take()
        if not live:
            break
        time.sleep(0.001)
    assert "".join(piece.text for piece in found) == "".join(chr(97 + i % 26) for i in range(20_000))


def test_figures_are_those_of_the_text() -> None:
    figures = Figures(tokens=11, bytes=22, nats=5.5, seconds=2.0)
    assert figures.speed == 5.0
    assert figures.loss == 0.5
    assert figures.bits_per_byte == pytest.approx(0.25 / 0.6931471805599453)


async def test_the_screen_is_painted_ten_times_a_second_at_most(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        appended: list[str] = []
        view = screen.query_one(TextView)
        monkeypatch.setattr(view, "append", appended.append)
        monkeypatch.setattr(
            playground_screen, "Writer", lambda c, p, s: Writer(c, p, s, lambda _: _Fast(100_000))
        )
        began = time.monotonic()
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: not screen._writer.live)  # type: ignore[union-attr]
        await until(pilot, lambda: sum(map(len, appended)) == 100_000)
        assert len(appended) <= (time.monotonic() - began) / FRAME + 2


async def test_text_that_fits_lays_nothing_out_and_repaints_only_what_is_new(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 40)) as pilot:
        screen = await show(pilot)
        view = screen.query_one(TextView)
        view.begin("The king")
        await pilot.pause()
        layouts: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        painted: list[Region] = []
        monkeypatch.setattr(view, "refresh", lambda *regions, **_: painted.extend(regions))
        view.append(" is")
        view.append("\ngone")
        assert painted == [Region(8, 0, 4, 1), Region(11, 0, 1, 1), Region(0, 1, 5, 1)]
        assert layouts == []


async def test_a_text_longer_than_the_screen_is_followed_until_somebody_scrolls(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        view = screen.query_one(TextView)
        view.begin("")
        for number in range(60):
            view.append(f"line {number}\n")
            await pilot.pause()
        assert "line 59" in text(app)
        view.focus()
        await press(pilot, "home")
        view.append("more\nand more\n")
        await pilot.pause()
        assert "line 0" in text(app) and "more" not in text(app)
        await press(pilot, "end")
        assert "and more" in text(app)


# The text ----------------------------------------------------------------------------------------------


@given(st.text(alphabet="ab  日\n", max_size=80), st.integers(2, 20))
def test_wrapping_loses_nothing_and_fits(words: str, width: int) -> None:
    for paragraph in words.split("\n"):
        lines = [paragraph[a:b] for a, b in wrap(paragraph, 0, len(paragraph), width)]
        assert all(cell_len(part) <= width for part in lines)
        assert "".join(lines).replace(" ", "") == paragraph.replace(" ", "")
        assert sum(len(part) for part in lines) >= len(paragraph) - len(lines)  # a space an edge at most


@given(st.lists(st.text(alphabet="ab  日\n\x1b", max_size=9), max_size=12))
def test_text_that_comes_in_pieces_is_wrapped_as_if_it_came_at_once(parts: list[str]) -> None:
    view, whole = TextView(), TextView()
    for part in ["", *parts]:
        view._text += visible(part)
        view._wrap_to(10)
    whole._text = visible("".join(parts))
    whole._wrap_to(10)
    assert view._lines == whole._lines


@given(st.text())
def test_nothing_that_steers_a_terminal_is_shown(words: str) -> None:
    shown = visible(words)
    spaces = {"\n", *(character for character in shown if unicodedata.category(character) == "Zs")}
    assert all(character in spaces or character.isprintable() for character in shown)
    assert all(character == "\n" or " " <= character <= "~" for character in visible(words, ascii=True))


def test_control_characters_are_symbols() -> None:
    assert visible("a\x1b[31m\x00\x7f\x9b\u202eé\n") == "a␛[31m␀␡��é\n"
    assert visible("\x1b\x7f\u202eé\n", ascii=True) == "^[^??" + "?\n"


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_picture(
    make_app: Make, trained: Trained, snap_compare: Callable[..., bool], size: tuple[int, int]
) -> None:
    async def before(pilot: Pilot[str]) -> None:
        screen = await show(pilot)
        await press(pilot, "ctrl+r")
        await written(pilot, screen)
        screen._writer.figures = Figures(200, 200, 479.579, 1.5)  # type: ignore[union-attr]
        screen._show_figures()
        await pilot.pause()

    assert snap_compare(make_app(trained), terminal_size=size, run_before=before)

"""Prompts: typed, remembered, from files, pasted; empty, long, strange. Shown, never executed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.file_dialog import FileDialog, matches
from nexus_tui.tui.inspector import spelled
from nexus_tui.tui.long_prompt import LIMIT, LongPrompt, editable, long_prompt, read_prompt
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.prompt_box import NamedPrompt
from nexus_tui.tui.prompt_editor import KEPT, History, PromptEditor
from tests.tui.conftest import until
from tests.tui.playground import Fast, field, show, write, written
from tests.tui.screens import press, text
from tests.tui.trained import Trained

Make = Callable[..., NexusApp]


# What a prompt is --------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=3 * LIMIT), st.integers(0, 5))
def test_the_end_of_anything_is_a_prompt(data: bytes, more: int) -> None:
    prompt = long_prompt("x", data * (more + 1))
    assert (data * (more + 1)).endswith(prompt.data) and len(prompt.data) <= LIMIT
    assert prompt.total == len(data) * (more + 1)


@pytest.mark.parametrize("shift", range(4))
def test_a_long_text_is_cut_between_characters(shift: int) -> None:
    prompt = long_prompt("x", ("a" * shift + "日é😀" * LIMIT).encode())
    assert isinstance(prompt.text, str)
    assert LIMIT - 4 < len(prompt.data) <= LIMIT


def test_what_is_for_an_editor() -> None:
    assert editable("To be,\n\tor not: é 日 😀") and editable("")
    for strange in (
        "\x1b[2J",
        "a\rb",
        "\x00",
        "\u202e",
        "\u2028",
        "\x85",
        "\x0c",
        "a" * (LIMIT + 1),
        "\ud800",
    ):
        assert not editable(strange)


def test_files_as_prompts(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("To be\nor not")
    (tmp_path / "long.txt").write_bytes(b"a" * 1_048_576)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "escape.txt").write_text("\x1b[2Jking")
    (tmp_path / "empty").touch()
    assert read_prompt(tmp_path / "short.txt") == "To be\nor not"
    long = read_prompt(tmp_path / "long.txt")
    assert isinstance(long, LongPrompt) and long.text == "a" * LIMIT
    assert long.about == f"long.txt, 1,048,576 bytes; the last {LIMIT:,} are the prompt"
    binary = read_prompt(tmp_path / "binary")
    assert isinstance(binary, LongPrompt) and binary.text == bytes(range(256))
    assert binary.about == "binary, 256 bytes; no UTF-8 text: only a model of bytes can read it"
    escape = read_prompt(tmp_path / "escape.txt")
    assert isinstance(escape, LongPrompt) and escape.text == "\x1b[2Jking"
    for name, reason in (("empty", "is empty"), ("none", "There is no file"), (".", "is a folder")):
        with pytest.raises(ValueError, match=reason):
            read_prompt(tmp_path / name)


def test_history_keeps_the_newest_and_survives_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "prompts.jsonl"
    history = History(path)
    for number in range(KEPT + 5):
        history.add(f"prompt {number}")
    history.add("prompt 50")
    path.write_text(path.read_text() + "no json\n{}\n" + json.dumps("\x1b[2J") + "\n" + "[" * 100_000 + "\n")
    again = History(path)
    assert len(again.prompts) == KEPT
    assert again.prompts[-1] == "prompt 50"
    assert again.prompts.count("prompt 50") == 1


def test_tokens_are_spelled_in_one_piece() -> None:
    assert [spelled(t) for t in (b" the", b"\n", b"\xe6", b"\x1b[", "日".encode(), b"")] == [
        "␣the", "⏎", "\\xe6", "␛[", "日", "–",
    ]  # fmt: skip


# On the screen -----------------------------------------------------------------------------------------


async def paste(pilot: Pilot[str], screen: PlaygroundScreen, pasted: str) -> None:
    assert screen.focused is not None
    screen.focused.post_message(events.Paste(pasted))
    await pilot.pause()
    await pilot.pause()


async def open_file(pilot: Pilot[str], path: str) -> None:
    await press(pilot, "ctrl+o")
    await until(pilot, lambda: isinstance(pilot.app.screen, FileDialog))
    pilot.app.screen.query_one(Input).value = path
    await press(pilot, "enter")


async def test_a_short_file_comes_into_the_editor(make_app: Make, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "king.txt").write_text("The king\nis here")
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await open_file(pilot, "king.txt")
        assert screen.prompt == "The king\nis here"
        assert isinstance(screen.focused, PromptEditor)
        assert (await write(pilot, screen, 5)).startswith("The king\nis here")


async def test_a_megabyte_is_named_and_its_end_is_read(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_bytes(b"n" * 1_048_000 + b" the end\x1b[2J of it")
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await open_file(pilot, "x.txt")
        assert "x.txt, 1,048,018 bytes; the last 16,384 are the prompt" in text(app)
        assert "nnn the" in text(app) and "end␛[2J of it" in text(app)
        assert isinstance(screen.focused, NamedPrompt)
        whole = await write(pilot, screen, 5)
        assert len(whole) == LIMIT + 5 and "the end␛[2J of it" in whole
        version = screen.desk.current
        assert version is not None and version.source.figures.wait > 0
        await press(pilot, "backspace")
        assert isinstance(screen.focused, PromptEditor)
        assert screen.prompt == "To be, or not to be"


async def test_any_bytes_can_be_continued_byte_by_byte(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "data.bin").write_bytes(b"\x00\xff\x1b]0;title\x07\xe6\x97")
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        await open_file(pilot, "data.bin")
        assert "no UTF-8 text" in text(app)
        whole = await write(pilot, screen, 8)
        assert whole.startswith("␀�␛]0;title␇")
        version = screen.desk.current
        assert version is not None
        alone = Sampler.open(version.checkpoint).stream(
            (tmp_path / "data.bin").read_bytes(), Sampling(max_tokens=8)
        )
        assert list(version.thoughts.ids) == [piece.id for piece in alone]
        await press(pilot, "ctrl+l")
        assert await written(pilot, screen) == "␀�␛]0;title␇�"
        assert "scored" in text(app)


async def test_a_file_that_will_not_do_is_refused_in_the_dialog(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await open_file(pilot, "nowhere.txt")
        assert "There is no file nowhere.txt." in text(app)
        app.screen.query_one(Input).value = "a\0b"
        await press(pilot, "enter")
        assert isinstance(app.screen, FileDialog)
        await press(pilot, "escape")
        assert app.screen is screen and screen.prompt == "To be, or not to be"


async def test_tab_completes_a_path(make_app: Make, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name in ("one.txt", "other.txt", ".hidden", "\x1b[2Jbad"):
        (tmp_path / "texts" / name).write_text("x")
    assert matches("texts/o") == ["texts/one.txt", "texts/other.txt"]
    assert matches("texts/.") == ["texts/.hidden"]
    assert matches("nowhere/x") == [] and matches("\0") == []
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await press(pilot, "ctrl+o", "t", "e", "tab")
        box = app.screen.query_one(Input)
        assert box.value == "texts/"
        assert "␛[2Jbad" in text(app)
        await press(pilot, "o", "tab", "n", "tab")
        assert box.value == "texts/one.txt"
        (tmp_path / "texts" / "bad\x1b[2J").write_text("x")
        box.value = "texts/ba"
        await press(pilot, "tab")
        assert box.value == "texts/bad"  # a field would pass the rest on to the terminal


async def test_a_pasted_text_with_an_escape_sequence_is_no_text_for_the_editor(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await paste(pilot, screen, " and\r\nmore\r")
        assert screen.prompt == "To be, or not to be and\nmore\n"
        await paste(pilot, screen, "\x1b]52;c;aGk=\x07king")
        assert screen.prompt == "\x1b]52;c;aGk=\x07king"
        assert "pasted text, 16 bytes" in text(app) and "\x1b" not in text(app)
        assert (await write(pilot, screen, 4)).startswith("␛]52;c;aGk=␇king")


async def test_a_long_paste_is_named_at_once(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await paste(pilot, screen, "word " * 400_000)
        assert "pasted text, 2,000,000 bytes; the last 16,384 are the prompt" in text(app)
        assert len(screen.prompt) == LIMIT


async def test_an_empty_prompt_begins_as_after_a_line_break(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        screen.open_prompt("")
        whole = await write(pilot, screen, 12)
        run = Run(trained.folder)
        alone = Sampler.open(run.checkpoints["step_1400.1"]).stream("", Sampling(max_tokens=12))
        assert whole == "".join(piece.text for piece in alone) and len(whole) == 12


async def test_what_a_model_writes_cannot_steer_the_terminal(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        evil = b"\x1b[2J\x1b]0;owned\x07\x9b\xe2\x80\xae\r\xff```\n"

        class Evil(Fast):
            def stream(self, *_: object, **__: object):  # type: ignore[no-untyped-def, override]
                yield from self._pieces(evil)

        screen.desk._opener = lambda _: Evil(0)
        await press(pilot, "ctrl+r")
        await written(pilot, screen)
        raw = "".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "␛[2J␛]0;owned␇" in raw
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in raw)
        await press(pilot, "escape", *["left"] * 6, "w", "ctrl+y")
        exported = next((tmp_path / "state" / "nexus-tui" / "exports").glob("*.md")).read_text()
        assert "\x1b" not in exported and "````text" in exported
        assert "\x1b" not in app.clipboard


async def test_earlier_prompts_come_back_in_another_session(make_app: Make, trained: Trained) -> None:
    for prompt in ("The king", "What light\nthrough"):
        app = make_app(trained)
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await show(pilot)
            screen.query_one(PromptEditor).write(prompt)
            await write(pilot, screen, 1)
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
        assert field(screen, "seed").value == "0"

"""Checkpoints × prompts beside each other: the same draws, where the texts part, and nothing but keys."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot
from typer.testing import CliRunner

from nexus_tui.cli import app as shell
from nexus_tui.data.tokenizer import train_bpe
from nexus_tui.lm.generation import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui import choir, many_texts, theme
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.grid import view
from nexus_tui.tui.grid_screen import GridScreen
from nexus_tui.tui.lines_view import LinesView
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.prompts import one_line
from nexus_tui.tui.voice import Voice
from nexus_tui.tui.writer import Figures
from tests.tui.conftest import FakeNovelty, ready, until
from tests.tui.screens import line, press, text
from tests.tui.trained import TINY, Trained, writing_letters

Make = Callable[..., NexusApp]


def reweigh(run: Path, name: str, change: Callable[[HybridLM], HybridLM | None], tokenizer: str = "") -> None:
    """Give a checkpoint other weights and perhaps a tokenizer, its manifest telling the truth about them."""
    import json

    from nexus_tui.runs.checkpoints import file_sha256

    folder = run / "checkpoints" / name
    model = load_model(folder)
    with torch.no_grad():
        model = change(model) or model
    save_model(model, folder)
    if tokenizer:
        (folder / "tokenizer.json").write_text(tokenizer)
    manifest = json.loads((folder / "manifest.json").read_text())
    for file, entry in manifest["files"].items():
        entry |= {"bytes": (folder / file).stat().st_size, "sha256": file_sha256(folder / file)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory, branched_run: tuple[Path, Trained]
) -> tuple[Path, Trained]:
    """The branched run; at step 600 it writes capital letters instead of `o` and `t`."""
    folder = tmp_path_factory.mktemp("template") / "byte"
    shutil.copytree(branched_run[0], folder, symlinks=True)

    def capitals(model: HybridLM) -> None:
        for small in b"ot":
            model.lm_head.weight[small] = -1.0
            model.lm_head.weight[small - 32] = 1.0

    reweigh(folder, "step_600", capitals)
    return folder, branched_run[1]


@pytest.fixture
def trained(template: tuple[Path, Trained], folder: Path) -> Trained:
    source, made = template
    shutil.copytree(source, folder / "byte", symlinks=True)
    copy = Trained.__new__(Trained)
    copy.__dict__ |= {**made.__dict__, "folder": folder / "byte"}
    copy.open()
    return copy


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No training text to read, and no model of another test."""
    monkeypatch.setattr(choir, "originals_of", FakeNovelty)
    yield
    Sampler._open.clear()


async def show(pilot: Pilot[str], tokens: int = 60) -> GridScreen:
    await ready(pilot)
    await press(pilot, "5")
    playground = pilot.app.screen
    assert isinstance(playground, PlaygroundScreen)
    await until(pilot, lambda: playground.is_mounted and playground.checkpoint is not None)
    playground.query_one("#max_tokens").value = str(tokens)  # type: ignore[attr-defined]
    await press(pilot, "ctrl+g")
    await until(pilot, lambda: isinstance(pilot.app.screen, GridScreen) and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, GridScreen)
    return screen


async def written(pilot: Pilot[str], screen: GridScreen) -> list[list[Voice]]:
    """Wait until all is written and drawn."""
    await until(pilot, lambda: not screen.live)
    await until(pilot, lambda: " done" in text(pilot.app) or " stopped" in text(pilot.app))
    return screen.texts


# What is written ---------------------------------------------------------------------------------------


async def test_without_marks_it_is_the_best_and_an_earlier_one_with_the_fixed_prompts(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert [column.name for column in screen.columns] == ["step_1400.1", "step_600"]
        assert screen.prompts == ["To be, or not to be", "To be", "The king"]
        rows = await written(pilot, screen)
        assert [len(v.raw) for row in rows for v in row] == [60] * 6
        assert "2 checkpoints × 3 prompts" in text(app)


async def test_every_text_is_what_the_checkpoint_writes_alone_and_in_the_shell(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        rows = await written(pilot, screen)
    run = Run(trained.folder)
    for prompt, row in zip(screen.prompts, rows, strict=True):
        for column, voice in zip(screen.columns, row, strict=True):
            sampler = Sampler.open(run.checkpoints[column.name])
            alone = sampler.stream(prompt, Sampling(seed=0, max_tokens=60))
            assert voice.text == "".join(piece.text for piece in alone)
    asked = ["sample", "runs/byte:600", "To be", "--seed", "0", "--max-tokens", "60"]
    assert rows[1][1].text in CliRunner().invoke(shell, asked).stdout


async def test_the_first_token_that_differs_is_marked_in_both(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        row = (await written(pilot, screen))[0]
        a, b = row[0].text, row[1].text
        at = next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y)
        assert row[1].against(row[0]).at == at
        assert f"parts at byte {at + 1}" in text(app)
        marks = [span for part in screen._blocks[0][1] for span in part if span[1] == "live!_"]
        assert [mark[0] for mark in marks] == [a[at], b[at]]
        assert text(app).count("▸") >= 2


async def test_the_same_checkpoint_twice_gives_no_difference(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        await press(pilot, "right", "minus", "plus")
        assert [column.name for column in screen.columns] == ["step_1400.1"] * 2
        rows = await written(pilot, screen)
        for row in rows:
            assert row[0] is not row[1]
            assert row[0].raw == row[1].raw and len(row[0].raw) == 60
            assert row[0].figures.nats == row[1].figures.nats
            assert row[1].against(row[0]).kind == "same"
        assert "no difference" in text(app)
        assert "parts" not in text(app) and "▸" not in text(app)


async def test_the_next_seed_writes_all_of_it_anew(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        before = [v.text for row in await written(pilot, screen) for v in row]
        await press(pilot, "n")
        after = [v.text for row in await written(pilot, screen) for v in row]
        assert all(a != b for a, b in zip(before, after, strict=True))
        assert "seed 1" in text(app)
        await press(pilot, "ctrl+r")
        assert [v.text for row in await written(pilot, screen) for v in row] == after


async def test_marked_checkpoints_are_the_columns_with_their_letters(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "3", "home", "space", "down", "space", "down", "space", "up", "space")
        screen = await show(pilot)
        assert [(c.letter, c.name) for c in screen.columns] == [("A", "step_200"), ("C", "step_600")]


async def test_texts_of_other_tokenizers_part_by_bytes(make_app: Make, trained: Trained) -> None:
    tokenizer = train_bpe("the king and the queen and the sea\n" * 20, 300)
    words = [tokenizer.token_to_id(word) for word in ("the", "Ġthe", "Ġking", "Ġqueen", "Ġand")]

    size = tokenizer.get_vocab_size()

    def writing_words(_: HybridLM) -> HybridLM:
        model = writing_letters(600, TINY.model_copy(update={"vocab_size": size}))
        model.lm_head.weight.fill_(-1.0)
        model.lm_head.weight[words] = 1.0
        return model

    reweigh(trained.folder, "step_600", writing_words, tokenizer.to_str())
    app = make_app(trained)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot, tokens=20)
        row = (await written(pilot, screen))[0]
        assert "tokenizers differ: compare bits/byte" in text(app)
        assert len(row[0].ends) == len(row[1].ends) == 20
        assert len(row[0].raw) == 20 < len(row[1].raw)
        at = row[1].against(row[0]).at
        start, end = row[1].token(at)  # type: ignore[misc]
        assert row[1].text[start:end] in ("the", " the", " king", " queen", " and")
        assert row[0].token(at) == (at, at + 1)
        assert row[1].figures.bytes == len(row[1].raw)


async def test_a_prompt_that_ends_amid_a_character_is_completed(make_app: Make, trained: Trained) -> None:
    def completing(model: HybridLM) -> None:
        model.lm_head.weight.fill_(-1.0)
        model.lm_head.weight[[0x97, 0xA5]] = 1.0

    reweigh(trained.folder, "step_600", completing)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=10)
        screen.prompts[0] = "日".encode()[:1]
        await press(pilot, "ctrl+r")
        voice = (await written(pilot, screen))[0][1]
        assert len(voice.raw) == 10 and len(voice.text) == 9
        assert voice.characters(0, 1) == voice.characters(1, 2) == (0, 1)
        assert voice.characters(2, 3) == (1, 2)
        await press(pilot, "e")
        assert "too strange for an editor" in text(app)


# Moving ------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.data())
def test_what_is_in_sight_holds_the_cursor_and_the_reference(count: int, data: st.DataObject) -> None:
    reference = data.draw(st.integers(0, count - 1))
    width = data.draw(st.integers(60, 300))
    before: tuple[int, ...] = ()
    for cursor in data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=9)):
        seen = view(count, reference, cursor, before, width)
        assert cursor in seen.columns and reference in seen.columns
        assert len(set(seen.columns)) == len(seen.columns)
        assert seen.width * len(seen.columns) + 3 * (len(seen.columns) - 1) <= width
        before = seen.columns


async def test_two_of_four_columns_are_seen_and_the_reference_stays(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=10)
        await press(pilot, "right", "plus", "left_square_bracket", "plus", "left_square_bracket")
        await written(pilot, screen)
        assert [c.name for c in screen.columns] == ["step_1400.1", "step_600", "step_400", "step_200"]
        assert list(screen._view.columns) == [0, 3]
        assert "2 not in sight" in text(app)
        await press(pilot, "left")
        assert list(screen._view.columns) == [0, 2]
        assert " A  ★ 1,400" in text(app) and " C   400" not in text(app)
        await press(pilot, "r")
        assert screen.reference == 2
        await press(pilot, "left", "left")
        assert list(screen._view.columns) == [2, 0]


async def test_all_cells_scroll_together_and_the_heads_stay(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=400)
        await written(pilot, screen)
        heads = line(app, "nats/token")
        assert line(app, " 1  To be, or not to be")
        await press(pilot, "pagedown", "down")
        assert not line(app, " 1  To be, or not to be")
        assert line(app, "nats/token") == heads
        await press(pilot, "tab")
        assert line(app, " 2  To be") and screen.row in (1, 2)
        await press(pilot, "end")
        assert screen.row == 2
        await press(pilot, "home")
        assert screen.row == 0 and line(app, " 1  To be, or not to be")


# Changing it -------------------------------------------------------------------------------------------


async def test_prompts_are_added_changed_and_removed(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        kept = [row[0] for row in await written(pilot, screen)]
        await press(pilot, "a", *"Now", "enter", *"is", "ctrl+r")
        rows = await written(pilot, screen)
        assert screen.prompts[-1] == "Now\nis" and screen.row == 3
        assert [row[0] for row in rows[:3]] == kept  # written once
        assert len(rows[3][0].raw) == 60
        assert "Now⏎is" in text(app)
        await press(pilot, "e", *"t", "ctrl+r")
        await written(pilot, screen)
        assert screen.prompts[-1] == "Now\nist"
        await press(pilot, "e", "escape", "D", "D", "D", "D", "D")
        await written(pilot, screen)
        assert len(screen.prompts) == 1
        assert "This is the only prompt; e changes it." in text(app)


async def test_no_prompt_at_all_is_a_prompt(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=20)
        await press(pilot, "a", "ctrl+r")
        rows = await written(pilot, screen)
        assert screen.prompts[-1] == "" and len(rows[-1][0].raw) == 20
        assert "(no prompt: as after a line break)" in text(app)


async def test_columns_come_and_go_within_their_bounds(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=5)
        await press(pilot, *["plus"] * 8)
        assert len(screen.columns) == 8
        assert "There are 8 columns" in text(app)
        assert len({column.letter for column in screen.columns}) == 8
        await press(pilot, *["minus"] * 9)
        assert len(screen.columns) == 1
        assert "This is the only column" in text(app)
        assert all(row[0].text for row in await written(pilot, screen))


# Trouble -----------------------------------------------------------------------------------------------


async def test_a_damaged_checkpoint_says_so_in_its_cells_and_the_others_go_on(
    make_app: Make, trained: Trained
) -> None:
    weights = trained.folder / "checkpoints" / "step_600" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    app = make_app(trained)
    async with app.run_test(size=(160, 30)) as pilot:
        screen = await show(pilot)
        rows = await written(pilot, screen)
        assert [v.state for v in rows[0]] == ["done", "failed"]
        assert "model.safetensors is damaged" in " ".join(text(app).split())
        await press(pilot, "ctrl+y")
        assert "is damaged" in app.clipboard


async def test_weights_that_are_gone_are_named(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(pilot)
        await press(pilot, "3", "home", "space", "end", "space")
        shutil.rmtree(trained.folder / "checkpoints" / "step_200")
        trained.end(1601)
        app.look()
        screen = await show(pilot)
        rows = await written(pilot, screen)
        assert [v.state for v in rows[0]] == ["failed", "done"]
        assert "The weights of step_200 are gone" in text(app)


async def test_escape_sequences_are_shown_and_never_executed(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    def steering(model: HybridLM) -> None:
        model.lm_head.weight.fill_(-1.0)
        model.lm_head.weight[list(b"\x1b[31m\x9b|`")] = 1.0

    reweigh(trained.folder, "step_600", steering)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        screen.prompts[0] = "\x1b[2Jto be\x07"
        await press(pilot, "ctrl+r")
        rows = await written(pilot, screen)
        assert "\x1b" in rows[0][1].text
        assert "\x1b" not in text(app) and "\x07" not in text(app)
        assert "␛[2Jto be␇" in text(app) and "␛" in line(app, "▸")
        await press(pilot, "w")
        exported = next((tmp_path / "state" / "nexus-tui" / "exports").glob("grid-*.md")).read_text()
        assert "\x1b" not in exported and "␛" in exported


async def test_esc_stops_at_once_and_then_leaves(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=1_000_000)
        await until(pilot, lambda: all(v.figures.tokens for v in screen.voices))
        await press(pilot, "escape")
        rows = await written(pilot, screen)
        assert "stopped" in text(app)
        assert all(v.text and v.state == "stopped" for row in rows for v in row)
        assert app.screen is screen
        await press(pilot, "escape")
        assert isinstance(app.screen, PlaygroundScreen)
    assert not [thread for thread in threading.enumerate() if thread.name == "choir"]


async def test_leaving_the_program_ends_the_thread(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=1_000_000)
        await until(pilot, lambda: screen.texts[0][0].figures.tokens > 0)
    screen._choir.join(10)  # type: ignore[union-attr]
    assert not screen.live


async def test_without_any_checkpoint_it_says_what_to_do(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "5", "ctrl+g")
        assert isinstance(app.screen, PlaygroundScreen)
        assert "No checkpoint to write with yet: train a run (n)" in text(app)


async def test_a_terminal_without_other_signs_gets_ascii(make_app: Make, trained: Trained) -> None:
    theme.use_ascii()
    (trained.folder / "checkpoints" / "step_600" / "model.safetensors").write_bytes(b"short")
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "right", "plus", "left_square_bracket", "a", *"日", "ctrl+r")
        await written(pilot, screen)
        for key in ("home", "end", "pageup"):
            await press(pilot, key)
            assert text(app).isascii()


# Taking it elsewhere -----------------------------------------------------------------------------------


async def test_enter_opens_the_text_in_the_playground(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=5)
        await written(pilot, screen)
        await press(pilot, "tab", "tab", "right", "enter")
        playground = app.screen
        assert isinstance(playground, PlaygroundScreen)
        assert playground.source is not None and playground.source[1] == "step_600"
        assert playground.prompt == "The king"


async def test_the_grid_is_written_and_copied_as_tables(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=9)
        rows = await written(pilot, screen)
        await press(pilot, "w", "w", "ctrl+y")
        first, second = sorted((tmp_path / "state" / "nexus-tui" / "exports").glob("grid-byte-seed-0*.md"))
        assert first.read_text() == second.read_text() == app.clipboard
        lines = app.clipboard.splitlines()
        assert lines[2].startswith("| prompt | A: byte, step")
        assert len([one for one in lines if one.startswith("| To be, or not to be |")]) == 3
        shown = lines[4].replace("<br>", "").replace("<u>", "").replace("</u>", "").replace("▸", "")
        assert rows[0][0].text.replace("\n", "") in shown
        assert all(one.count("|") - one.count("\\|") == 9 for one in lines[10:])


async def test_the_screen_looks_ten_times_a_second_and_repaints_what_is_new(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        painted: list[Any] = []
        texts = screen.query_one(LinesView)
        monkeypatch.setattr(texts, "refresh", lambda *regions, **_: painted.extend(regions))
        layouts: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        screen._look()
        assert painted == []
        screen.texts[0][1].add("!", b"!", Figures(61, 61, 1.0, 1.0))
        screen._look()
        assert 0 < len(painted) <= 3
        assert layouts == []
        assert many_texts.FRAME >= 0.1


def test_a_prompt_on_one_line_keeps_its_end() -> None:
    assert one_line("To be,\nor not", 40) == "To be,⏎or not"
    assert one_line("a" * 50 + " to be", 10) == "…aaa to be"
    assert one_line(b"\xff\x00king", 20) == "�␀king"
    assert one_line("日本語", 5) == "…本語"


@pytest.mark.parametrize(
    ("size", "theme"), [((80, 24), "nexus-dark"), ((160, 48), "nexus-dark"), ((160, 48), "nexus-light")]
)
def test_picture(
    make_app: Make, trained: Trained, snap_compare: Callable[..., bool], size: tuple[int, int], theme: str
) -> None:
    async def before(pilot: Pilot[str]) -> None:
        screen = await show(pilot, tokens=150)
        await press(pilot, "plus")
        for index, row in enumerate(await written(pilot, screen)):
            for voice in row:
                voice.figures = Figures(150, 150, 372.0 + index, 0.5)
                voice.change()
        screen._look()
        await pilot.pause()

    assert snap_compare(make_app(trained, theme_name=theme), terminal_size=size, run_before=before)

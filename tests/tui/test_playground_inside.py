"""Looking inside a text: the cursor over its tokens, alternatives, branches, shades, copies, scores."""

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from textual.pilot import Pilot

from nexus_tui.data.novelty import Originals
from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.lm.generation import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import save_model
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui import playground_screen
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.inspector import Inspector
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.prompt_editor import PromptEditor
from nexus_tui.tui.token_view import LEVELS, TokenView, level
from tests.tui.conftest import until
from tests.tui.playground import field, show, write, written
from tests.tui.screens import line, press, text
from tests.tui.trained import TINY, Trained

Make = Callable[..., NexusApp]
CORPUS = b"one line\nTo be, or not to be: that is the question.\n"


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    """A run whose one checkpoint thinks differently of every token: its weights are drawn."""
    folder = tmp_path_factory.mktemp("opinions") / "byte"
    run = Trained(folder)
    run.steps(1, 5, 2.0)
    run.save(5)
    weights = folder / "checkpoints" / "step_5"
    shutil.rmtree(weights)
    from nexus_tui.runs.checkpoints import save_checkpoint

    def files(into: Path) -> None:
        model = HybridLM(TINY, 3)
        with torch.no_grad():
            model.lm_head.weight.mul_(40)  # peaked enough for ranks to differ
        save_model(model, into)
        (into / "tokenizer.json").write_text(byte_tokenizer().to_str())

    save_checkpoint(weights, 5, files)
    run.evaluate(5, 2.0)
    run.end(5)
    return folder, run


@pytest.fixture
def thinking(
    opinions: tuple[Path, Trained], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trained]:
    source, made = opinions
    shutil.copytree(source, folder / "byte", symlinks=True)
    copy = Trained.__new__(Trained)
    copy.__dict__ |= {**made.__dict__, "folder": folder / "byte"}
    copy.open()
    monkeypatch.setattr(playground_screen, "_originals", lambda _: Originals(CORPUS))
    yield copy
    Sampler._open.clear()


async def inside(pilot: Pilot[str], tokens: int = 30) -> PlaygroundScreen:
    """A text of so many tokens, and the focus in it."""
    screen = await show(pilot)
    await write(pilot, screen, tokens)
    await press(pilot, "escape")
    assert isinstance(screen.focused, TokenView)
    return screen


async def test_the_cursor_moves_over_the_tokens_and_tells_of_each(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        version = screen.desk.current
        assert version is not None
        assert screen.view.place == 29
        await press(pilot, "left", "left", "shift+left", "right")
        assert screen.view.place == 18
        thought = version.thoughts[18]
        shown = line(app, "token 19 of 30")
        assert f"{100 * thought.probability:.1f} %" in shown or "0 %" in shown
        assert f"surprise {thought.bits:.2f} bits" in shown
        assert f"rank {thought.rank}" in shown and f"entropy {thought.entropy:.2f} bits" in shown
        assert thought.rank > 10 or thought.options[thought.rank - 1].id == thought.id
        await press(pilot, "home")
        assert screen.view.place == 0
        await press(pilot, "end")
        assert screen.view.place == 29


async def test_up_and_down_move_by_lines_and_keep_in_sight(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot, 400)
        view = screen.view
        seen = []
        for _ in range(len(view._lines) + 2):
            assert view.place is not None
            row = view._line_of(view._tokens.span(view.place)[0])
            assert view.scroll_offset.y <= row < view.scroll_offset.y + view.size.height
            seen.append(row)
            await pilot.press("up")
        assert seen[0] == len(view._lines) - 1 and seen[-1] == 0
        assert all(a - b <= 1 for a, b in pairwise(seen))


async def test_no_number_is_a_mode_among_the_alternatives(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        await press(pilot, "left", "enter")
        assert isinstance(screen.focused, Inspector)
        await press(pilot, "2")
        await written(pilot, screen)
        assert app.screen is screen and len(screen.desk.versions) == 2
        assert isinstance(screen.focused, TokenView)
        await press(pilot, "1")
        await until(pilot, lambda: app.current_mode == "runs")


async def test_a_branch_has_the_text_before_the_alternative_and_the_same_draws(
    make_app: Make, thinking: Trained
) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await inside(pilot)
        first = screen.desk.current
        assert first is not None
        await press(pilot, *["left"] * 9, "enter", "down", "down", "enter")
        await written(pilot, screen)
        branch = screen.desk.current
        assert branch is not None and branch is not first
        option = first.thoughts[20].options[2]
        assert list(branch.thoughts.ids[:21]) == [*first.thoughts.ids[:20], option.id]
        assert branch.thoughts[20].rank == 3
        assert branch.thoughts[20].probability == pytest.approx(option.probability)
        assert len(branch.thoughts) == 21 + 30
        sampler = Sampler.open(branch.checkpoint)
        alone = sampler.stream(
            "To be, or not to be", Sampling(**branch.settings), first_ids=list(branch.thoughts.ids[:21])
        )
        assert list(branch.thoughts.ids[21:]) == [piece.id for piece in alone]
        assert "text 2 of 2" in text(app)
        assert branch.steps[0].startswith("branched at token 21: ")

        await press(pilot, "u")
        assert screen.desk.current is first and screen.view.text == first.text.shown
        await press(pilot, "u")
        assert "There is no text before this one." in text(app)
        await press(pilot, "U")
        assert screen.desk.current is branch


async def test_continuing_gives_what_one_run_would_have(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot, 60)
        whole = screen.desk.current
        assert whole is not None
        for tokens in (25, 20, 15):
            field(screen, "max_tokens").value = str(tokens)
            await press(pilot, *(["e", "ctrl+r", "escape"] if tokens == 25 else ["c"]))
            await written(pilot, screen)
        parts = screen.desk.current
        assert parts is not None
        assert list(parts.thoughts.ids) == list(whole.thoughts.ids)
        assert parts.text.shown == whole.text.shown
        assert parts.thoughts.nats == pytest.approx(whole.thoughts.nats)
        assert parts.steps == ("continued at token 25", "continued at token 45")
        assert "60 tokens" in text(app) and "text 4 of 4" in text(app)


async def test_a_text_that_was_stopped_goes_on_where_it_was(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        field(screen, "max_tokens").value = "1000000"
        await press(pilot, "ctrl+r")
        version = screen.desk.current
        assert version is not None
        await until(pilot, lambda: len(version.thoughts) > 20)
        await press(pilot, "escape")
        await written(pilot, screen)
        field(screen, "max_tokens").value = "10"
        await press(pilot, "escape", "c")
        await written(pilot, screen)
        longer = screen.desk.current
        assert longer is not None
        settings = {**longer.settings, "max_tokens": len(longer.thoughts)}
        alone = Sampler.open(longer.checkpoint).stream("To be, or not to be", Sampling(**settings))
        assert list(longer.thoughts.ids) == [piece.id for piece in alone]


async def test_a_new_seed_is_the_next_and_gives_another_text(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        before = await write(pilot, screen)
        await press(pilot, "ctrl+n")
        assert await written(pilot, screen) != before
        assert field(screen, "seed").value == "1" and "seed 1" in text(app)


async def test_a_long_seed_is_told_whole(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await write(pilot, screen)
        version = screen.desk.current
        assert version is not None
        more = screen.desk.go_on({**version.settings, "seed": 12_345_678, "temperature": 0.5})
        assert more is not None and more.steps[-1].endswith("(temperature 0.8 → 0.5, seed 0 → 12345678)")


async def test_a_stop_text_ends_it_and_is_not_shown(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        before = await write(pilot, screen)
        stop = before[19 + 12 : 19 + 14]
        field(screen, "stop").value = stop.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n")
        assert screen.stop == (stop,)
        after = await write(pilot, screen)
        assert after == before[: before.index(stop, 19)]


async def test_shades_then_bits_under_the_tokens_then_neither(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        view, version = screen.view, screen.desk.current
        assert version is not None
        plain = {segment.style.bgcolor for segment in view.render_line(0) if segment.style}
        await press(pilot, "s")
        assert {segment.style.bgcolor for segment in view.render_line(0) if segment.style} > plain
        await press(pilot, "s")
        shown = view.render_line(0).text.rstrip()
        numbers = view.render_line(1).text.rstrip()
        assert numbers[:19].strip() == "" and len(numbers) == len(shown)
        for token, bits in enumerate(version.thoughts.bits):
            start, end = view._tokens.span(token)
            if end <= len(shown) and end - start == 1 and shown[start].isascii() and shown[start] != " ":
                assert numbers[start] == str(min(9, round(bits)))
        await press(pilot, "s")
        assert view.shading == "off" and view.render_line(1).text.strip() != numbers.strip()


async def test_without_colours_shades_are_numbers(
    make_app: Make, thinking: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        await press(pilot, "s")
        assert screen.view.shading == "bits"
        await press(pilot, "s")
        assert screen.view.shading == "off"


def test_levels_rise_with_the_bits() -> None:
    assert [level(bits) for bits in (0, 0.99, *LEVELS, 100)] == [0, 0, 1, 2, 3, 4, 4]


async def test_what_is_copied_is_underlined_and_named(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        version = screen.desk.current
        assert version is not None and version.novelty is not None
        wanted = version.written[slice(*version.novelty.span)]
        assert wanted and wanted in CORPUS
        assert f"copied {len(wanted):,} bytes at line {version.novelty.line}" in text(app)
        await press(pilot, "o")
        view = screen.view
        underlined = "".join(
            segment.text
            for row in range(view.size.height)
            for segment in view.render_line(row)
            if segment.style and segment.style.underline
        )
        assert underlined == wanted.decode(errors="replace").replace("\n", "")
        await press(pilot, "o")
        assert not view.marked


async def test_the_prompt_is_scored_token_by_token(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot)
        screen.open_prompt("To be, or nöt to be\n")
        await press(pilot, "ctrl+l")
        assert await written(pilot, screen) == "To be, or nöt to be\n"
        version = screen.desk.current
        assert version is not None and version.scored
        scored = Sampler.open(version.checkpoint).score("To be, or nöt to be\n")
        assert list(version.thoughts.ids) == list(scored.ids)
        assert version.thoughts.nats == pytest.approx(scored.nats, abs=1e-4)
        shown = line(app, "scored")
        assert f"{scored.nats:,.2f} nats" in shown and f"{scored.bits_per_byte:.4f} bits/byte" in shown
        assert "perplexity" in shown and "a token" in shown
        await press(pilot, "escape", "o")
        assert "This text was given, not written" in text(app)
        await press(pilot, "home", "enter", "1")
        await written(pilot, screen)
        branch = screen.desk.current
        assert branch is not None and not branch.scored
        assert branch.thoughts.ids[0] == version.thoughts[0].options[0].id
        assert len(branch.thoughts) == 201


async def test_nothing_can_be_done_to_no_text_and_it_says_so(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "escape")
        for key in ("c", "s", "o", "w"):
            await press(pilot, key)
            assert "Nothing is written yet: ^r writes." in text(app), key
        screen.open_prompt("")
        await press(pilot, "ctrl+l")
        assert "There is no text to score" in text(app)


async def test_leaving_the_text_hides_what_is_inside(make_app: Make, thinking: Trained) -> None:
    app = make_app(thinking)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inside(pilot)
        assert "surprise" in text(app)
        await press(pilot, "e")
        assert isinstance(screen.focused, PromptEditor)
        assert "surprise" not in text(app)

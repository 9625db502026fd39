"""The compare screen: which of two to eight checkpoints is better, whether the test can tell, and why."""

import json
import math
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.pilot import Pilot

from nexus_tui.analysis import average as average_module
from nexus_tui.analysis import token_losses as token_losses_module
from nexus_tui.analysis.average import average
from nexus_tui.analysis.breakdown import by_class, by_position, most_different
from nexus_tui.analysis.movement import movement
from nexus_tui.runs.comparison import Subject, compare
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run, RunError
from nexus_tui.tui import shades, theme
from nexus_tui.tui.analyst import Analyst, Job
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.compare_export import markdown
from nexus_tui.tui.compare_position import figures
from nexus_tui.tui.compare_screen import CompareScreen
from nexus_tui.tui.compare_table import CompareTable, against_best
from nexus_tui.tui.compare_windows import WindowList
from nexus_tui.tui.compare_words import verdict
from nexus_tui.tui.comparing import Comparing, comparing
from nexus_tui.tui.marks import Marks
from nexus_tui.tui.window_text import WindowText, token_texts
from tests.tui.analysed import made_tokens, use_made_results
from tests.tui.conftest import ready, settled, until
from tests.tui.screens import footer, line, press, text
from tests.tui.trained import Trained, straight

Make = Callable[..., NexusApp]
FOUR = ("step_800", "step_1200.1", "step_1400.1", "step_1600")


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory, branched_run: tuple[Path, Trained]) -> Path:
    folder = tmp_path_factory.mktemp("templates") / "runs"
    shutil.copytree(branched_run[0], folder / "byte", symlinks=True)
    straight(folder / "other", 600)
    return folder


@pytest.fixture
def runs(templates: Path, folder: Path) -> Path:
    """Two runs that a test may damage."""
    shutil.copytree(templates, folder, symlinks=True)
    return folder


def of(run: Path, *names: str) -> Comparing:
    """A comparison of checkpoints of one run."""
    marks = Marks()
    marks.set([(Run(run), name) for name in names])
    return comparing(marks.all, Analyst(), theme.DARK)


def said(c: Comparing) -> str:
    return "".join(words for words, _ in verdict(c))


async def show(pilot: Pilot[str], *marked: tuple[str, str]) -> CompareScreen:
    """Mark checkpoints by run and name, and open the screen."""
    await ready(pilot)
    app = pilot.app
    assert isinstance(app, NexusApp)
    by_name = {run.name: run for run in app.runs}
    app.current = by_name.get("byte", app.current)
    app.marks.set([(by_name[run], name) for run, name in marked])
    await press(pilot, "4")
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))
    await settled(pilot)
    assert isinstance(app.screen, CompareScreen)
    return app.screen


async def done(pilot: Pilot[str], screen: CompareScreen) -> None:
    """Wait until nothing is left to work out, and it is drawn."""
    await settled(pilot)  # a section asks for what it needs once it is shown
    await until(pilot, lambda: not screen.analyst.live)
    screen._glance()
    await settled(pilot)


def byte(*names: str) -> list[tuple[str, str]]:
    return [("byte", name) for name in names]


def words(app: NexusApp) -> str:
    """The screen with its line breaks undone."""
    return " ".join(text(app).split())


# The verdict -------------------------------------------------------------------------------------------


def test_two_that_the_test_tells_apart(runs: Path) -> None:
    c = of(runs / "byte", "step_800", "step_1600")
    pair = c.comparison.pair(1, 0)
    assert (pair.verdict, pair.windows) == ("worse", 64)
    half = (pair.high - pair.low) / 2
    assert said(c) == (
        f"B is better than A by {pair.mean:.4f} ± {half:.4f} nats/token (paired over 64 windows)."
    )


def test_two_that_the_test_cannot_tell_apart(runs: Path) -> None:
    c = of(runs / "byte", "step_1600", "step_1400.1")
    assert said(c).startswith("A and B cannot be told apart; B is lower by 0.0022 ± 0.0")
    assert said(c).endswith(", which may be chance (paired over 64 windows).")


def test_several_are_told_in_the_order_of_what_matters(runs: Path) -> None:
    c = of(runs / "byte", *FOUR)
    sentence = said(c)
    assert sentence.startswith(
        "C is the best of 4; B and D cannot be told from it; A is worse by 0.1312 ± 0.0"
    )
    assert sentence.endswith(" nats/token (paired over 64 windows).")


def test_of_many_worse_ones_the_range_is_told(runs: Path) -> None:
    names = ("step_200", "step_400", "step_600", "step_800", "step_1000", "step_1400.1")
    assert "; every other one is worse, by 0.0532 to 0.8812 nats/token" in said(of(runs / "byte", *names))


def test_the_same_weights_are_the_same_model(runs: Path) -> None:
    shutil.copytree(runs / "byte", runs / "copy", symlinks=True)
    marks = Marks()
    marks.set([(Run(runs / "byte"), "step_200"), (Run(runs / "copy"), "step_200")])
    c = comparing(marks.all, Analyst(), theme.DARK)
    assert said(c) == "A and B are the same model: their weights are equal, bit for bit."


def test_without_the_windows_losses_no_test_is_claimed(runs: Path) -> None:
    shutil.rmtree(runs / "byte" / "evaluations")
    c = of(runs / "byte", "step_800", "step_1600")
    assert said(c).startswith("B has the lower loss, by 0.1290, but no test can tell: the losses of ")
    assert said(c).endswith("Position (o) computes it.")


def test_without_any_loss_it_says_what_to_do(runs: Path) -> None:
    run = Trained.__new__(Trained)
    run.folder, run.seconds, run.tokens = runs / "byte", 9000.0, 0
    run.open()
    run.save(1700)
    run.save(1800)
    assert said(of(runs / "byte", "step_1700", "step_1800")).startswith("No loss of these is on record; ")


def other_tokens(runs: Path) -> None:
    """Make `other` a run with another tokenizer."""
    toml = runs / "other" / "run.toml"
    toml.write_text(toml.read_text() + '[data]\ntokenizer = "bpe"\n[model]\nvocab_size = 512\n')
    toml = runs / "byte" / "run.toml"
    toml.write_text(toml.read_text() + '[data]\ntokenizer = "byte"\n[model]\nvocab_size = 256\n')
    journal = runs / "other" / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "evaluated":
            event |= {"protocol": "other-64", "bits_per_byte": event["bits_per_byte"] / 2}
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))


# The overview ------------------------------------------------------------------------------------------


async def test_the_figures_are_those_of_the_record(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(160, 48)) as pilot:
        await show(pilot, *byte(*FOUR))
        assert "compare 4 checkpoints of byte" in text(app)
        assert "64 windows" in line(app, "4 checkpoints")
        run = Run(runs / "byte")
        for letter, name in zip("ABCD", FOUR, strict=True):
            subject = Subject(run, name)
            row = line(app, f"{letter} {theme.series(theme.DARK, 'ABCD'.index(letter)).sign}  ")
            for figure in (
                f"{subject.loss:.4f}",
                f"{subject.stderr:.4f}",
                f"{subject.bits_per_byte:.4f}",
                f"{subject.perplexity:.2f}",
                f"{subject.gap:+.4f}",
                subject.lineage,
            ):
                assert figure in row, (figure, row)
        assert "★ best" in line(app, "C ◆")
        assert "≈ +0.0022" in line(app, "D + ")
        assert "worse +0.1312" in line(app, "A ● ")


async def test_what_has_no_column_stands_below_for_the_row_under_the_cursor(
    make_app: Make, runs: Path
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, *byte("step_800", "step_1600"))
        assert "lineage 0 → 800" in text(app)
        await press(pilot, "down")
        assert "lineage 0 → 1000 → 1600" in text(app)


async def test_checkpoints_of_several_runs_have_a_column_for_the_run(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await show(pilot, ("byte", "step_1600"), ("other", "step_600"))
        assert "2 checkpoints of 2 runs: byte, other" in text(app)
        assert "other" in line(app, "B ■")
        await press(pilot, "f")
        assert "Their runs are configured alike. No setting differs." in text(app)


async def test_across_tokenizers_nats_and_perplexity_are_refused(make_app: Make, runs: Path) -> None:
    other_tokens(runs)
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await show(pilot, ("byte", "step_1600"), ("other", "step_600"))
        assert "Tokenizers differ: nats and perplexity do not compare, bits/byte ranks." in words(app)
        for row in (line(app, "A ●"), line(app, "B ■")):
            assert "–" in row
        assert "1.5310" not in text(app)
        assert f"{1.531 / 0.6931471805599453:.4f}" in line(app, "A ●")
        await press(pilot, "f")
        assert "data.tokenizer" in line(app, "bpe")
        assert "model.vocab_size" in line(app, "512")


async def test_a_record_without_weights_is_compared_and_says_what_it_lacks(
    make_app: Make, runs: Path
) -> None:
    shutil.rmtree(runs / "byte" / "checkpoints")
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        assert "B is better than A by 0.1290" in words(app)
        await press(pilot, "enter")
        await until(
            pilot,
            lambda: "The weights of step_800 of byte are not here; choose another checkpoint." in words(app),
        )
        await press(pilot, "o")
        await done(pilot, screen)
        assert words(app).count("has no weights here, so nothing can be computed with them.") == 2


async def test_without_marks_the_best_and_the_newest_are_compared(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot)
        assert "the true best and the newest evaluated of byte; space in 3 marks others" in text(app)
        assert "1,400" in line(app, "A ●")
        assert "1,600" in line(app, "B ■")
        await press(pilot, "space")
        await until(pilot, lambda: "This one was not marked" in words(app))


async def test_one_mark_alone_is_compared_with_the_best(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot, *byte("step_800"))
        assert "what is marked, and another of byte" in text(app)
        assert "800" in line(app, "A ●")
        assert "★ best" in line(app, "B ■")


async def test_with_nothing_to_compare_it_says_how_to_mark(make_app: Make, folder: Path) -> None:
    Trained(folder / "new").steps(1, 3, 2.0)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        assert "Mark two to eight checkpoints with space in 3" in words(app)
        await press(pilot, "w")
        await until(pilot, lambda: "There is nothing to compare yet" in words(app))


# Sections ----------------------------------------------------------------------------------------------


async def test_every_pair_has_its_interval(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await show(pilot, *byte(*FOUR))
        comparison = compare([Subject(Run(runs / "byte"), name) for name in FOUR])
        for pair in comparison.pairs:
            seen = pair if pair.mean >= 0 else pair.mirrored()
            assert f"{seen.low:+.4f} to {seen.high:+.4f}" in text(app)
        assert "cannot be told from" in line(app, "C ◆ cannot")
        assert "64 windows in 10 blocks" in text(app)
        assert "better -0.1312" in line(app, "C ◆   ") or "better -0.1312" in text(app)


async def test_eight_fit_into_the_smallest_terminal(make_app: Make, runs: Path) -> None:
    app = make_app()
    names = [f"step_{step}" for step in (200, 400, 600, 800, 1000)] + list(FOUR[1:])
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot, *byte(*names))
        for letter in "ABCDEFGH":
            assert line(app, f"{letter} {theme.series(theme.DARK, 'ABCDEFGH'.index(letter)).sign} ")
        assert "< better, > worse, ≈ cannot be told" in text(app)


async def test_sections_open_by_tab_and_by_letter_and_compute_only_what_they_need(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        assert asked == []
        assert "(←→)" in footer(app)
        await press(pilot, "tab")
        await until(pilot, lambda: "(←→)" not in footer(app))
        await done(pilot, screen)
        assert asked == ["tokens step_800", "tokens step_1600"]
        for key in ("c", "i", "p", "o"):
            await press(pilot, key)
            await done(pilot, screen)
        assert asked == ["tokens step_800", "tokens step_1600"], "computed once"
        await press(pilot, "l")
        await done(pilot, screen)
        assert asked[2:] == ["inside step_800", "inside step_1600"]
        await press(pilot, "shift+tab")
        assert screen.section.NAME == "windows"


async def test_position_shows_what_context_is_worth(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "o")
        await done(pilot, screen)
        for letter, name in (("A ●", "step_800"), ("B ■", "step_1600")):
            first, last = figures(by_position(made_tokens(Subject(Run(runs / "byte"), name))).mean)
            figure = f"{first - last:.4f} nats/token"
            row = next(
                row for row in text(app).splitlines() if row.strip().startswith(letter) and figure in row
            )
            assert f"{first:.4f}" in row and f"{last:.4f}" in row
        await press(pilot, "t")
        assert "loss less that of B" in text(app)
        await press(pilot, "right", "right")
        assert "@" in line(app, "loss less that of B")


async def test_classes_are_those_of_the_backend_and_t_lists_tokens(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "c")
        await done(pilot, screen)
        run = Run(runs / "byte")
        a, b = (by_class(made_tokens(Subject(run, name))) for name in ("step_800", "step_1600"))
        theirs = {row.name: row for row in b}
        for row in a:
            shown = line(app, row.name)
            assert f"{row.loss:.4f}" in shown and f"{theirs[row.name].loss - row.loss:+.4f}" in shown
        await press(pilot, "t")
        assert "␣" in text(app) and "↵" in text(app)


async def test_windows_show_both_models_losses_at_the_cursor(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "i")
        await done(pilot, screen)
        run = Run(runs / "byte")
        a, b = (made_tokens(Subject(run, name)) for name in ("step_800", "step_1600"))
        most = max(most_different(a, b, 12), key=lambda found: abs(found.difference))
        row = line(app, f"{most.difference:+.4f}")
        assert row.split()[0] == f"{most.window:,}"
        assert isinstance(screen.focused, WindowList)
        assert footer(app).startswith("↑↓  enter  ←→  esc  tab")
        await press(pilot, "question_mark")
        help = text(app)
        assert help.index("in the list of windows") < help.index("in the text of a window")
        assert help.index("Go into the text of this window.") < help.index("Go to the next section")
        await press(pilot, "escape", "enter", "right")
        assert footer(app).startswith("←→  ↑↓  esc  tab")
        one, other = (float(losses.losses[most.window][1]) for losses in (a, b))
        assert f"{other - one:+.4f} nats" in line(app, "token   2")
        assert f"{one:.4f}" in line(app, "token   2")
        await press(pilot, "t")
        digits = str(min(9, int(one / 0.6931471805599453)))
        assert digits in text(app)
        await press(pilot, "up", "up", "up", "up", "up")
        assert screen.focused is not None and screen.focused.id in ("table", None)


async def test_escape_goes_from_the_text_of_a_window_to_the_list_and_out(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(160, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        assert "enter" in footer(app)
        await press(pilot, "i")
        await done(pilot, screen)
        assert isinstance(screen.focused, WindowList)
        await press(pilot, "enter")
        assert isinstance(screen.focused, WindowText)
        await press(pilot, "space")
        assert "not in the overview" in text(app) and len(app.marks) == 2
        await press(pilot, "escape")
        assert isinstance(screen.focused, WindowList)
        await press(pilot, "o", "down")
        assert "(enter)" in footer(app) or screen.focused is screen.table
        await press(pilot, "i", "escape")
        await until(pilot, lambda: app.current_mode == "checkpoints")


async def test_another_pair_keeps_the_window(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "i")
        await done(pilot, screen)
        await press(pilot, "down", "down", "down")
        listing = screen.query_one(WindowList)
        chosen = listing.current
        assert chosen != listing.rows[0].id
        await press(pilot, "right")  # turned: the same windows in another order
        await done(pilot, screen)
        assert listing.current == chosen and "A − B" in text(app)


async def test_the_focus_is_seen_in_the_light_theme(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app(theme_name="nexus-light")
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "i")
        await done(pilot, screen)
        styles = [
            listing.get_component_styles("listing--cursor").background
            for listing in (screen.query_one(WindowList), screen.table)
        ]
        assert distance(styles[0], styles[1]) > 50


def distance(a: Color, b: Color) -> float:
    """How far two colours are apart, over red, green and blue."""
    return math.dist(a.rgb, b.rgb)


async def test_a_pair_without_weights_says_so_and_the_next_pair_goes_on(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def partly(subject: Subject, progress: Callable[[int, int], None]) -> Any:
        if subject.name == "step_1600":
            raise RunError("byte:1600 has no weights here.")
        return made_tokens(subject, progress)

    monkeypatch.setattr(token_losses_module, "token_losses", partly)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1400.1", "step_1600"))
        await press(pilot, "i")
        await done(pilot, screen)
        assert "C: byte:1600 has no weights here." in text(app)
        await press(pilot, "right")
        await done(pilot, screen)
        assert "B − A" in text(app) and "token   1" in text(app)
        await press(pilot, "left")
        await done(pilot, screen)
        assert "C: byte:1600 has no weights here." in text(app) and "token   1" not in text(app)


@pytest.mark.parametrize("size", [(20, 6), (40, 12), (60, 20)])
async def test_small_terminals_do_not_break_it(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await show(pilot, *byte(*FOUR))
        for key in "ocilafp":
            await press(pilot, key)
            await done(pilot, screen)
            await press(pilot, "pagedown", "down", "down", "down", "down", "down", "right", "t", "up")
        assert screen.is_current


def test_without_colours_digits_stand_under_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [shades.level(loss) for loss in (0.0, 0.69, 0.7, 3.0, 50.0, math.inf, math.nan)] == [
        0, 0, 1, 4, 9, 9, 9,
    ]  # fmt: skip
    assert shades.shaded(theme.DARK) and not shades.shaded(theme.PLAIN)
    assert not shades.shaded(theme.ANSI)
    styles = {shades.shade(theme.DARK, level).bgcolor for level in range(shades.LEVELS)}
    assert len(styles) == shades.LEVELS


def test_a_character_stands_with_the_token_that_ends_it() -> None:
    tokens = [bytes((byte,)) for byte in "é\x1b\n".encode() + b"\xff"]
    assert token_texts(tokens) == ["", "é", "␛", "↵", "�"]


async def test_layers_show_how_far_the_weights_moved_and_what_they_hold(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "l")
        await done(pilot, screen)
        run = Run(runs / "byte")
        moved = movement(Subject(run, "step_800"), Subject(run, "step_1600"))
        assert f"{100 * moved.total.change:.1f} %" in line(app, "all ")
        assert "how far the weights moved from A ● to B ■" in text(app)
        assert "1240" in line(app, "0 mamba")[-60:] or "1240" in text(app)
        assert "heads 24 71 86 14 % of even" in text(app)
        await press(pilot, "right")
        assert "how far the weights moved from B ■ to A ●" in text(app)


# Computing ---------------------------------------------------------------------------------------------


async def test_progress_is_told_and_esc_cancels_at_once(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, left = threading.Event(), threading.Event()

    def slow(subject: Subject, progress: Callable[[int, int], None]) -> Any:
        progress(20, 64)
        go_on.wait(60)
        try:
            progress(21, 64)
        except BaseException:
            left.set()
            raise
        return made_tokens(subject)

    monkeypatch.setattr(token_losses_module, "token_losses", slow)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1600"))
        await press(pilot, "o")
        await until(pilot, lambda: "A: scoring every token, 20 of 64 windows; 1 more to come" in text(app))
        await press(pilot, "escape")
        assert not screen.analyst.live  # though the work stands still until it may go on
        assert app.current_mode == "compare"
        assert "not worked out; r begins" in text(app)
        go_on.set()
        await until(pilot, left.is_set)
        monkeypatch.setattr(token_losses_module, "token_losses", made_tokens)
        await press(pilot, "r")
        await done(pilot, screen)
        assert "not worked out" not in text(app)
        await press(pilot, "escape")
        await until(pilot, lambda: app.current_mode == "checkpoints")


async def test_a_damaged_checkpoint_is_told_where_it_is_and_the_rest_goes_on(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(subject: Subject, progress: Callable[[int, int], None]) -> Any:
        if subject.name == "step_800":
            raise RunError("model.safetensors is damaged; choose another checkpoint.")
        return made_tokens(subject, progress)

    use_made_results(monkeypatch)
    monkeypatch.setattr(token_losses_module, "token_losses", damaged)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1400.1", "step_1600"))
        await press(pilot, "o")
        await done(pilot, screen)
        assert "model.safetensors is damaged; choose another checkpoint." in text(app)
        assert text(app).count("nats/token") >= 2
        await press(pilot, "c")
        await done(pilot, screen)
        assert "A: model.safetensors is damaged" in text(app)
        assert "letter" in text(app)


def test_the_analyst_works_in_order_keeps_results_and_tells_failures() -> None:
    analyst, order = Analyst(), []

    def fails(_: Callable[[int, int], None]) -> None:
        raise RunError("it is not there.")

    analyst.ask(
        Job("a", "a", lambda _: order.append("a") or 1),
        Job("b", "b", fails),
        Job("c", "c", lambda _: order.append("c") or 3),
    )
    end = time.monotonic() + 20
    while analyst.live and time.monotonic() < end:
        time.sleep(0.005)
    assert (analyst.result("a"), analyst.result("b"), analyst.result("c")) == (1, None, 3)
    assert analyst.failure("b") == "it is not there."
    assert order == ["a", "c"]
    analyst.ask(Job("a", "a", lambda _: order.append("again")))
    assert not analyst.live and order == ["a", "c"]
    assert not analyst.cancel()


# Actions -----------------------------------------------------------------------------------------------


async def test_enter_opens_the_playground_and_space_takes_one_out(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot, *byte("step_800", "step_1400.1", "step_1600"))
        await press(pilot, "space")
        assert [marked.letter for marked in app.marks.all] == ["B", "C"]
        assert "2 checkpoints of byte" in text(app)
        assert screen.table.current == "B"
        await press(pilot, "enter")
        await until(pilot, lambda: app.current_mode == "playground")
        await until(pilot, lambda: app.screen.checkpoint is not None)  # type: ignore[attr-defined]
        assert app.screen.checkpoint.name == "step_1400.1"  # type: ignore[attr-defined]


async def test_w_writes_markdown_and_y_copies_it(
    make_app: Make, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot, *byte(*FOUR))
        await press(pilot, "o")
        await done(pilot, screen)
        await press(pilot, "w")
        (path,) = (tmp_path / "state" / "nexus-tui" / "exports").iterdir()
        await until(pilot, lambda: f"Written to state/nexus-tui/exports/{path.name}" in words(app))
        written = path.read_text()
        assert "C is the best of 4; B and D cannot be told from it" in written
        assert "| C | byte | 1,400 |" in written
        assert "B cannot be told from C" in written or "C cannot be told from B" in written
        assert "## Position in the window" in written
        await press(pilot, "y")
        assert app.clipboard == written


async def test_an_average_is_a_contender_and_is_saved_with_its_parents(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_1200.1", "step_1400.1", "step_1600"))
        await press(pilot, "s")
        await until(pilot, lambda: "There is no average to save yet; a works one out." in words(app))
        await press(pilot, "a")
        await done(pilot, screen)
        run = Run(runs / "byte")
        made = average([Subject(run, name) for name in FOUR[1:]])
        assert f"{made.loss:.4f}" in line(app, "avg  ") and "better" in line(app, "avg  ")
        assert "Their uniform average is better than B by " in words(app)
        for pair in made.pairs:
            assert f"{pair.low:+.4f} to {pair.high:+.4f}" in text(app)
        await press(pilot, "a")
        await done(pilot, screen)
        assert f"{average([Subject(run, name) for name in FOUR[1:]], 'ema').loss:.4f}" in line(app, "ema  ")
        moving = average([Subject(run, name) for name in FOUR[1:]], "ema")
        better, other = sorted((made, moving), key=lambda found: found.loss)
        await press(pilot, "s")
        await until(pilot, lambda: f"Save the {better.method} average, {better.loss:.4f}" in words(app))
        assert f"({other.loss:.4f})" in text(app)
        await press(pilot, "escape")
        screen.query_one(CompareTable).go_to("ema")
        await press(pilot, "s")
        await until(pilot, lambda: "Save the ema 0.5 average" in words(app))
        await until(pilot, lambda: "Its parents (A, B, C) stand on record." in words(app))
        await press(pilot, *"soup", "enter")
        await until(pilot, lambda: "soup" in Run(runs / "byte").checkpoints)
        await until(pilot, lambda: "Saved soup in byte" in text(app))
        saved = Run(runs / "byte").saved["soup"]
        assert [parent.partition("@")[0] for parent in saved.parents] == [f"byte:{n}" for n in FOUR[1:]]
        await press(pilot, "s", *"soup", "enter")
        await until(pilot, lambda: "byte has a checkpoint soup already" in words(app))
        with monkeypatch.context() as patch:
            patch.setattr(average_module, "save_average", lambda *_: bytes(2**62))
            await press(pilot, "escape", "s", "enter")
            await until(pilot, lambda: "There is not enough memory to average them" in words(app))
        await press(pilot, "escape")
        screen.query_one(CompareTable).go_to("A")
        await press(pilot, "space")
        await done(pilot, screen)
        assert "compare 2 checkpoints of byte" in text(app)
        assert "uniform average" not in words(app), "that of other checkpoints was not asked for"


async def test_nothing_is_saved_into_a_run_that_is_being_trained(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, *byte("step_1400.1", "step_1600"))
        await press(pilot, "a")
        await done(pilot, screen)
        lock = RunLock(runs / "byte")
        app.look()
        await press(pilot, "s")
        await until(pilot, lambda: "byte is being trained; save into it once that has ended." in words(app))
        lock.release()


async def test_an_average_that_cannot_be_tested_says_why(
    make_app: Make, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_made_results(monkeypatch)
    losses = Run(runs / "byte").window_losses(FOUR[3])
    monkeypatch.setattr(average_module, "_score", lambda *_: (losses, 3.9))
    for name in FOUR[1:3]:
        (runs / "byte" / "evaluations" / f"{name}.npy").unlink()
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot, *byte(*FOUR[1:3]))
        await press(pilot, "a")
        await done(pilot, screen)
        assert "Their uniform average cannot be tested against" in words(app)
        assert "by window are not on record" in words(app) and "nan" not in words(app)
        assert "? -" in line(app, "avg  ") or "? +" in line(app, "avg  ")


async def test_checkpoints_that_cannot_be_averaged_are_refused_in_a_sentence(
    make_app: Make, runs: Path
) -> None:
    other_tokens(runs)
    app = make_app()
    async with app.run_test(size=(100, 36)) as pilot:
        screen = await show(pilot, ("byte", "step_1600"), ("other", "step_600"))
        await press(pilot, "a")
        await done(pilot, screen)
        assert "are not scored on the same windows of one text" in words(app)


async def test_letters_and_the_question_mark_list_every_key(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 60)) as pilot:
        await show(pilot, *byte(*FOUR))
        await press(pilot, "question_mark")
        await until(pilot, lambda: "Write the comparison as Markdown." in words(app))


async def test_by_keyboard_from_the_checkpoints(make_app: Make, runs: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        app.current = next(run for run in app.runs if run.name == "byte")
        await press(pilot, "3", "space", "down", "space", "c")
        await until(pilot, lambda: app.current_mode == "compare")
        await settled(pilot)
        assert "A and B cannot be told apart" in text(app)
        await press(pilot, "escape")
        await until(pilot, lambda: app.current_mode == "checkpoints")


async def test_text_from_a_run_cannot_steer_the_terminal(make_app: Make, runs: Path) -> None:
    (runs / "other").rename(runs / "ot\x1b[31mher")
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await show(pilot, ("byte", "step_1600"), ("ot\x1b[31mher", "step_600"))
        assert "\x1b" not in text(app)
        assert "ot␛[31mher" in text(app)


async def test_nothing_from_a_run_is_read_as_markdown(make_app: Make, runs: Path) -> None:
    (runs / "other").rename(runs / "<b>o|t\x1bher")
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot, ("byte", "step_1600"), ("<b>o|t\x1bher", "step_600"))
        assert screen._c is not None
        written = markdown(screen._c)
        assert r"\<b\>o\|t␛her" in written and "\x1b" not in written


@pytest.mark.parametrize(
    ("section", "size", "theme_name"),
    [
        *((section, size, "nexus-dark") for section in "pocil" for size in ((80, 24), (160, 48))),
        ("i", (120, 36), "nexus-light"),
    ],
)
def test_picture(
    make_app: Make,
    runs: Path,
    snap_compare: Callable[..., bool],
    monkeypatch: pytest.MonkeyPatch,
    section: str,
    size: tuple[int, int],
    theme_name: str,
) -> None:
    use_made_results(monkeypatch)

    async def before(pilot: Pilot[str]) -> None:
        screen = await show(pilot, *byte(*FOUR))
        if section != "p":
            await press(pilot, section)
        await done(pilot, screen)
        if section == "o":  # an axis stays while it fits: here that of all curves, whichever came first
            await press(pilot, "t", "t")

    assert snap_compare(make_app(theme_name=theme_name), terminal_size=size, run_before=before)


def test_of_two_that_cannot_be_told_apart_none_is_called_the_best(runs: Path) -> None:
    c = of(runs / "byte", "step_1400.1", "step_1600")
    assert c.best is not None and c.against(0, 1).verdict == "undecided"
    assert [against_best(c, place)[0][0] for place in (0, 1)] == ["≈", "≈"]
    told = of(runs / "byte", "step_800", "step_1600")
    assert against_best(told, 1)[0] == "★ best"


def test_json_names_the_better_one_of_each_pair(runs: Path) -> None:
    rows = of(runs / "byte", "step_800", "step_1400.1", "step_1600").comparison.as_dict()["pairs"]
    assert [row["better"] for row in rows] == [rows[0]["b"], rows[1]["b"], None]

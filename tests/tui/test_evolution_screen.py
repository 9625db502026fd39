"""One prompt at every checkpoint: written where weights are, from the record where they are not."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.geometry import Region
from textual.pilot import Pilot

from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.tui import choir, theme
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.chart import Chart
from nexus_tui.tui.evolution import columns, lines, markdown, samples, whole
from nexus_tui.tui.evolution_charts import FIGURES, _curves
from nexus_tui.tui.evolution_screen import EvolutionScreen
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.rows_view import RowsView
from nexus_tui.tui.writer import Figures
from tests.tui.conftest import FakeNovelty, ready, until
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import footer, line, press, text
from tests.tui.trained import Trained

Make = Callable[..., NexusApp]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No training text to read, and no model of another test."""
    monkeypatch.setattr(choir, "originals_of", FakeNovelty)
    yield
    Sampler._open.clear()


async def show(pilot: Pilot[str], tokens: int = 40) -> EvolutionScreen:
    await ready(pilot)
    await press(pilot, "5")
    playground = pilot.app.screen
    assert isinstance(playground, PlaygroundScreen)
    await until(pilot, lambda: playground.is_mounted and playground.bar.run is not None)
    playground.query_one("#max_tokens").value = str(tokens)  # type: ignore[attr-defined]
    await press(pilot, "ctrl+e")
    await until(pilot, lambda: isinstance(pilot.app.screen, EvolutionScreen) and pilot.app.screen.is_mounted)
    screen = pilot.app.screen
    assert isinstance(screen, EvolutionScreen)
    return screen


async def written(pilot: Pilot[str], screen: EvolutionScreen) -> dict[str, str]:
    """Wait until all is written and drawn; the texts by checkpoint."""
    await until(pilot, lambda: not screen.live)
    await until(pilot, lambda: " done" in text(pilot.app) or " stopped" in text(pilot.app))
    return {sample.name: sample.voice.text for sample in screen.samples}


def gone(trained: Trained, *names: str) -> None:
    """Delete weights; the journal still has what was sampled then."""
    for name in names:
        shutil.rmtree(trained.folder / "checkpoints" / name)
    trained.end(1601)


# What is shown -----------------------------------------------------------------------------------------


async def test_every_kept_checkpoint_writes_what_it_writes_alone(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        found = await written(pilot, screen)
    run = Run(trained.folder)
    assert set(found) == set(run.checkpoints)
    steps = [sample.step for sample in screen.samples]
    assert steps == sorted(steps)
    for name in ("step_200", "step_1400", "step_1400.1"):
        sampler = Sampler.open(run.checkpoints[name])
        alone = sampler.stream("To be, or not to be", Sampling(seed=0, max_tokens=40))
        assert found[name] == "".join(piece.text for piece in alone)


async def test_weights_that_are_gone_leave_what_is_on_record(make_app: Make, trained: Trained) -> None:
    gone(trained, "step_200", "step_400")
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert "step_200" not in await written(pilot, screen)  # nothing is on record after this prompt
        await press(pilot, "right_square_bracket")
        found = await written(pilot, screen)
        assert screen.prompt == "To be"
        assert found["step_200"].startswith(", at 200, and in the king")
        assert "○ 2 on record" in text(app)
        await press(pilot, "home")
        assert "○ 200" in line(app, ", at 200, and in the king⏎That")
        assert "on record, temperature 0.8, seed 0" in text(app)
        assert screen.samples[0].voice.novelty is not None
        await press(pilot, "enter")
        assert "The weights of step 200 are not here" in text(app)


async def test_a_run_without_any_weights_shows_its_record_at_once(make_app: Make, folder: Path) -> None:
    made = FakeRun(folder / "recorded")
    made.train(800)
    made.end()
    shutil.rmtree(folder / "recorded" / "checkpoints")
    app = make_app(made)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        assert [sample.step for sample in screen.samples] == [200, 400, 600, 800]
        assert all(sample.recorded for sample in screen.samples)
        assert screen.prompt == "To be"
        assert "the world of his sons" in text(app)
        await press(pilot, "n")
        assert "these texts are on record" in text(app)
        await press(pilot, "p", *"x", "ctrl+r")
        assert "nothing on record after this prompt" in " ".join(text(app).split())
        await press(pilot, "left_square_bracket")
        assert screen.samples


async def test_without_any_checkpoint_it_says_what_to_do(make_app: Make, folder: Path) -> None:
    made = FakeRun(folder / "new")
    made.train(20, checkpoints=False)
    app = make_app(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "5", "ctrl+e")
        assert isinstance(app.screen, PlaygroundScreen)
        assert "No checkpoint on record yet: train a run (n)" in text(app)


async def test_what_is_saved_meanwhile_is_written_too(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        before = {sample.name: sample.voice for sample in screen.samples}
        await written(pilot, screen)
        trained.steps(1601, 1800, 1.4)
        trained.save(1800)
        trained.evaluate(1800, 1.40)
        app.look()
        app._news()
        await until(pilot, lambda: len(screen.samples) == 11)
        found = await written(pilot, screen)
        assert len(found["step_1800"]) == 40
        assert all(sample.voice is before.get(sample.name, sample.voice) for sample in screen.samples)
        assert "★ 1,800" in text(app)


async def test_the_newest_text_is_in_sight_until_somebody_looks_elsewhere(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        rows = screen.query_one(RowsView)
        assert rows.cursor == 9 and line(app, "1,600  1.5310")
        await press(pilot, "home")
        assert rows.cursor == 0
        await press(pilot, "ctrl+r")
        await written(pilot, screen)
        assert rows.cursor == 9  # asked for again, it is followed again
        await press(pilot, "b")
        assert screen.sample is not None and screen.sample.name == "step_1400.1"


async def test_the_figures_are_curves(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        known = screen.query_one("#known", Chart)
        curve = next(curve for curve in known._plot.request.curves if curve.name == "kept")
        assert list(curve.x) == [200, 400, 600, 800, 1000, 1200, 1400, 1600]
        assert set(curve.y) == {75.0}
        shown = [chart.id for chart in screen.query(Chart) if chart.display and chart.size.width]
        assert shown == ["known"]
        await press(pilot, "tab", "tab", "tab")
        assert line(app, "validation nats/token")
        assert known.crosshair == 1600
    async with make_app(trained).run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        assert all(chart.size.width for chart in screen.query(Chart))
        await press(pilot, "tab")
        assert "All curves are in sight." in text(pilot.app)


# Trouble -----------------------------------------------------------------------------------------------


async def test_a_damaged_checkpoint_says_so_and_the_others_go_on(make_app: Make, trained: Trained) -> None:
    weights = trained.folder / "checkpoints" / "step_600" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    (trained.folder / "checkpoints" / "step_400" / "model.safetensors").write_bytes(b"short")
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        found = await written(pilot, screen)
        states = {sample.name: sample.voice.state for sample in screen.samples}
        assert [name for name, state in states.items() if state == "failed"] == ["step_400", "step_600"]
        assert len(found["step_1600"]) == 40
        await press(pilot, "home", "down", "down")
        assert "model.safetensors is damaged" in " ".join(text(app).split())
        await press(pilot, "up")
        assert "model.safetensors has 5 bytes" in " ".join(text(app).split())


async def test_escape_sequences_are_shown_and_never_executed(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    gone(trained, "step_1600")
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        await press(pilot, "left_square_bracket")
        await written(pilot, screen)
        assert screen.prompt == "The king"
        await press(pilot, "end")
        assert "\x1b" in screen.samples[-1].voice.text
        assert "\x1b" not in text(app) and "thee␛[31m and to thy son." in text(app)
        await press(pilot, "w", "ctrl+y")
        exported = next((tmp_path / "state" / "nexus-tui" / "exports").glob("evolution-*.md")).read_text()
        assert exported == app.clipboard
        assert "\x1b" not in exported and "thee␛\\[31m" in exported
        assert len([one for one in exported.splitlines() if one.startswith("| 1,")]) == 6


async def test_esc_stops_at_once_and_then_leaves(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=1_000_000)
        await until(pilot, lambda: screen.samples[0].voice.figures.tokens > 5)
        await press(pilot, "escape")
        await written(pilot, screen)
        assert {sample.voice.state for sample in screen.samples} == {"stopped"}
        await press(pilot, "escape")
        assert isinstance(app.screen, PlaygroundScreen)
    assert not [thread for thread in threading.enumerate() if thread.name == "choir"]


async def test_leaving_the_program_ends_the_thread(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=1_000_000)
        await until(pilot, lambda: screen.samples[0].voice.figures.tokens > 0)
    screen._choir.join(10)  # type: ignore[union-attr]
    assert not screen.live


async def test_a_terminal_without_other_signs_gets_ascii(make_app: Make, trained: Trained) -> None:
    theme.use_ascii()
    gone(trained, "step_200", "step_1600")
    app = make_app(trained)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await show(pilot)
        await press(pilot, "right_square_bracket")
        await written(pilot, screen)
        for key in ("home", "b", "end"):
            await press(pilot, key)
            assert text(app).isascii()


# Keys and cells ----------------------------------------------------------------------------------------


async def test_enter_opens_checkpoint_and_prompt_in_the_playground(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=3)
        await written(pilot, screen)
        await press(pilot, "p", *"x", "ctrl+r")
        await written(pilot, screen)
        await press(pilot, "home", "down", "enter")
        playground = app.screen
        assert isinstance(playground, PlaygroundScreen)
        assert playground.source is not None and playground.source[1] == "step_400"
        assert playground.prompt == "To be, or not to bex"


async def test_ctrl_e_is_the_evolution_even_in_the_prompt(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot, tokens=3)
        assert "seed" in footer(app) or screen is app.screen
        await written(pilot, screen)
        await press(pilot, "n")
        await written(pilot, screen)
        assert "seed 1" in text(app)


async def test_only_rows_that_changed_are_painted_and_nothing_is_laid_out(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        await written(pilot, screen)
        painted: list[Region] = []
        rows = screen.query_one(RowsView)
        monkeypatch.setattr(rows, "refresh", lambda *regions, **_: painted.extend(regions))
        layouts: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        screen._look()
        assert painted == []
        voice = screen.samples[3].voice
        voice.add("!", b"!", Figures(41, 41, 1.0, 1.0))
        voice.state = "done"
        screen._look()
        assert 0 < len(painted) <= 2
        assert layouts == []


def test_samples_between_checkpoints_are_rows_too(trained: Trained) -> None:
    trained.sample(1500, "To be", " or not")
    found = samples(Run(trained.folder), "To be", {})
    assert [(one.step, one.recorded is not None) for one in found][-3:] == [
        (1400, False),
        (1500, True),
        (1600, False),
    ]


@pytest.mark.parametrize(
    ("size", "theme"), [((80, 24), "nexus-dark"), ((160, 48), "nexus-dark"), ((160, 48), "nexus-light")]
)
def test_picture(
    make_app: Make, trained: Trained, snap_compare: Callable[..., bool], size: tuple[int, int], theme: str
) -> None:
    async def before(pilot: Pilot[str]) -> None:
        screen = await show(pilot, tokens=150)
        await press(pilot, "right_square_bracket")
        await written(pilot, screen)
        for sample in screen.samples:
            sample.voice.figures = Figures(150, 150, 372.0 + sample.step / 100, 0.5)
            sample.voice.change()
        await press(pilot, "up", "up")
        screen._look()
        await pilot.pause()

    gone(trained, "step_200", "step_400")
    assert snap_compare(make_app(trained, theme_name=theme), terminal_size=size, run_before=before)


def test_an_average_has_a_sign_and_a_point_of_its_own(trained: Trained) -> None:
    name = trained.average(["step_1400.1", "step_1600"], 1.527)
    found = samples(Run(trained.folder), "To be", {})
    average = next(sample for sample in found if sample.name == name)
    assert average.best and not average.recorded
    assert f"★ {name}" in "".join(words for words, _ in lines(average, 80, 1, columns(found))[0])
    assert f"| {name} ★ | 1.5270 |" in markdown(Run(trained.folder), "To be", {}, found).replace("\\", "")
    assert whole(average, 80)[0][0][0] == f"★ {name}"
    curves, _ = _curves(FIGURES[3], found)
    assert {curve.name: len(curve.x) for curve in curves}["average"] == 1

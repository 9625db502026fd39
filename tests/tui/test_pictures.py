"""Every screen at three sizes, dark, light and without colours; a window that changes its size loses nothing.

Kept as text: see `written_picture`. One app is started for each look; it goes from screen to screen, and each
is taken at every size.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot

from nexus_tui.tui import choir
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.evolution_screen import EvolutionScreen
from nexus_tui.tui.grid_screen import GridScreen
from nexus_tui.tui.help import HelpScreen
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.new_run import NewRunDialog
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.writer import Figures
from tests.tui.conftest import FakeNovelty, ready, settled, until
from tests.tui.fake_runs import FakeRun
from tests.tui.playground import field
from tests.tui.screens import press, text
from tests.tui.trained import Trained
from tests.tui.written_picture import written_picture

SIZES = ((80, 24), (120, 36), (160, 48))
LOOKS = {"dark": "nexus-dark", "light": "nexus-light", "no-color": None}
FIGURES = Figures(60, 60, 372.0, 0.5)


class Pictures(SingleFileSnapshotExtension):
    """A text file for each picture."""

    _write_mode = WriteMode.TEXT
    _file_extension = "txt"


async def shown(pilot: Pilot[str], kind: type, *keys: str) -> None:
    """Press keys and wait for a screen of a kind."""
    await press(pilot, *keys)
    await until(pilot, lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen.is_mounted)
    await settled(pilot)


async def all_written(pilot: Pilot[str]) -> None:
    """Wait for the texts of a grid or an evolution, and give each the same figures."""
    screen = pilot.app.screen
    assert isinstance(screen, GridScreen | EvolutionScreen)
    await until(pilot, lambda: not screen.live and " done" in text(pilot.app))
    voices = (
        [voice for row in screen.texts for voice in row]
        if isinstance(screen, GridScreen)
        else [sample.voice for sample in screen.samples]
    )
    for voice in voices:
        voice.figures = FIGURES
        voice.change()
    screen._look()


@pytest.mark.parametrize("look", LOOKS)
async def test_every_screen(
    make_app: Callable[..., NexusApp],
    trained: Trained,
    folder: Path,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
    look: str,
) -> None:
    monkeypatch.setattr(choir, "originals_of", FakeNovelty)
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    other = FakeRun(folder / "other", total=400, every=100, seed=2, _lift=0.4)
    other.train(250).end("stopped")
    app = make_app(trained, theme_name=LOOKS[look])
    async with app.run_test(size=SIZES[0]) as pilot:

        async def take(name: str) -> None:
            for bar in app.screen.query(KeyBar):
                bar.hush()
            # Behind the help, what a wide terminal still shows of the screen may be a moment late.
            for size in SIZES[:2] if name == "help" else SIZES:
                await pilot.resize_terminal(*size)
                await settled(pilot)
                kept = snapshot(name=f"{name}-{size[0]}x{size[1]}", extension_class=Pictures)
                assert written_picture(app) == kept
            await pilot.resize_terminal(*SIZES[0])

        await ready(pilot)
        app.current = next(run for run in app.runs if run.name == "byte")
        app.view.marked = ["byte", "other"]
        await press(pilot, "1")
        await take("runs")
        await press(pilot, "o")
        await settled(pilot)
        await take("overlay")
        await press(pilot, "escape")
        await shown(pilot, NewRunDialog, "n")
        await take("new-run")
        await press(pilot, "escape", "2", "shift+left")
        await take("training")
        await shown(pilot, HelpScreen, "question_mark")
        await take("help")
        await press(pilot, "escape", "3", "home", "space", "down", "space")
        await take("checkpoints")
        await press(pilot, "c")
        await settled(pilot)
        await take("compare")
        await shown(pilot, PlaygroundScreen, "5")
        await until(pilot, lambda: app.screen.bar.run is not None)  # type: ignore[attr-defined]
        field(app.screen, "max_tokens").value = "60"  # type: ignore[arg-type]
        await take("playground")
        await shown(pilot, GridScreen, "ctrl+g")
        await all_written(pilot)
        await take("grid")
        await press(pilot, "escape")
        await shown(pilot, EvolutionScreen, "ctrl+e")
        await all_written(pilot)
        await take("evolution")

"""The app on a runs folder in which nothing is as it should be: every run opened, every screen shown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.tui.app import NexusApp
from nexus_tui.untrusted import visible
from tests.tui.conftest import ready, settled, until
from tests.tui.screens import press, text
from tools.fuzz.folder import hostile


@pytest.fixture
def hostile_folder(folder: Path, tmp_path: Path) -> Path:
    return hostile(folder, tmp_path / "outside")


async def test_every_screen_of_hostile_runs(hostile_folder: Path, make_app: Callable[..., NexusApp]) -> None:
    app = make_app()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        for run in [run for run in app.runs if run.folder.name[:2] in ("00", "03", "04")]:
            app.open(run)
            await settled(pilot)
            for key in ("2", "3", "1"):
                await press(pilot, key)
                shown = text(app)
                assert visible(shown) == shown
                assert key != "2" or run.folder.name[:2] != "04" or "[red]x" in shown  # no markup
        for name in ("pipe-journal", "device-run", "giant-journal", "out-checkpoints", "shut-manifest"):
            await press(pilot, "1")
            await settled(pilot)
            app.open(next(run for run in app.runs if run.folder.name == name))
            await until(
                pilot, lambda name=name: name in text(app).splitlines()[0]
            )  # in the heading, not a list
            if name == "pipe-journal":
                assert "cannot be read" in text(app)
        await settled(pilot)
    assert [path.name for path in (hostile_folder.parent / "outside").iterdir()] == ["precious"]

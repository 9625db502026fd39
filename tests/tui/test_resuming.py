"""A run that stopped before a harmful update: what the screen says, and the lower rate that it offers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.dialogs import ChoiceDialog, LineDialog
from tests.tui.conftest import FakeLauncher, ready, settled, until
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import press, text

Make = Callable[..., NexusApp]


def spiked(folder: Path) -> FakeRun:
    run = FakeRun(folder / "run", every=100).train(230)
    run.spike(4.21, 1.52)
    return run.train(240)


async def test_a_training_that_stops_on_the_screen_offers_to_go_on(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = spiked(folder)
    app = make_app(run, here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "2")
        await settled(pilot)
        assert "230 loss spike: 4.2100 against" in text(app)
        run.diverge("step_200")
        assert launcher.session is not None
        launcher.session.end()
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await settled(pilot)
        said = " ".join(text(app).split())
        assert "Resume run from step 200, at a lower rate?" in said
        assert "It stopped in time: the loss of step 241 is nan." in said
        await press(pilot, "enter")
        await until(pilot, lambda: len(launcher.resumed) == 2)
        await settled(pilot)
        assert (launcher.resumed[-1], launcher.scales[-1]) == (("run", "step_200"), 0.5)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_r_offers_it_later_and_tells_the_batch(
    make_app: Make, folder: Path, launcher: FakeLauncher, size: tuple[int, int]
) -> None:
    run = spiked(folder)
    run.diverge("step_200")
    app = make_app(run)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await press(pilot, "2")
        await settled(pilot)
        assert "failed: stopped before a" in text(app)
        if size[0] == 120:
            assert "batch 241: the window that" in text(app)
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await press(pilot, "backspace", "x", "enter")
        await settled(pilot)
        assert "'x' is no number" in text(app)
        await press(pilot, "backspace", "0", "full_stop", "1", "enter")
        await until(pilot, lambda: bool(launcher.resumed))
        await settled(pilot)
        assert (launcher.resumed, launcher.scales) == ([("run", "step_200")], [0.1])


async def test_esc_changes_nothing_and_another_checkpoint_is_asked_about_too(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = spiked(folder)
    run.diverge("")
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await settled(pilot)
        assert "Resume run from its beginning, at a lower rate?" in text(app)
        await press(pilot, "escape", "3")
        await settled(pilot)
        await press(pilot, "home", "r")
        await until(pilot, lambda: isinstance(app.screen, LineDialog))
        await settled(pilot)
        assert "Resume run from step 100, at a lower rate?" in text(app)
        await press(pilot, "escape")
        assert launcher.resumed == []


async def test_where_memory_will_not_do_it_says_so_and_asks(
    make_app: Make, folder: Path, launcher: FakeLauncher
) -> None:
    run = FakeRun(folder / "run", every=100).train(110)
    run.end("stopped")
    launcher.too_large = True
    app = make_app(run)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await settled(pilot)
        said = " ".join(text(app).split())
        assert "run may not fit into memory" in said
        assert "this machine leaves 22.2 GB." in said
        assert "2 at once" in said
        await press(pilot, "m")
        await until(pilot, lambda: launcher.session is not None)
        await settled(pilot)
        assert launcher.resumed == [("run", None)] * 2


@pytest.mark.parametrize(("key", "said"), [("m", ["budget.micro_batch=2"]), ("t", [])])
async def test_so_does_the_dialog_for_a_new_run(
    make_app: Make, launcher: FakeLauncher, key: str, said: list[str]
) -> None:
    launcher.too_large = True
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await press(pilot, "n")
        await settled(pilot)
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await press(pilot, "escape", "enter")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await press(pilot, key)
        await until(pilot, lambda: launcher.session is not None)
        await settled(pilot)
        assert [overrides for _, overrides, _ in launcher.started] == [[], [], said]

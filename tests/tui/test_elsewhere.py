"""The app on a run that another process trains: it takes the same keys, and says who else looks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.training import control as c
from nexus_tui.training.channel import Channel
from nexus_tui.training.remote import Presence
from nexus_tui.tui.app import NexusApp
from tests.tui.conftest import ready, settled
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import footer, press, text


async def test_keys_steer_it_and_who_else_looks_is_said(
    make_app: Callable[..., NexusApp], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = FakeRun(folder / "run").train(30)
    run.hold()
    control = c.Control()
    channel = Channel(run.folder, control)
    app = make_app(run)
    try:
        async with app.run_test(size=(120, 30)) as pilot:
            await ready(pilot)
            await press(pilot, "2")
            await settled(pilot)
            assert footer(app).startswith("p ")
            await press(pilot, "p", "s")
            taken = [control.take(0, wait=True) for _ in range(2)]
            assert {type(wish.act) for wish in taken} == {c.Pause, c.Save}
            for wish in taken:
                wish.done(30)
            monkeypatch.setattr("nexus_tui.training.remote.whoami", lambda: "ada on pts/7")
            other = Presence(app.current)
            other.refresh()
            await app._say_who_looks()
            assert app.looking == ("ada on pts/7",)
            app.current.revision += 1
            app.screen.record_changed()
            await pilot.pause()
            assert "also here: ada on pts/7" in text(app)
            other.close()
    finally:
        channel.close()

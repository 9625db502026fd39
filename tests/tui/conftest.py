"""Apps on made runs: a fixed clock, UTC, a relative runs folder, and sessions that train nothing."""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

from nexus_tui.data.novelty import Novelty
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs
from nexus_tui.training.control import Act, Control, Save
from nexus_tui.tui import theme
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.launcher import Launcher, LaunchError, TooLarge
from tests.tui.fake_runs import START, FakeRun
from tests.tui.screens import text

if TYPE_CHECKING:
    from tests.tui.trained import Trained


class FakeSession:
    """Looks like a thread that trains: holds the run's lock until it is told that it has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.control = Control()
        self.alive, self.taken = True, ""
        self.asked_to_stop = False
        self._lock = RunLock(folder)

    def stop(self) -> None:
        self.asked_to_stop = True

    def save(self) -> None:
        self.control.request(Save())

    def end(self) -> None:
        self.alive = False
        self._lock.release()

    def join(self, timeout: float | None = None) -> None:
        """Nothing to wait for."""

    def wishes(self) -> list[Act]:
        """What was asked for since the last call."""
        return [wish.act for wish in iter(lambda: self.control.take(0), None)]


class FakeLauncher(Launcher):
    """Remembers what was asked; `failure` is what it says instead."""

    def __init__(self) -> None:
        self.started: list[tuple[str, list[str], str]] = []
        self.resumed: list[tuple[str, str | int | None]] = []
        self.scales: list[float | None] = []
        self.branched: list[tuple[str, str | int | None, int]] = []
        self.failure = ""
        self.too_large = False
        self.session: FakeSession | None = None
        self.warmed = False

    def warm(self) -> None:
        self.warmed = True

    def start(
        self, runs_folder: Path, model: str, overrides: list[str], name: str, *, force: bool = False
    ) -> FakeSession:
        self.started.append((model, overrides, name))
        self._weigh(force or "micro_batch" in "".join(overrides))
        if self.failure:
            raise LaunchError(self.failure)
        run = FakeRun(runs_folder / (name or f"{model}-1"), preset=model)
        return self._session(run.folder)

    def resume(
        self,
        folder: Path,
        which: str | int | None = None,
        rate_scale: float | None = None,
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> FakeSession:
        self.resumed.append((folder.name, which))
        self.scales.append(rate_scale)
        self._weigh(force or micro_batch == 2)
        if self.failure:
            raise LaunchError(self.failure)
        return self._session(folder)

    def branch(
        self,
        run: Path,
        runs_folder: Path,
        which: str | int | None,
        steps: int,
        *,
        micro_batch: int = 0,
        force: bool = False,
    ) -> FakeSession:
        self.branched.append((run.name, which, steps))
        if self.failure:
            raise LaunchError(self.failure)
        return self._session(FakeRun(runs_folder / f"{run.name}-1").folder)

    def _weigh(self, fits: bool) -> None:
        if self.too_large and not fits:
            raise TooLarge("it needs 31.2 GB of memory, and this machine leaves 22.2 GB", 2, "9.0 GB")

    def _session(self, folder: Path) -> FakeSession:
        self.session = FakeSession(folder)
        return self.session


@pytest.fixture(autouse=True)
def _same_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    theme.use_ascii(False)


SLICE, BUSY = 0.004, 0.25
"""Seconds that the pilot sleeps at a time, and the share of them from which on something is at work."""
OTHERS = 0.1
"""Seconds for which it also waits for threads beside the event loop's own."""


async def at_rest(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Wait until the app has nothing to do; Textual's own wait takes 20 ms a key at least.

    That of a process in which a text is being written takes a whole second a key, for it looks at all
    threads alike. Whoever waits for one of them says so, with `until`.
    """
    began, loop = time.monotonic(), asyncio.get_running_loop()
    while (waited := time.monotonic() - began) < max_sleep:
        used = time.process_time if waited < OTHERS else time.thread_time
        before = used()
        await asyncio.sleep(SLICE)
        idle = used() - before < BUSY * SLICE and not loop._ready  # on a busy machine little is used, too
        if idle and time.monotonic() - began >= min_sleep:
            return


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("textual.app", "textual.pilot"):
        monkeypatch.setattr(f"{place}.wait_for_idle", at_rest)


@pytest.fixture(autouse=True, scope="session")
def _sheets_are_read_once() -> Iterator[None]:
    """Every app reads the same style sheets, a quarter of its test; rules are shared as within one app."""
    read, known = Stylesheet._parse_rules, {}

    def once(sheet: Stylesheet, css: str, *where: Any, **more: Any) -> list[RuleSet]:
        key = (css, where, *more.items(), *sheet._variables.items())
        if key not in known:
            known[key] = read(sheet, css, *where, **more)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", once)
        yield


@pytest.fixture(autouse=True)
def _nothing_shipped(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No recorded runs, so that what is shipped changes no test; `shipped` is for those that want them."""
    if "shipped" not in request.fixturenames:
        monkeypatch.setattr(Runs, "shipped", lambda _: [])


@pytest.fixture
def shipped() -> None:
    """The recorded runs are there."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The runs folder, relative, so that a picture of it is the same everywhere."""
    return Path("runs")


@pytest.fixture(scope="session")
def branched_run(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, Trained]":
    """A run on disk with real but tiny weights, made once; `trained` is a copy of it."""
    from tests.tui.trained import branched

    folder = tmp_path_factory.mktemp("branched") / "byte"
    return folder, branched(folder)


@pytest.fixture
def trained(branched_run: "tuple[Path, Trained]", folder: Path) -> "Iterator[Trained]":
    """The run `byte` of the runs folder."""
    from nexus_tui.training.sampling import Sampler
    from tests.tui.trained import Trained

    source, made = branched_run
    shutil.copytree(source, folder / "byte", symlinks=True)
    copy = Trained.__new__(Trained)
    copy.__dict__ |= {**made.__dict__, "folder": folder / "byte"}
    copy.open()
    yield copy
    Sampler._open.clear()


@pytest.fixture
def launcher() -> FakeLauncher:
    return FakeLauncher()


@pytest.fixture
def make_app(folder: Path, launcher: FakeLauncher) -> Callable[..., NexusApp]:
    """`make_app(run)` has a clock two seconds after the run's last event, and trains it here with `here`."""

    def make(
        run: FakeRun | None = None, *, here: bool = False, open_run: str = "", theme_name: str | None = None
    ) -> NexusApp:
        now: datetime = (run.now if run else START) + timedelta(seconds=2)
        app = NexusApp(
            folder, open_run, launcher=launcher, clock=lambda: now, preload=False, theme_name=theme_name
        )
        if here and run:
            app.session = launcher.resume(run.folder)
        return app

    return make


class FakeNovelty:
    """Stands for a training text; figures that follow from the sample's length alone."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def figures(self, sample: bytes) -> Novelty:
        return Novelty(len(sample) // 4, (0, len(sample) // 4), 0, 1, 0.125, 0.75)


async def ready(pilot: Pilot[str]) -> None:
    """Wait until the folder has been read and drawn."""
    app = pilot.app
    assert isinstance(app, NexusApp)
    await until(pilot, lambda: app.loaded)
    await settled(pilot)


async def settled(pilot: Pilot[str]) -> None:
    """Wait until the screen reads the same three times running."""
    seen: list[str] = []
    while len(seen) < 3 or len(set(seen[-3:])) > 1:
        await pilot.pause(0.01)
        seen.append(text(pilot.app))
        assert len(seen) < 1000, "the screen never comes to rest"


async def until(pilot: Pilot[str], true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be so"
        await pilot.pause(0.01)

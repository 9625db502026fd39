"""The app: a screen for each mode, one store of runs kept up to date, at most one run trained here.

What reads runs (numpy) or trains them (torch) is imported in threads once the first screen is painted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.console import RenderableType
from textual._compositor import ChopsUpdate
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from nexus_tui.training.control import Control
from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme, upstream
from nexus_tui.tui.driver import SteadyDriver
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import BY_ID, Where, bindings, keys_at, keys_of
from nexus_tui.tui.launcher import Launcher, LaunchError, TrainingSession
from nexus_tui.tui.marks import Marks
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen, perform
from nexus_tui.tui.thrift import CroppedUpdate
from nexus_tui.tui.view import ViewFile

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run
    from nexus_tui.training.remote import Presence, RemoteControl
    from nexus_tui.tui.watch import Watcher

TICK = 0.25
"""Seconds between two looks at what is alive: four updates a second at most."""
LOOKERS = 8
"""Ticks between two questions who else looks at a run."""
SETTLED = 0.5
"""Seconds after which the first screens are painted, so that what training needs can be imported."""
SAMPLING_SHARE = 0.25
"""Of one core: the most that sampling uses while a run is trained here, unless the user says otherwise."""
KEEP = "keep"
"""What `run()` gives back when training is to go on without a screen."""
STOPPED = "stopped"
"""What `run()` gives back when training was told to save and stop."""


def _runs() -> Screen[Any]:
    from nexus_tui.tui.runs_screen import RunsScreen

    return RunsScreen()


def _training() -> Screen[Any]:
    from nexus_tui.tui.training_screen import TrainingScreen

    return TrainingScreen()


def _checkpoints() -> Screen[Any]:
    from nexus_tui.tui.checkpoints_screen import CheckpointsScreen

    return CheckpointsScreen()


def _compare() -> Screen[Any]:
    from nexus_tui.tui.compare_screen import CompareScreen

    return CompareScreen()


def _playground() -> Screen[Any]:
    from nexus_tui.tui.playground_screen import PlaygroundScreen

    return PlaygroundScreen()


class NexusApp(App[str]):
    """Trains, watches and compares the runs of a folder.

    Args:
        runs_folder: where the runs are; it need not exist yet.
        open_run: name of the run to begin with, in the training screen; default: the list of runs.
        launcher: starts training.
        clock: the time now, in UTC.
        preload: import what training needs once the first screen is painted.
        sampling_share: of one core, the most that sampling may use while a run is trained here.
    """

    TITLE = "nexus-tui"
    CSS_PATH = "app.tcss"
    DEFAULT_MODE = "runs"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "runs": _runs,
        "training": _training,
        "checkpoints": _checkpoints,
        "compare": _compare,
        "playground": _playground,
    }
    BINDINGS: ClassVar[list[BindingType]] = bindings("everywhere")
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        runs_folder: Path,
        open_run: str = "",
        *,
        launcher: Launcher | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        preload: bool = True,
        theme_name: str | None = None,
        sampling_share: float = SAMPLING_SHARE,
    ) -> None:
        upstream.mend()
        super().__init__(driver_class=SteadyDriver)
        self._view_file = ViewFile(runs_folder)
        self.view, self._view_said = self._view_file.load()
        """How everything is arranged: set its attributes, and it is kept."""
        theme.register(self, theme_name, self.view.theme)
        self.lost = False
        """Whether the terminal has gone away."""
        self.runs_folder = runs_folder
        self.clock = clock
        self.loaded = False
        """Whether the folder has been read."""
        self.current: Run | None = None
        """The run that the screens show: the one being trained here, else the last one opened."""
        self.session: TrainingSession | None = None
        self.shipped: list[Run] = []
        """The recorded runs that come with the program, to look at."""
        self.marks = Marks()
        """The checkpoints to compare, over all runs."""
        self._watcher: Watcher | None = None
        self._opening: tuple[Run, Where, str | None] | None = None
        """A run to be shown in a mode once it has been read, unless the mode it was wanted from is left."""
        self._launcher = launcher or Launcher()
        self._opened = open_run
        self._preload = preload
        self._sampling_share = sampling_share
        self._minute = -1
        self._screen_loop: asyncio.AbstractEventLoop | None = None
        self._presence: Presence | None = None
        self._ticks = 0

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our roles as CSS variables, for themes that are not ours."""
        return theme.variable_defaults()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """NO_COLOR means the terminal's own two colours; Textual would make greys of ours, black on black."""
        filters = super().get_line_filters()
        return [NoColor() if isinstance(filter, Monochrome) else filter for filter in filters]

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Send a part of the screen, in few bytes."""
        if isinstance(renderable, ChopsUpdate):
            renderable = CroppedUpdate.of(renderable)
        super()._display(screen, renderable)

    def _handle_exception(self, error: Exception) -> None:
        """End with a traceback, unless nobody is concerned."""
        if not upstream.harmless(error):
            super()._handle_exception(error)

    # Keeping up ------------------------------------------------------------------------------------------

    @property
    def runs(self) -> list[Run]:
        """Every run of the folder, newest journal first."""
        return self._watcher.runs if self._watcher else []

    @property
    def writers(self) -> list[Run]:
        """The runs to write with: those of the folder, then those that came with weights."""
        names = {run.name for run in self.runs}
        return [*self.runs, *(run for run in self.shipped if run.checkpoints and run.name not in names)]

    @property
    def unread(self) -> int:
        """How many runs are still to be read before the list knows them all."""
        return self._watcher.fetcher.left if self._watcher else 0

    def on_mount(self) -> None:
        """Paint first; read the folder and import the rest after that."""
        self._screen_loop = asyncio.get_running_loop()
        self.theme_changed_signal.subscribe(self, lambda _: self._colors_changed())
        self.call_after_refresh(lambda: self.run_worker(self._begin(), exclusive=False))

    async def _begin(self) -> None:
        watcher, self.shipped, self.current = await asyncio.to_thread(self._open_folder)
        watcher.fetcher.wake = partial(self.call_later, self._tick)
        self._watcher = watcher
        self.loaded = True
        if self._opened and self.current and self._opened in (self.current.name, self.current.folder.name):
            await self.switch_mode("training")
        self._news()
        if self._view_said:
            self.say(self._view_said, "warn")
        self.set_interval(TICK, self._tick)
        if self._preload:
            # A thread of its own: the loop's pool would have to be waited for when the app ends.
            warm = threading.Thread(target=self._launcher.warm, name="warm")
            self.set_timer(SETTLED, warm.start)

    def _open_folder(self) -> tuple[Watcher, list[Run], Run | None]:
        from nexus_tui.interop.opening import all_runs
        from nexus_tui.runs.summaries import Summaries
        from nexus_tui.tui import run_look, run_row  # noqa: F401 (the list needs them next)
        from nexus_tui.tui.watch import Watcher

        store = all_runs(self.runs_folder, self._opened, Summaries(self.runs_folder, wait=False))
        watcher, shipped = Watcher(store), store.shipped()
        watcher.find(self._opened)
        opened = [run for run in watcher.runs if self._opened in (run.name, run.folder.name)]
        live = (run for run in watcher.runs if run.holder)
        current = next(chain(opened, live, watcher.runs, shipped), None)
        if current and (opened or watcher.at_hand(current)):
            current.read()
        watcher.fill()
        return watcher, shipped, current

    def at_hand(self, run: Run) -> bool:
        """Whether a run can be drawn at once; if not, a thread reads it, and a later tick brings it."""
        return self._watcher is None or self._watcher.at_hand(run)

    def look(self) -> None:
        """Read what is new of the run that is shown, now."""
        if self.current:
            self.current.refresh()

    def look_again(self) -> None:
        """The runs folder was changed here: look at it now."""
        if self._watcher:
            self._watcher.look()
        self._news()

    def _tick(self) -> None:
        if not self.is_running:  # screens are being taken down, piece by piece
            return
        if said := self._view_file.look(self.view):
            self.say(said, "warn")
        changed = self._watcher.tick(self.current) if self._watcher else False
        if self._opening and self._opening[0].is_read:
            run, mode, seen_from = self._opening
            self._opening = None
            if self.current_mode == seen_from:
                self.open(run, mode)
        if self.session and not self.session.alive:
            if self.session.taken:
                self.say(self.session.taken, "warn")
            self._session_ended(self.session.folder)
            changed = True
        if self.current and self.current not in self.runs and not self.current.folder.exists():
            self.current = next(iter(self.runs), None)
            changed = True
        self._ticks += 1
        live = self.current is not None and self.current.holder is not None
        if self._ticks % LOOKERS == 0 and (live or self._presence):
            self.run_worker(self._say_who_looks(), group="lookers", exclusive=True)
        minute = int(self.clock().timestamp()) // 60
        if changed or minute != self._minute:  # ages are counted in minutes
            self._minute = minute
            self._news()

    def _session_ended(self, folder: Path) -> None:
        """What was trained here has ended; if that was before a harmful update, offer to go on."""
        self.session, run = None, self.current
        if run is None or run.folder != folder:
            return
        run.refresh()
        if run.diverged and self.current_mode == "training" and isinstance(self.screen, ModeScreen):
            self.run_worker(self.resume(run))

    def _news(self) -> None:
        # Over a mode's screen there may be another one, and over that a dialog.
        screen = next((one for one in reversed(self.screen_stack) if isinstance(one, ModeScreen)), None)
        if screen and screen.standing:
            screen.record_changed()
            screen.show_keys()

    def on_unmount(self) -> None:
        """Keep the view as it was left, and what was read for the list."""
        self._view_file.save(self.view)
        if self._watcher:
            self._watcher.close()

    def _colors_changed(self) -> None:
        if not self.no_color:
            self.view.theme = self.theme
        for screen in self.screen_stack:
            if isinstance(screen, ModeScreen):
                screen.colors_changed()

    # What screens ask for --------------------------------------------------------------------------------

    @property
    def training(self) -> Run | None:
        """The run that this process trains."""
        if self.session is None or not self.session.alive:
            return None
        folder = self.session.folder
        return next((run for run in [self.current, *self.runs] if run and run.folder == folder), None)

    @property
    def sampling_share(self) -> float:
        """Of one core, the most that sampling may use now: all of it while nothing is trained here.

        Any thread may ask. What writes a text asks before every sleep: training may begin meanwhile.
        """
        session = self.session  # once: the screen's thread may let it go meanwhile
        return self._sampling_share if session and session.alive else 1.0

    @property
    def control(self) -> Control | RemoteControl | None:
        """Takes wishes for the run that is shown, if it is trained here or by a process that can be asked."""
        run = self.current
        if run is None:
            return None
        if self.session and self.session.alive and self.session.folder == run.folder:
            return self.session.control
        if run.holder is None:
            return None
        from nexus_tui.training.remote import RemoteControl, why_not

        if why_not(run):
            return None
        return RemoteControl(run, lambda words: self.from_elsewhere(partial(self.say, words, "warn")))

    @property
    def looking(self) -> tuple[str, ...]:
        """Who else looks at the run that is shown, while it is trained."""
        return self._presence.others if self._presence and self._presence.run is self.current else ()

    async def _say_who_looks(self) -> None:
        """Let the trainer of the run that is shown know that somebody looks, and hear who else does."""
        from nexus_tui.training.remote import Presence

        run, before = self.current, self._presence
        if before and before.run is not run:
            before.close()
            self._presence = None
        if run is None or run.holder is None:
            return
        if self._presence is None:
            self._presence = Presence(run)
        if await asyncio.to_thread(self._presence.refresh):
            self._news()

    def open(self, run: Run, mode: Where = "training") -> None:
        """Show a run in a mode; one that takes long to read, once it has been read."""
        if not self.at_hand(run):
            self._opening = (run, mode, self.current_mode)
            self.say(f"Reading {run.name} ({fmt.size(run.size)}).")
            return
        self._opening = None  # whatever was wanted before is not any more
        self.current = run
        self.switch_mode(mode)

    def say(self, message: str, role: str = "text") -> None:
        """One sentence in the footer for a while; a long one as a notice of its own."""
        message = plain(message)
        bars = list(self.screen.query(KeyBar))
        if bars and len(message) < self.size.width - 1:
            bars[0].say(message, role)
        else:
            super().notify(
                message, severity="warning" if role in ("warn", "error") else "information", markup=False
            )

    def why_no_training(self) -> str:
        """Why no run can be started or resumed here now; empty if one can."""
        running = self.training
        return f"{running.name} is being trained here; stop it first (2, then S)." if running else ""

    def why_no_resume(self, run: Run) -> str:
        """Why a run cannot go on here now; empty if it can."""
        if run.foreign or (run.kind != "run" and not run.checkpoints):
            return f"{run.name} is a record to look at; it cannot go on from here."
        return f"{run.name} is being trained." if run.holder else self.why_no_training()

    async def start(self, model: str, overrides: list[str], name: str, *, force: bool = False) -> None:
        """Begin a new run; `show_session` then shows it. Raises LaunchError."""
        if reason := self.why_no_training():
            raise LaunchError(reason)
        begin = partial(self._launcher.start, self.runs_folder, model, overrides, name, force=force)
        self.session = await asyncio.to_thread(begin)

    async def resume(self, run: Run, which: str | int | None = None) -> None:
        """Go on training a run from a checkpoint (None: the newest) and show it, or say why not.

        If it stopped before a harmful update, ask at which rate; of a recorded run, how far.
        """
        from nexus_tui.tui.resuming import resume

        await resume(self, self._launcher, run, which)

    def show_session(self) -> None:
        """Show the run that this process trains."""
        if self.session is None:
            return
        if self._watcher:
            self._watcher.look()
        folder = self.session.folder
        self.current = next((run for run in self.runs if run.folder == folder), self.current)
        if self.current_mode == "training":
            self._news()
        self.switch_mode("training")

    # What comes from outside -----------------------------------------------------------------------------

    def from_elsewhere(self, do: Callable[[], object]) -> None:
        """Have something done in the screen's thread soon. Any thread may ask, and a signal's handler."""
        if self._screen_loop:
            with contextlib.suppress(RuntimeError):  # the screen has just ended
                self._screen_loop.call_soon_threadsafe(do)

    def hang_up(self) -> None:
        """The terminal is gone, somebody says."""
        if isinstance(self._driver, SteadyDriver):
            self._driver.hang_up()

    def terminal_lost(self) -> None:
        """Leave; what is trained here goes on to its end."""
        self.lost = True
        self.leave_it_training()

    def leave_it_training(self) -> None:
        """Close the screen; what is trained here goes on to its end."""
        self.exit(KEEP)

    def terminate(self) -> None:
        """Leave at once; what is trained here is saved first, without a screen."""
        self.exit(STOPPED)

    def save_now(self) -> None:
        """Save what is trained here."""
        if self.session:
            self.session.save()

    # Actions of the keys that work everywhere ------------------------------------------------------------

    async def action_key(self, id: str) -> None:
        """What every key of the table is bound to."""
        await perform(self.screen, BY_ID[id])

    async def action_mode(self, mode: str) -> None:
        """Show a mode's screen."""
        if mode == "runs" or self.current is None or self.at_hand(self.current):
            await self.switch_mode(mode)
        else:
            self.open(self.current, cast("Where", mode))

    def action_new_run(self) -> None:
        """Choose a model and a text, and train."""
        if reason := self.why_no_training():
            self.say(reason, "warn")
            return
        from nexus_tui.tui.new_run import NewRunDialog

        self.push_screen(NewRunDialog(), lambda started: self.show_session() if started else None)

    def action_help(self) -> None:
        """Show the keys that work here."""
        from nexus_tui.tui.help import HelpScreen

        screen = self.screen
        if isinstance(screen, ModeScreen):
            self.push_screen(HelpScreen(screen.WHERE, screen.part))
        else:
            self.push_screen(HelpScreen("everywhere"))

    async def action_quit(self) -> None:
        """Leave; asks only while this process trains."""
        run = self.training
        if run is None:
            self.exit()
            return
        from nexus_tui.tui.dialogs import QuitDialog

        self.push_screen(QuitDialog(run.name, run.step), self._leave)

    def action_interrupt(self) -> None:
        """Ctrl-C: copy what is selected; else leave, after a save if this process trains."""
        selected = getattr(self.focused, "selected_text", "") or self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
        elif self.training:
            self._leave("s")
        else:
            self.exit()

    def _leave(self, answer: str | None) -> None:
        session = self.session
        if answer == "k":
            self.leave_it_training()
        elif answer == "s" and session:
            from nexus_tui.tui.dialogs import Waiting

            session.stop()
            run = self.training
            waiting = Waiting(
                f"{session.folder.name} saves and stops",
                lambda: f"Now: {run.activity}." if run and run.activity else "It saves after this step.",
                lambda: not session.alive,
            )
            self.push_screen(waiting, lambda _: self.exit(STOPPED))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: every key of the table that can act on this screen, and the app's own few."""
        where = screen.WHERE if isinstance(screen, ModeScreen) else "everywhere"
        for key in (*keys_of(where), *keys_at("everywhere")) if where != "everywhere" else keys_at(where):
            if not key.palette:
                continue
            here = screen if isinstance(screen, ModeScreen) and key.where != "everywhere" else None
            if here is None or not here.why_not(key.method):
                yield SystemCommand(key.title, key.help, partial(perform, screen, key))
        yield SystemCommand("Theme", "Choose the colours.", self.action_change_theme)

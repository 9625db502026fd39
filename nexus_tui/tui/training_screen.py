"""Mode 2: one run as it trains. Everything drawn is read from the run's folder; wishes go through Control."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal

from nexus_tui.runs.journal import ControlledEvent, DeviceEvent
from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.notes import NoteError, note
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.remote import why_not as not_from_here
from nexus_tui.tui import heading
from nexus_tui.tui.board import Board
from nexus_tui.tui.board_screen import BoardScreen
from nexus_tui.tui.derived import best, checkpoints
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import bindings
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.pace import pace
from nexus_tui.tui.run_curves import RunCurves
from nexus_tui.tui.side import newest_event, side


def rate_scale(run: Run) -> float:
    """The factor that somebody put on the learning rate last; 1 if nobody did since training began here."""
    for event in reversed(run.log):
        match event:
            case ControlledEvent(act="rate_scale", value=float(value)):
                return value
            case DeviceEvent():
                break
    return 1.0


class TrainingScreen(BoardScreen):
    """Status, progress, a large chart and small ones; checkpoints, samples and events at the side."""

    WHERE = "training"
    CSS_PATH = "training_screen.tcss"
    ROUNDS = 3
    BINDINGS: ClassVar[list[BindingType]] = bindings("training")

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Heading, charts and side column, newest event, keys."""
        yield Lines(id="heading")
        with Horizontal(id="body"):
            yield Board(self.nexus.view)
            yield Lines(id="side")
        yield Lines(id="news")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """As it was left."""
        self.set_class("side" in self.nexus.view.closed, "-no-side")

    def on_resize(self) -> None:
        """Another size has room for something else."""
        self.call_after_refresh(self.redraw)

    # Drawing ---------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Draw the current run if it is another one or has changed."""
        run = self.nexus.current
        if not self.query(KeyBar):  # not composed yet, or already taken down
            return
        if run is not None and (run.folder, run.revision) != self._drawn:
            if not self._drawn or run.folder != self._drawn[0]:
                self.board.forget()
            self.redraw()
        elif run is None and self._drawn:
            self.redraw()

    def redraw(self) -> None:
        """Draw the current run, or where to find one."""
        if not self.query(KeyBar):  # not composed yet, or already taken down
            return
        run = self.nexus.current
        self.set_class(run is None, "-empty")
        if run is None:
            self._drawn = ()
            self.query_one("#heading", Lines).show(
                [((" No run is open. 1 lists the runs, n begins one.", "muted"),)]
            )
            return
        self._drawn = (run.folder, run.revision)
        self.show_curves()
        self._draw_text(run)

    def _draw_text(self, run: Run) -> None:
        recent, now = pace(run), self.nexus.clock()
        head = self.query_one("#heading", Lines)
        width = self.size.width
        head.show(
            [heading.status(run, recent, width, self.nexus.looking), heading.progress(run, recent, width)]
        )
        column = self.query_one("#side", Lines)
        if column.size.width:
            column.show(side(run, checkpoints(run), column.size.width, column.size.height, now))
        self._draw_news(run)

    def _draw_news(self, run: Run) -> None:
        """The newest event; where the board has no line of its own, what that would say instead."""
        board, width = self.board, self.size.width
        line = newest_event(run, best(run), width, self.nexus.clock())
        if not board.has_line(board.size) and (board.at is not None or board.window):
            line = ((" ", "text"), *board.told(width - 2))
        self.query_one("#news", Lines).show([line])

    @on(Board.Moved)
    def _moved(self) -> None:
        if self.nexus.current:
            self._draw_news(self.nexus.current)

    # What can be had -------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Steering needs a run that this process trains."""
        run = self.nexus.current
        if action == "note":
            return self._why_no_note(run)
        if action in ("pause", "save", "evaluate", "sample", "rate", "plan", "stop"):
            if run is None:
                return "No run is open; 1 lists the runs."
            if self.nexus.control is None:
                if run.holder:
                    reason = not_from_here(run)
                    return reason[:1].upper() + reason[1:]
                return self.nexus.why_no_resume(run) or f"Nobody trains {run.name} now; r resumes it."
        if action == "resume":
            if run is None:
                return "No run is open; 1 lists the runs."
            return self.nexus.why_no_resume(run)
        return ""

    def _why_no_note(self, run: Run | None) -> str:
        """A note is kept in the journal, by whoever trains the run, else by this program."""
        if run is None:
            return "No run is open; 1 lists the runs."
        if run.foreign or run in self.nexus.shipped:
            return f"{run.name} is a record to look at; it cannot be noted on."
        if self.nexus.control is None and run.holder:
            reason = not_from_here(run)
            return reason[:1].upper() + reason[1:]
        return ""

    # Steering --------------------------------------------------------------------------------------------

    def _wish(self, act: c.Act, said: str) -> None:
        """Ask for something; `said` is when, but that a paused training does it at once."""
        control, run = self.nexus.control, self.nexus.current
        if control:
            control.request(act)
            paused = run is not None and run.state == "paused"
            self.nexus.say(said.replace(" after this step", " now") if paused else said, "live")

    def action_pause(self) -> None:
        """Pause, or continue."""
        run = self.nexus.current
        if run and run.state == "paused":
            self._wish(c.Continue(), "Continues.")
        else:
            self._wish(c.Pause(), "Pauses after this step.")

    def action_save(self) -> None:
        """Save this step."""
        self._wish(c.Save(), "Saves after this step.")

    def action_evaluate(self) -> None:
        """Save and evaluate this step."""
        self._wish(c.Evaluate(), "Saves and evaluates after this step.")

    def action_sample(self) -> None:
        """Continue the fixed prompts."""
        self._wish(c.Sample(), "Samples after this step.")

    async def action_resume(self) -> None:
        """Train on from the newest checkpoint."""
        if self.nexus.current:
            await self.nexus.resume(self.nexus.current)

    def action_rate(self) -> None:
        """Ask for a factor on the learning rate."""
        from nexus_tui.tui.dialogs import rate_dialog

        run = self.nexus.current
        if run is None:
            return
        scale = rate_scale(run)
        rate = float(run.steps["lr"][-1]) / scale if len(run.steps) else float("nan")

        def answer(text: str | None) -> None:
            if text:
                factor = float(text.replace(",", "."))
                self._wish(c.ScaleRate(factor), f"Learning rate × {factor:g} from the next step on.")

        self.app.push_screen(rate_dialog(scale, rate), answer)

    def action_note(self) -> None:
        """Ask for a note at the crosshair's step, else at the newest."""
        from nexus_tui.tui.dialogs import note_dialog

        run, at = self.nexus.current, self.board.note_step
        if run is not None:
            step = run.step if at is None else at
            self.app.push_screen(note_dialog(step), lambda text: self._note(run, at, text))

    def action_stop(self) -> None:
        """Ask how, then end."""
        from nexus_tui.tui.dialogs import stop_dialog

        run = self.nexus.current
        if run is not None:
            here = self.nexus.training is run
            self.app.push_screen(stop_dialog(run, here=here), self._stop)

    def action_plan(self) -> None:
        """Ask for another last step."""
        from nexus_tui.tui.dialogs import plan_dialog

        run = self.nexus.current
        if run is None:
            return

        def answer(text: str | None) -> None:
            if text:
                steps = int(text.replace(",", ""))
                self._wish(c.Plan(steps), f"Trains to step {steps:,}.")

        self.app.push_screen(plan_dialog(run.step, run.total_steps), answer)

    def _note(self, run: Run, step: int | None, text: str | None) -> None:
        if not text:
            return
        if self.nexus.control and self.nexus.current is run:
            self._wish(c.Note(text, step), "Noted.")
            return
        try:
            note(run.folder, run.step if step is None else step, text)
            self.nexus.say("Noted.", "live")
        except (NoteError, RunLockedError) as error:
            self.nexus.say(str(error), "warn")
        self.nexus.look()
        self.record_changed()

    def _stop(self, answer: str | None) -> None:
        if answer == "s":
            self._wish(c.Stop(), "Saves and stops.")
        elif answer == "x":
            self._wish(c.Stop(save=False), "Stops after this step.")
        elif answer == "k":
            self.nexus.leave_it_training()

    # Looking ---------------------------------------------------------------------------------------------

    def show_curves(self) -> None:
        """The curves of the current run."""
        run = self.nexus.current
        self.board.show(RunCurves(run, self.nexus.view.axis, best(run)) if run else None)

    def leave(self) -> None:
        """Back to the list of runs."""
        self.app.switch_mode("runs")

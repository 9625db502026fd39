"""Mode 5: give a checkpoint a prompt and read what it writes, while training goes on or not."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Input, Select, TextArea

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_detail import CheckpointDetail
from nexus_tui.tui.checkpoint_rows import Row, signature
from nexus_tui.tui.copying import copy, state_folder
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.evolution import begins_with
from nexus_tui.tui.evolution_screen import EvolutionScreen
from nexus_tui.tui.grid_screen import GridScreen, first_columns, marked_columns
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread, width_of
from nexus_tui.tui.number_field import NumberField, Setting
from nexus_tui.tui.prompt_editor import History, PromptEditor
from nexus_tui.tui.prompts import fixed_prompts
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.text_view import TextView
from nexus_tui.tui.writer import Writer

SETTINGS = (
    Setting("temperature", "temperature", 0.8, 0, 100, 0.1, whole=False, width=4),
    Setting("top_k", "top-k", 0, 0, 1_000_000, 5, width=4),
    Setting("top_p", "top-p", 1, 0, 1, 0.05, whole=False, width=4, above=True),
    Setting("max_tokens", "tokens", 200, 1, 1_000_000, 50, width=5),
    Setting("seed", "seed", 0, 0, 2**64 - 1, 1, width=6),
)
FRAME = 0.1
"""Seconds between two looks at what was written: ten updates a second at most, however fast the model is."""
FIRST_PROMPT = "To be, or not to be"

_STATES: dict[str, Span] = {
    "opening": ("opening the checkpoint", "live"),
    "writing": ("writing", "live"),
    "done": ("done", "good"),
    "stopped": ("stopped", "warn"),
    "failed": ("failed", "error"),
}


class PlaygroundScreen(ModeScreen):
    """Checkpoint, prompt, settings; below them the text as it comes, and its figures."""

    WHERE: ClassVar[Where] = "playground"
    CSS_PATH = "playground_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("playground")

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._current: Run | None = None
        """The app's run as of the last look: another one there is another one here."""
        self._rows: list[Row] = []
        self._drawn: tuple[object, ...] = ()
        self._source: str | None = None
        """The checkpoint to write with."""
        self._chosen = False
        """Whether the user chose it; until then it is the true best."""
        self._writer: Writer | None = None
        self._timer: Timer | None = None
        self._frames = 0

    def compose(self) -> ComposeResult:
        """Source, prompt and settings above; text and figures below."""
        with Horizontal(id="source"):
            yield Select[str]([("no run", "")], allow_blank=False, compact=True, id="run")
            yield Select[str]([("no checkpoint", "")], allow_blank=False, compact=True, id="checkpoint")
            yield Lines(id="about")
        with Container(id="panes"):
            with Vertical(id="ask"):
                yield PromptEditor(History(state_folder() / "prompts.jsonl"), id="prompt")
                with Horizontal(id="settings"):
                    for setting in SETTINGS:
                        yield NumberField(setting)
                yield CheckpointDetail(id="facts")
            yield TextView(id="text")
        yield Lines(id="figures")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """Begin at the prompt."""
        self.set_class(theme.glyphs().ascii, "-ascii")
        self._timer = self.set_interval(FRAME, self._pump, pause=True)
        editor = self.query_one(PromptEditor)
        editor.write(FIRST_PROMPT)
        editor.focus()
        self.query_one(TextView).hint("^r writes what follows the prompt; the same seed gives the same text.")

    def on_unmount(self) -> None:
        """Leave no thread writing."""
        if self._writer:
            self._writer.stop()

    # Choosing a checkpoint -------------------------------------------------------------------------------

    def choose(self, run: Run, name: str) -> None:
        """Write with this checkpoint from now on."""
        self._current, self._run = self.nexus.current, run
        self._source, self._chosen, self._drawn = name, True, ()
        self.record_changed()

    def record_changed(self) -> None:
        """Keep the lists of runs and checkpoints up to date; until the user chooses, choose the true best."""
        if not self.is_mounted:
            return
        current = self.nexus.current
        if current is not self._current:
            self._current, self._run, self._chosen = current, current, False
        run = self._run
        names = [other.name for other in self.nexus.runs]
        news = (tuple(names), signature(run) if run else None)
        if news == self._drawn:
            return
        self._drawn = news
        self._rows = [row for row in checkpoints(run) if row.checkpoint] if run else []
        kept = [row.name for row in self._rows]
        best = next((row.name for row in self._rows if row.best), kept[-1] if kept else None)
        if not self._chosen or self._source not in kept:
            self._source, self._chosen = best, False
        self._draw_source(names)

    def _draw_source(self, names: list[str]) -> None:
        chosen = self._run.name if self._run else None
        if chosen and chosen not in names:
            names = [*names, chosen]
        runs = [(plain(name), name) for name in names] if chosen else [("no run", "")]
        kept = [(self._option(row), row.name) for row in reversed(self._rows)] or [("no checkpoint", "")]
        with self.prevent(Select.Changed):
            _offer(self.query_one("#run", Select), runs, chosen or "")
            _offer(self.query_one("#checkpoint", Select), kept, self._source or "")
        place = next((i for i, row in enumerate(self._rows, start=1) if row.name == self._source), 0)
        about: Line = ((f"[ {place} of {len(self._rows)} ]", "muted"),) if place else ()
        self.query_one("#about", Lines).show([about])
        self.query_one(CheckpointDetail).tell(self._run, self._rows[place - 1] if place else None)
        self.show_keys()

    def _option(self, row: Row) -> str:
        star = f"{theme.glyphs().star} " if row.best else "  "
        loss = f"   {format.loss(row.evaluation.loss)} nats" if row.evaluation else ""
        return f"{star}{row.step:>7,}{loss}{'   abandoned' if row.abandoned else ''}"

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another run, or another checkpoint of it."""
        if not isinstance(event.value, str) or not event.value:
            return
        if event.select.id == "run":
            run = next((run for run in self.nexus.runs if run.name == event.value), None)
            if run and run is not self._run:
                self._run, self._chosen, self._drawn = run, False, ()
                self.record_changed()
        elif event.value != self._source:
            self._source, self._chosen = event.value, True
            self._draw_source([other.name for other in self.nexus.runs])

    def action_step(self, direction: int) -> None:
        """The checkpoint before or after."""
        names = [row.name for row in self._rows]
        if self._source in names:
            place = max(0, min(names.index(self._source) + direction, len(names) - 1))
            self._source, self._chosen = names[place], True
            self._draw_source([other.name for other in self.nexus.runs])

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint to write with."""
        return next((row.checkpoint for row in self._rows if row.name == self._source), None)

    # What other screens of the playground begin with -----------------------------------------------------

    @property
    def source(self) -> tuple[Run, str] | None:
        """The run and the name of the checkpoint to write with."""
        return (self._run, self._source) if self._run and self._source else None

    @property
    def prompt(self) -> str | bytes:
        """What is to be continued; bytes if it is a file that is no UTF-8 text."""
        return self.query_one(PromptEditor).text

    def settings(self) -> dict[str, Any] | None:
        """The fields as arguments of `Sampling`; None if one is wrong: it then has the focus and says why."""
        settings: dict[str, Any] = {}
        for field in self.query(NumberField):
            if field.reason:
                field.take_focus()
                self.nexus.say(field.reason, "warn")
                return None
            settings[field.setting.id] = field.value
        return settings

    def open_prompt(self, text: str) -> None:
        """Put a prompt in place of the one that is there."""
        self.query_one(PromptEditor).write(text)

    @property
    def _has_columns(self) -> bool:
        return bool(self.checkpoint or len(self.nexus.marks))

    def action_grid(self) -> None:
        """Several checkpoints and prompts beside each other."""
        settings = self.settings()
        if settings is not None:
            columns = marked_columns(self.nexus.marks.all) or first_columns(self.source)
            prompts = [self.prompt, *(fixed_prompts(self._run) if self._run else [])]
            self.nexus.push_screen(GridScreen(columns, list(dict.fromkeys(prompts)), settings))

    def action_evolution(self) -> None:
        """This prompt at every checkpoint of the run."""
        run, settings = self._run, self.settings()
        if run and settings is not None:
            prompts = dict.fromkeys([self.prompt, *fixed_prompts(run)])
            first = begins_with(run)
            if first is not None:
                prompts = dict.fromkeys([first, *prompts])
            self.nexus.push_screen(EvolutionScreen(run, list(prompts), settings))

    # Writing ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Writing needs a checkpoint, copying a text."""
        if (action == "generate" and self.checkpoint is None) or (action == "grid" and not self._has_columns):
            return "No checkpoint to write with yet: train a run (n), or choose another one above."
        if action == "evolution" and not self._rows and not (self._run and self._run.samples):
            return "No checkpoint on record yet: train a run (n), or choose another one above."
        if action == "copy" and self.is_mounted and not self.query_one(TextView).text:
            return "Nothing is written yet: ^r writes."
        return ""

    def action_generate(self) -> None:
        """Write, with what the fields say now; a text that is being written ends."""
        settings, checkpoint, editor = self.settings(), self.checkpoint, self.query_one(PromptEditor)
        if settings is None or checkpoint is None:
            return
        if self._writer:
            self._writer.stop()
        editor.remember()
        self._writer = Writer(checkpoint, editor.text, settings)
        self.query_one(TextView).begin(editor.text)
        self._writer.start()
        self._frames = 0
        self._show_figures()
        if self._timer:
            self._timer.resume()
        self.show_keys()

    def action_stop(self) -> None:
        """Stop writing; else stop editing; else go back to the training screen."""
        text = self.query_one(TextView)
        if self._writer and self._writer.live:
            self._writer.stop()
        elif isinstance(self.focused, (TextArea, Input, Select)):
            text.focus()
        else:
            self.nexus.switch_mode("training")

    def action_edit(self) -> None:
        """Go to the prompt."""
        self.query_one(PromptEditor).focus()

    def action_copy(self) -> None:
        """Copy prompt and text."""
        text = self.query_one(TextView).text
        self.nexus.say(copy(self.app, text, f"{len(text):,} characters"))

    def _pump(self) -> None:
        """Show what came since the last time."""
        writer = self._writer
        if writer is None:
            return
        live = writer.live  # asked before taking: what comes between the two is taken
        text = self.query_one(TextView)
        text.append("".join(piece.text for piece in writer.take()))
        self._frames += 1
        if not live:
            text.finish()
            if self._timer:
                self._timer.pause()
            self._show_figures()
        elif self._frames % 5 == 0:  # figures that change ten times a second cannot be read
            self._show_figures()

    def _show_figures(self) -> None:
        writer = self._writer
        if writer is None:
            return
        figures = writer.figures
        left: list[Span] = [_STATES[writer.state]]
        nats: list[Span] = []
        if writer.error:
            left.append((f": {plain(writer.error)}", "error"))
        elif figures.tokens:
            left += [
                (f"   {figures.tokens:,} tokens", "text"),
                (f"   {format.speed(figures.speed)}", "text"),
                (f"   {format.loss(figures.bits_per_byte)} bits/byte", "muted"),
            ]
            nats = [(f"   {format.loss(figures.loss)} nats/token", "muted")]
        step, seed = writer.checkpoint.step, writer.settings["seed"]
        right: Line = ((f"step {step:,}   seed {seed}", "muted"),)
        line = self.query_one("#figures", Lines)
        fits = width_of([*left, *nats, *right]) < line.size.width
        line.show([spread([*left, *nats] if fits else left, right, line.size.width)])


def _offer(select: Select[str], options: list[tuple[str, str]], value: str) -> None:
    """Give a list other options, if they are others, and choose one."""
    if getattr(select, "offered", None) != options:
        select.set_options([(Text(label), name) for label, name in options])  # a string would be markup
        select.offered = options  # type: ignore[attr-defined]
    select.value = value

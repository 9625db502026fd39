"""Mode 5: give a checkpoint a prompt, read what it writes, and look inside it token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import Input, Select, TextArea

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.checkpoint_detail import CheckpointDetail
from nexus_tui.tui.copying import state_folder
from nexus_tui.tui.desk import Desk
from nexus_tui.tui.evolution import begins_with
from nexus_tui.tui.evolution_screen import EvolutionScreen
from nexus_tui.tui.grid_columns import first_columns, marked_columns
from nexus_tui.tui.grid_screen import GridScreen
from nexus_tui.tui.inspector import Inspector
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.long_prompt import LongPrompt, long_prompt
from nexus_tui.tui.presets import Presets
from nexus_tui.tui.prompt_box import NamedPrompt, PromptBox
from nexus_tui.tui.prompt_editor import History
from nexus_tui.tui.prompts import fixed_prompts
from nexus_tui.tui.settings_panel import SettingsPanel
from nexus_tui.tui.source_bar import SourceBar
from nexus_tui.tui.text_screen import TextScreen
from nexus_tui.tui.token_view import TokenView

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Originals

FIRST_PROMPT = "To be, or not to be"
_HINT = "^r writes what follows the prompt; the same seed gives the same text."


def _originals(run: Run) -> Originals:
    from nexus_tui.training.originals import originals_of

    return originals_of(run)


class PlaygroundScreen(TextScreen):
    """Checkpoint, prompt, settings; the text as it comes, what was thought of each token, and its figures."""

    WHERE: ClassVar[Where] = "playground"
    CSS_PATH = "playground_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("playground")

    def compose(self) -> ComposeResult:
        """Source; prompt and settings; text and what is inside it; figures."""
        state = state_folder()
        yield SourceBar(id="source")
        with Container(id="panes"):
            with Vertical(id="ask"):
                yield PromptBox(History(state / "prompts.jsonl"), id="box")
                yield SettingsPanel(Presets(state / "presets.json"), id="settings")
            yield TokenView(id="text")
            yield CheckpointDetail(id="facts")
            yield Inspector(id="inspector")
        yield Lines(id="figures")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """Begin at the prompt."""
        app = self.nexus  # the thread that writes asks it, and knows no screen
        self.desk = Desk(_originals, lambda: app.sampling_share)
        self.set_class(theme.glyphs().ascii, "-ascii")
        self.box.show(FIRST_PROMPT)
        self.box.take_focus()
        self.view.hint(_HINT)

    @property
    def box(self) -> PromptBox:
        """The prompt."""
        return self.query_one(PromptBox)

    @property
    def panel(self) -> SettingsPanel:
        """The settings."""
        return self.query_one(SettingsPanel)

    @property
    def bar(self) -> SourceBar:
        """The checkpoint."""
        return self.query_one(SourceBar)

    # What other screens of the playground begin with -----------------------------------------------------

    @property
    def source(self) -> tuple[Run, str] | None:
        """The run and the name of the checkpoint to write with."""
        bar = self.bar
        return (bar.run, bar.row.name) if bar.run and bar.row else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint to write with."""
        return self.bar.checkpoint

    @property
    def prompt(self) -> str | bytes:
        """What is to be continued; bytes if it is a file that is no UTF-8 text."""
        return self.box.prompt

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts at which to stop."""
        return self.panel.stop

    def settings(self) -> dict[str, Any] | None:
        """The fields as arguments of `Sampling`; None if one is wrong: it then has the focus and says why."""
        if wrong := self.panel.wrong:
            wrong.take_focus()
            self.nexus.say(wrong.reason, "warn")
            return None
        return self.panel.values

    def open_prompt(self, prompt: str | bytes) -> None:
        """Put a prompt in place of the one that is there."""
        self.box.show(prompt if isinstance(prompt, str) else long_prompt("bytes", prompt))

    def choose(self, run: Run, name: str) -> None:
        """Write with this checkpoint from now on."""
        self.bar.choose(self.nexus.current, run, name)
        self.record_changed()

    # Keeping up ------------------------------------------------------------------------------------------

    def record_changed(self) -> None:
        """Keep the lists of runs and checkpoints up to date."""
        if self.is_mounted:
            self.bar.look(self.nexus.current, self.nexus.writers, self.nexus.sampling_share)

    def on_source_bar_changed(self, _: SourceBar.Changed) -> None:
        """Say what is known of another checkpoint; a run without any has no text."""
        self.query_one(CheckpointDetail).tell(self.bar.run, self.bar.row)
        if self.checkpoint is None:
            self.desk.clear()
            self.view.clear()
        self.show_figures()
        self.view.hint(_HINT if self.checkpoint else self.why_not("generate"))
        self.show_keys()

    # Writing ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Writing needs a checkpoint; everything about a text needs one."""
        if not self.is_mounted:
            return ""
        if action in ("generate", "reseed", "score") and self.checkpoint is None:
            return "No checkpoint to write with yet: train a run (n), or choose another one above."
        if action == "grid" and not self._has_columns:
            return self.why_not("generate")
        if action == "evolution" and self.checkpoint is None and not (self.bar.run and self.bar.run.samples):
            return "No checkpoint on record yet: train a run (n), or choose another one above."
        if action == "score" and not self.prompt:
            return "There is no text to score: write or paste one as the prompt."
        return super().why_not(action)

    def action_generate(self) -> None:
        """Write, with what the fields say now; a text that is being written ends."""
        settings, run, checkpoint = self.settings(), self.bar.run, self.checkpoint
        if settings is not None and run and checkpoint:
            self.box.remember()
            self.show_text(self.desk.write(run, checkpoint, self.prompt, settings, self.stop))

    def action_reseed(self) -> None:
        """Write with the next seed."""
        self.panel.next_seed()
        self.action_generate()

    def action_go_on(self) -> None:
        """Go on from the last token."""
        if (settings := self.settings()) is not None:
            self.show_text(self.desk.go_on(settings, self.stop), keep=True)

    def action_score(self) -> None:
        """Score the prompt itself."""
        run, checkpoint = self.bar.run, self.checkpoint
        if run and checkpoint:
            self.box.remember()
            self.show_text(self.desk.score(run, checkpoint, self.prompt))

    @property
    def escape_in_field(self) -> str:
        """Writing is stopped before the field is left."""
        version = self.desk.current
        return "stops writing" if version and version.source.live else super().escape_in_field

    def action_stop(self) -> None:
        """Stop writing; else stop editing; else go back to the training screen."""
        if self.desk.stop():
            return
        if isinstance(self.focused, (TextArea, Input, Select, NamedPrompt, Inspector)):
            self.view.focus()
        else:
            self.nexus.switch_mode("training")

    def action_edit(self) -> None:
        """Go to the prompt."""
        self.box.take_focus()

    def action_step(self, direction: int) -> None:
        """The checkpoint before or after."""
        self.bar.step(direction)

    # Several texts at once -------------------------------------------------------------------------------

    @property
    def _has_columns(self) -> bool:
        return bool(self.checkpoint or len(self.nexus.marks))

    def _make_way(self) -> None:
        """Two texts at once would use twice the share of a core that is theirs beside a training."""
        if self.nexus.sampling_share < 1:
            self.desk.stop()

    def action_grid(self) -> None:
        """Several checkpoints and prompts beside each other."""
        settings = self.settings()
        if settings is not None:
            columns = marked_columns(self.nexus.marks.all) or first_columns(self.source)
            prompts = [self.prompt, *(fixed_prompts(self.bar.run) if self.bar.run else [])]
            settings |= {"stop": self.stop}
            self._make_way()
            self.nexus.push_screen(GridScreen(columns, list(dict.fromkeys(prompts)), settings))

    def action_evolution(self) -> None:
        """This prompt at every checkpoint of the run."""
        run, settings = self.bar.run, self.settings()
        if run and settings is not None:
            first = begins_with(run)
            prompts = [*([] if first is None else [first]), self.prompt, *fixed_prompts(run)]
            settings |= {"stop": self.stop}
            self._make_way()
            self.nexus.push_screen(EvolutionScreen(run, list(dict.fromkeys(prompts)), settings))

    # Settings and prompts from elsewhere -----------------------------------------------------------------

    def action_presets(self) -> None:
        """Choose settings by name."""
        from nexus_tui.tui.presets_dialog import PresetsDialog

        panel = self.panel
        self.nexus.push_screen(PresetsDialog(panel.presets, panel.values), self._take_preset)

    def _take_preset(self, name: str | None) -> None:
        self.panel.set(self.panel.presets.all.get(name or "", {}))

    def action_file(self) -> None:
        """Take a file as the prompt."""
        from nexus_tui.tui.file_dialog import ask_for_prompt

        ask_for_prompt(self.nexus, self._take_file)

    def _take_file(self, prompt: str | LongPrompt) -> None:
        self.box.show(prompt)
        self.box.take_focus()

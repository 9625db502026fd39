"""Mode 5: give a checkpoint a prompt, read what it writes, and look inside it token by token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widgets import Input, Select, TextArea

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.checkpoint_detail import CheckpointDetail
from nexus_tui.tui.copying import copy, state_folder
from nexus_tui.tui.desk import Desk, Version
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
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.settings_panel import SettingsPanel
from nexus_tui.tui.source_bar import SourceBar
from nexus_tui.tui.text_figures import first_line, second_line
from nexus_tui.tui.token_view import TokenView

if TYPE_CHECKING:
    from nexus_tui.data.novelty import Originals

FRAME = 0.1
"""Seconds between two looks at what was written: ten updates a second at most, however fast the model is."""
FIRST_PROMPT = "To be, or not to be"
_HINT = "^r writes what follows the prompt; the same seed gives the same text."
_NO_TEXT = "Nothing is written yet: ^r writes."


def _originals(run: Run) -> Originals:
    from nexus_tui.training.originals import originals_of

    return originals_of(run)


class PlaygroundScreen(ModeScreen):
    """Checkpoint, prompt, settings; the text as it comes, what was thought of each token, and its figures."""

    WHERE: ClassVar[Where] = "playground"
    CSS_PATH = "playground_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("playground")

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(None)
        self._timer: Timer | None = None
        self._frames = 0

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
        self._timer = self.set_interval(FRAME, self._pump, pause=True)
        self.box.show(FIRST_PROMPT)
        self.box.take_focus()
        self.view.hint(_HINT)

    def on_unmount(self) -> None:
        """Leave no thread writing."""
        self.desk.stop()

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

    @property
    def view(self) -> TokenView:
        """The text."""
        return self.query_one(TokenView)

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
            self.bar.look(self.nexus.current, self.nexus.runs, self.nexus.sampling_share)

    def on_source_bar_changed(self, _: SourceBar.Changed) -> None:
        """Say what is known of another checkpoint; a run without any has no text."""
        self.query_one(CheckpointDetail).tell(self.bar.run, self.bar.row)
        if self.checkpoint is None:
            self.desk.clear()
            self.view.clear()
        self._show_figures()
        self.view.hint(_HINT if self.checkpoint else self.why_not("generate"))
        self.show_keys()

    def on_descendant_focus(self) -> None:
        """What is inside the text is shown while the text has the focus."""
        self._look_inside()

    def on_descendant_blur(self) -> None:
        """See above."""
        self._look_inside()

    def on_resize(self) -> None:
        """Figures give way where there is less room."""
        self.call_after_refresh(self._show_figures)

    def _look_inside(self) -> None:
        inside = isinstance(self.focused, (TokenView, Inspector)) and self.desk.current is not None
        self.set_class(inside, "-inside")
        self.view.point(inside)

    def _pump(self) -> None:
        """Show what came since the last time."""
        version = self.desk.current
        if version is None:
            return
        live, busy = version.source.live, version.busy  # asked before taking: what comes between is taken
        self.view.grow(version.take())
        self._frames += 1
        if not live:
            self.view.finish()
            self.show_keys()
        if not busy and self._timer:
            self._timer.pause()
        if not live or self._frames % 5 == 0:  # figures that change ten times a second cannot be read
            self._show_figures()

    def _show_figures(self) -> None:
        lines, version = self.query_one("#figures", Lines), self.desk.current
        if version is None:
            lines.show([])
            return
        width, count = lines.size.width, len(self.desk.versions)
        elsewhere = self.source != (version.run, version.name)
        lines.show(
            [first_line(version, width, elsewhere), second_line(version, self.desk.place + 1, count, width)]
        )

    # Writing ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Writing needs a checkpoint; everything about a text needs one."""
        if not self.is_mounted:
            return ""
        version = self.desk.current
        if action in ("generate", "reseed", "score") and self.checkpoint is None:
            return "No checkpoint to write with yet: train a run (n), or choose another one above."
        if action == "grid" and not self._has_columns:
            return self.why_not("generate")
        if action == "evolution" and self.checkpoint is None and not (self.bar.run and self.bar.run.samples):
            return "No checkpoint on record yet: train a run (n), or choose another one above."
        if action == "score" and not self.prompt:
            return "There is no text to score: write or paste one as the prompt."
        if action in ("copy", "export", "shades", "copied", "go_on") and not (version and len(version.text)):
            return _NO_TEXT
        if action == "go_on" and version and version.source.live:
            return "It is still being written; esc stops it."
        if action == "copied" and version and version.novelty is None:
            reason = getattr(version.source, "no_novelty", "")
            return reason or "What of it is copied is known once the text has been written."
        if action == "undo" and self.desk.place <= 0:
            return "There is no text before this one."
        if action == "redo" and self.desk.place + 1 >= len(self.desk.versions):
            return "There is no text after this one."
        return ""

    async def action_key(self, id: str) -> None:
        """What was said of the key before is over."""
        for bar in self.query(KeyBar):
            bar.hush()
        await super().action_key(id)

    def _show(self, version: Version | None, *, keep: bool = False) -> None:
        """Show a text, and what comes of it."""
        if version is None:
            return
        self.view.open(version.text, version.thoughts, live=version.source.live, keep=keep)
        self._frames = 0
        self._look_inside()
        self._show_figures()
        if self._timer:
            self._timer.resume()
        self.show_keys()

    def action_generate(self) -> None:
        """Write, with what the fields say now; a text that is being written ends."""
        settings, run, checkpoint = self.settings(), self.bar.run, self.checkpoint
        if settings is not None and run and checkpoint:
            self.box.remember()
            self._show(self.desk.write(run, checkpoint, self.prompt, settings, self.stop))

    def action_reseed(self) -> None:
        """Write with the next seed."""
        self.panel.next_seed()
        self.action_generate()

    def action_go_on(self) -> None:
        """Go on from the last token."""
        if (settings := self.settings()) is not None:
            self._show(self.desk.go_on(settings, self.stop), keep=True)

    def action_score(self) -> None:
        """Score the prompt itself."""
        run, checkpoint = self.bar.run, self.checkpoint
        if run and checkpoint:
            self.box.remember()
            self._show(self.desk.score(run, checkpoint, self.prompt))

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

    def action_undo(self) -> None:
        """The text before."""
        if self.desk.move(-1):
            self._show(self.desk.current, keep=True)

    def action_redo(self) -> None:
        """The text after."""
        if self.desk.move(1):
            self._show(self.desk.current, keep=True)

    # Looking inside --------------------------------------------------------------------------------------

    def on_token_view_moved(self, _: TokenView.Moved) -> None:
        """Say what was thought of the token under the cursor."""
        version, place = self.desk.current, self.view.place
        there = version and place is not None and self.view.pointing and place < len(version.thoughts)
        thought = version.thoughts[place] if version and place is not None and there else None
        if version and thought and place is not None:
            where = f"token {place + 1:,} of {len(version.thoughts):,}"
            self.query_one(Inspector).tell(thought, where, len(version.thoughts.vocabulary))
        else:
            self.query_one(Inspector).tell(None)

    def on_token_view_entered(self, _: TokenView.Entered) -> None:
        """To the alternatives."""
        self.query_one(Inspector).focus()

    def on_inspector_moved(self, event: Inspector.Moved) -> None:
        """Another token."""
        self.view.action_token(event.by)

    def on_inspector_left(self, _: Inspector.Left) -> None:
        """Back to the text."""
        self.view.focus()

    def on_inspector_chosen(self, event: Inspector.Chosen) -> None:
        """Branch from an alternative."""
        place, settings = self.view.place, self.settings()
        if place is not None and settings is not None:
            self.view.cursor = place
            self._show(self.desk.branch(place, event.option, settings, self.stop), keep=True)
            self.view.focus()

    def action_shades(self) -> None:
        """Off, shades, bits."""
        said = {
            "off": "How surprising each token was is not shown.",
            "shades": "The more colour behind a token, the more surprising it was.",
            "bits": "Under each token, how surprising it was in bits; 9 is 9 or more.",
        }
        self.nexus.say(said[self.view.next_shading()])

    def action_copied(self) -> None:
        """Underline what is copied, and say where it stands in the training text; again to take it away."""
        version = self.desk.current
        if version is None or version.novelty is None:
            return
        if self.view.marked:
            self.view.mark(None)
            return
        start, end = version.novelty.span
        self.view.mark(version.thoughts.of_bytes(start, end))
        words = version.written[start:end].decode(errors="replace")
        corpus = Path(str(version.run.setting("data.corpus", "the training text"))).name
        said = f"{end - start:,} bytes stand at line {version.novelty.line:,} of {corpus}: {plain(words)}"
        self.nexus.say(fit(said, self.size.width - 2) if end > start else "Nothing is copied.")

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

    # Taking along ----------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy prompt and text."""
        text = self.view.text
        self.nexus.say(copy(self.app, text, f"{len(text):,} characters"))

    def action_export(self) -> None:
        """Write everything about the text into a file."""
        from nexus_tui.tui.copying import export
        from nexus_tui.tui.text_markdown import markdown

        if version := self.desk.current:
            stem = f"{version.run.name}-{version.checkpoint.step}-{'score' if version.scored else 'text'}"
            self.nexus.say(export(stem, markdown(version, self.nexus.clock())))

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

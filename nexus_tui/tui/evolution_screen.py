"""Over the playground: one prompt at every checkpoint of a run, in order of steps, and what becomes of it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.timer import Timer

from nexus_tui.runs.run import Run
from nexus_tui.tui import evolution, theme
from nexus_tui.tui.checkpoint_rows import signature
from nexus_tui.tui.choir import Choir
from nexus_tui.tui.copying import copy, export
from nexus_tui.tui.evolution import Sample
from nexus_tui.tui.evolution_charts import FIGURES, EvolutionCharts
from nexus_tui.tui.flow import flow
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread
from nexus_tui.tui.lines_view import LinesView
from nexus_tui.tui.prompt_dialog import PromptDialog, can_edit
from nexus_tui.tui.prompts import Prompt, one_line, shown
from nexus_tui.tui.rows_view import RowsView
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.seats import Seats

FRAME = 0.1
"""Seconds between two looks at what was written."""
TALLEST = 4
"""Lines of a text in the list, where there is room for so many."""


class EvolutionScreen(ModeScreen):
    """Curves of the figures, a row for each checkpoint, and the text under the cursor whole.

    Args:
        run: whose checkpoints; what is saved meanwhile comes to them.
        prompts: to choose from, the first one first; one at least.
        settings: arguments of `Sampling`.
    """

    WHERE: ClassVar[Where] = "evolution"
    CSS_PATH = "evolution_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("evolution")
    AUTO_FOCUS = "RowsView"

    def __init__(self, run: Run, prompts: list[Prompt], settings: dict[str, Any]) -> None:
        super().__init__()
        self.run = run
        self.prompts = prompts
        self.prompt = prompts[0]
        self.settings = settings
        self.samples: list[Sample] = []
        self._seats = Seats()
        self._choir: Choir | None = None
        self._sung: list[Sample] = []
        """What the choir was given."""
        self._timer: Timer | None = None
        self._follows = True
        """Whether the cursor stays on the newest text; until the user moves it."""
        self._drawn: object = None
        self._record: object = None
        self._chart = 0
        self._said = ""
        self._rows: dict[str, tuple[object, list[Line]]] = {}
        """By name: what was drawn of each row, and what of."""

    def compose(self) -> ComposeResult:
        """What it is, curves, list, the whole text, keys."""
        yield Lines(id="about")
        yield Lines(id="prompt")
        with Container(id="panes"):
            yield EvolutionCharts(id="charts")
            with Container(id="texts"):
                yield Lines(id="titles")
                yield RowsView(id="rows")
                yield LinesView(id="whole")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """Write at once: that is what one came for."""
        self.set_class(theme.glyphs().ascii, "-ascii")
        self.query_one("#whole", LinesView).can_focus = False
        self.query_one("#titles", Lines).show([evolution.title()])
        self.query_one(EvolutionCharts).choose(self._chart)
        self._timer = self.set_interval(FRAME, self._look, pause=True)
        self.action_write()

    def on_unmount(self) -> None:
        """Leave no thread writing."""
        if self._choir:
            self._choir.stop()

    def on_resize(self) -> None:
        """Another size has room for other lines."""
        self._drawn = None
        self.call_after_refresh(self._draw)
        self.call_after_refresh(self.show_keys)

    def record_changed(self) -> None:
        """A checkpoint that was saved meanwhile is written too; the true best may be another one."""
        if self.is_mounted and signature(self.run) != self._record:
            self._update()

    def colors_changed(self) -> None:
        """Draw everything again."""
        self._drawn = None
        super().colors_changed()
        self._draw()

    # Writing ---------------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether anything is being written or worked out."""
        return self._choir is not None and self._choir.live

    @property
    def sample(self) -> Sample | None:
        """The one under the cursor."""
        cursor = self.query_one(RowsView).cursor if self.is_mounted else 0
        return self.samples[cursor] if cursor < len(self.samples) else None

    def action_write(self) -> None:
        """Write all of it, from the beginning."""
        self.samples, self._follows = [], True
        if self._choir:
            self._choir.stop()
            self._choir = None
        self._update()

    def _update(self) -> None:
        """Bring the list in line with the record, and write what is new in it."""
        self._record = signature(self.run)
        self.samples = evolution.samples(self.run, self.prompt, self.settings, self.samples)
        self._drawn = None
        if not self.live:
            self._sing()
        self._draw()
        self.show_keys()

    def _sing(self) -> None:
        """Write what is not written yet, one after another."""
        self._sung = list(self.samples)
        app, order = self.nexus, [[sample.voice] for sample in self._sung]
        self._choir = Choir(order, self._seats, share=lambda: app.sampling_share)
        self._choir.start()
        if self._timer:
            self._timer.resume()

    def _look(self) -> None:
        """Show what came since the last time."""
        live = self.live  # asked before drawing: what comes between the two is drawn
        self._draw()
        unknown = next((sample.voice.unknown for sample in self.samples if sample.voice.unknown), "")
        if unknown and unknown != self._said:
            self._said = unknown
            self.nexus.say(unknown, "warn")
        if live or self._timer is None:
            return
        waiting = any(sample.voice.state == "waiting" for sample in self.samples)
        if waiting and self._sung != self.samples:
            self._sing()
        else:
            self._timer.pause()
            self.show_keys()

    # Drawing ---------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Bring every line up to date; the widgets repaint those that differ."""
        if not self.is_mounted or not self.size.width:
            return
        self._show_head()
        news = tuple((id(sample.voice), sample.voice.revision) for sample in self.samples)
        if news == self._drawn:
            return
        self._drawn = news
        rows, count = self.query_one(RowsView), max(1, len(self.samples))
        width, room = rows.size.width, self.query_one("#texts").size.height - 1
        room = max(1, min(room * 3 // 5, room - 7))  # the text below is worth some lines
        tall = max(1, min(TALLEST, room // count))
        rows.styles.height = min(room, tall * count)  # assigning the same again lays nothing out
        rows.show_rows([self._lines(sample, width, tall) for sample in self.samples], tall)
        if self._follows and self.samples:
            rows.go_to(self._newest())
        self.query_one(EvolutionCharts).show_samples(self.samples, self.run.total_steps)
        self._show_whole()

    def _lines(self, sample: Sample, width: int, tall: int) -> list[Line]:
        """The lines of a row; those of the last time, if nothing in it is new."""
        news = (id(sample.voice), sample.voice.revision, sample.row, width, tall, theme.glyphs().ascii)
        known = self._rows.get(sample.name)
        if known is None or known[0] != news:
            known = self._rows[sample.name] = (news, evolution.lines(sample, width, tall))
        return known[1]

    def _newest(self) -> int:
        """The row being written; else the last one."""
        begun = [i for i, sample in enumerate(self.samples) if sample.voice.state in ("opening", "writing")]
        return begun[0] if begun else len(self.samples) - 1

    def _show_whole(self, top: bool = False) -> None:
        sample, view = self.sample, self.query_one("#whole", LinesView)
        width = view.size.width - 2
        view.show(evolution.whole(sample, width) if sample else self._nothing(width), top=top)
        if self._follows and sample and sample.voice.figures.tokens:
            # What is being written is in sight; what is written is read from its beginning.
            place = view.max_scroll_y if sample.voice.live else 0
            if view.scroll_offset.y != place:
                view.scroll_to(y=place, animate=False, force=True)
        self.query_one(EvolutionCharts).point_at(sample)

    def _nothing(self, width: int) -> list[Line]:
        """Why there is no text, and what to do."""
        lacks = "has no checkpoint to write with and nothing on record after this prompt"
        return flow([(f"{plain(self.run.name)} {lacks}; [ and ] choose another one.", "muted")], width)

    def _show_head(self) -> None:
        width = self.size.width
        written = [sample.voice for sample in self.samples if not sample.recorded]
        old = sum(sample.recorded is not None for sample in self.samples)
        ended = sum(not voice.live for voice in written)
        left: list[Span] = [(" evolution", "text!"), (f"   {plain(self.run.name)}", "text")]
        left.append((f"   {len(self.samples)} checkpoint{'s' * (len(self.samples) != 1)}", "muted"))
        if old:
            left.append((f"   {evolution.on_record()} {old} on record", "muted"))
        state: Span = ("done", "good")
        if self.live and written and not any(voice.figures.tokens for voice in written):
            state = ("opening", "live")
        elif self.live and ended < len(written):
            state = (f"writing {ended + 1} of {len(written)}", "live")
        elif self.live:
            state = ("comparing with the training text", "live")
        elif any(voice.state == "stopped" for voice in written):
            state = ("stopped", "warn")
        seed: list[Span] = [(f"seed {self.settings.get('seed', 0)}   ", "muted")] if written else []
        self.query_one("#about", Lines).show([spread(left, (*seed, state, (" ", "text")), width)])
        place = f"{self.prompts.index(self.prompt) + 1} of {len(self.prompts)} "
        words: Line = ((" after ", "muted"), (one_line(self.prompt, width - len(place) - 12), "text!"))
        self.query_one("#prompt", Lines).show([spread(words, ((place, "muted"),), width)])

    # Moving ----------------------------------------------------------------------------------------------

    def on_rows_view_moved(self, _: RowsView.Moved) -> None:
        """Another row; it is followed no longer, but from the last one on again."""
        self._follows = self.query_one(RowsView).cursor == self._newest()
        self._show_whole(top=True)
        self.show_keys()

    def action_chart(self, direction: int) -> None:
        """The next curve, where there is room for one alone."""
        self._chart = (self._chart + direction) % len(FIGURES)
        self.query_one(EvolutionCharts).choose(self._chart)

    def action_scroll_whole(self, lines: int) -> None:
        """Move the whole text."""
        view = self.query_one("#whole", LinesView)
        view.scroll_to(y=view.scroll_offset.y + lines, animate=False, force=True)

    def action_best(self) -> None:
        """Go to the true best."""
        best = next((index for index, sample in enumerate(self.samples) if sample.best), None)
        if best is not None:
            self.query_one(RowsView).go_to(best)
            self.on_rows_view_moved(RowsView.Moved())

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Opening needs weights; the rest, texts."""
        sample = self.sample
        if action == "open" and (sample is None or not sample.row or not sample.row.checkpoint):
            step = f" of step {sample.step:,}" if sample else ""
            return f"The weights{step} are not here, so there is nothing to write with."
        if action in ("seed", "write") and all(sample.recorded for sample in self.samples):
            return f"{plain(self.run.name)} has no checkpoint to write with; these texts are on record."
        if action == "chart" and (self.has_class("-normal") or self.has_class("-wide")):
            return "All curves are in sight."
        if action in ("export", "copy") and not self.samples:
            return "There is no text yet."
        if action == "take" and len(self.prompts) == 1:
            return "There is one prompt; p asks for another."
        return ""

    def action_seed(self) -> None:
        """Write all of it with the next seed."""
        self.settings = {**self.settings, "seed": (int(self.settings.get("seed", 0)) + 1) % 2**64}
        self.action_write()

    def action_take(self, direction: int) -> None:
        """The next prompt of those that are at hand."""
        place = (self.prompts.index(self.prompt) + direction) % len(self.prompts)
        self.prompt = self.prompts[place]
        self.action_write()

    def action_ask(self) -> None:
        """Ask for another prompt."""
        text = shown(self.prompt) if can_edit(self.prompt) else ""
        self.nexus.push_screen(PromptDialog("A prompt for every checkpoint", text), self._asked)

    def _asked(self, prompt: str | None) -> None:
        if prompt is None or prompt == self.prompt:
            return
        if prompt not in self.prompts:
            self.prompts.append(prompt)
        self.prompt = prompt
        self.action_write()

    def action_open(self) -> None:
        """Checkpoint and prompt in the playground."""
        sample = self.sample
        if sample is None:
            return
        from nexus_tui.tui.playground_screen import PlaygroundScreen

        self.dismiss()
        playground = cast(PlaygroundScreen, self.nexus.screen_stack[0])
        playground.choose(self.run, sample.name)
        playground.open_prompt(self.prompt)

    def markdown(self) -> str:
        """All texts and figures as a Markdown table."""
        return evolution.markdown(self.run, self.prompt, self.settings, self.samples)

    def action_export(self) -> None:
        """Write the texts to a file."""
        name = f"evolution-{self.run.name}-seed-{self.settings.get('seed', 0)}"
        self.nexus.say(export(name, self.markdown()))

    def action_copy(self) -> None:
        """Copy the texts."""
        self.nexus.say(copy(self.app, self.markdown(), "the evolution"))

    def action_back(self) -> None:
        """Stop writing; else back to the playground."""
        if self.live and self._choir:
            self._choir.stop()
        else:
            self.dismiss()

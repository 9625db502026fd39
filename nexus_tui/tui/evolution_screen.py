"""Over the playground: one prompt at every checkpoint of a run, in order of steps, and what becomes of it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container

from nexus_tui.runs.run import Run
from nexus_tui.tui import evolution, theme
from nexus_tui.tui.checkpoint_rows import signature
from nexus_tui.tui.evolution import Sample
from nexus_tui.tui.evolution_charts import FIGURES, EvolutionCharts
from nexus_tui.tui.flow import flow
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread
from nexus_tui.tui.lines_view import LinesView
from nexus_tui.tui.listing import Column
from nexus_tui.tui.many_texts import ManyTexts
from nexus_tui.tui.prompt_dialog import PromptDialog, can_edit
from nexus_tui.tui.prompts import Prompt, one_line, shown
from nexus_tui.tui.rows_view import RowsView
from nexus_tui.tui.safe import plain
from nexus_tui.tui.voice import Voice

TALLEST = 4
"""Lines of a text in the list, where there is room for so many."""


class EvolutionScreen(ManyTexts):
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
        super().__init__(settings)
        self.run = run
        self.prompts = prompts
        self.prompt = prompts[0]
        self.samples: list[Sample] = []
        self._sung: list[Voice] = []
        """What the choir was given."""
        self._follows = True
        """Whether the cursor stays on the newest text; until the user moves it."""
        self._drawn: object = None
        self._record: object = None
        self._chart = 0
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
        """The whole text is scrolled by the screen's own keys."""
        self.query_one("#whole", LinesView).can_focus = False
        self.query_one("#titles", Lines).show([evolution.title()])
        self.query_one(EvolutionCharts).choose(self._chart)

    def on_resize(self) -> None:
        """Another size has room for other lines."""
        self._drawn = None
        self.call_after_refresh(self.draw)
        self.call_after_refresh(self.show_keys)

    def record_changed(self) -> None:
        """A checkpoint that was saved meanwhile is written too; the true best may be another one."""
        if self.is_mounted and signature(self.run) != self._record:
            self._update()

    def colors_changed(self) -> None:
        """Draw everything again."""
        self._drawn = None
        super().colors_changed()
        self.draw()

    # Writing ---------------------------------------------------------------------------------------------

    @property
    def voices(self) -> list[Voice]:
        """Every text, in order of steps."""
        return [sample.voice for sample in self.samples]

    @property
    def sample(self) -> Sample | None:
        """The one under the cursor."""
        cursor = self.query_one(RowsView).cursor if self.is_mounted else 0
        return self.samples[cursor] if cursor < len(self.samples) else None

    def action_write(self) -> None:
        """Write all of it, from the beginning."""
        self.samples, self._follows = [], True
        self._update(anew=True)

    def _update(self, anew: bool = False) -> None:
        """Bring the list in line with the record; what is new in it is written after the rest."""
        self._record = signature(self.run)
        self.samples = evolution.samples(self.run, self.prompt, self.settings, self.samples)
        self._drawn = None
        if anew or not self.live:
            self._begin()
        self.draw()
        self.show_keys()

    def _begin(self) -> None:
        """Write what is not written yet, one after another."""
        self._sung = self.voices
        self.sing([[voice] for voice in self._sung])

    def ended(self) -> bool:
        """Whether nothing came to the list since the choir began."""
        more = any(voice.state == "waiting" for voice in self.voices) and self._sung != self.voices
        if more:
            self._begin()
        return not more

    # Drawing ---------------------------------------------------------------------------------------------

    def draw(self) -> None:
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
        columns = evolution.columns(self.samples)
        self.query_one("#titles", Lines).show([evolution.title(columns)])
        rows.show_rows([self._lines(sample, width, tall, columns) for sample in self.samples], tall)
        if self._follows and self.samples:
            rows.go_to(self._newest())
        self.query_one(EvolutionCharts).show_samples(self.samples, self.run.total_steps)
        self._show_whole()

    def _lines(self, sample: Sample, width: int, tall: int, columns: tuple[Column, ...]) -> list[Line]:
        """The lines of a row; those of the last time, if nothing in it is new."""
        news = (
            id(sample.voice),
            sample.voice.revision,
            sample.row,
            width,
            tall,
            columns,
            theme.glyphs().ascii,
        )
        known = self._rows.get(sample.name)
        if known is None or known[0] != news:
            known = self._rows[sample.name] = (news, evolution.lines(sample, width, tall, columns))
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
        old = sum(sample.recorded is not None for sample in self.samples)
        left: list[Span] = [(" evolution", "text!"), (f"   {plain(self.run.name)}", "text")]
        left.append((f"   {len(self.samples)} checkpoint{'s' * (len(self.samples) != 1)}", "muted"))
        if old:
            left.append((f"   {evolution.on_record()} {old} on record", "muted"))
        self.query_one("#about", Lines).show([spread(left, self.state(), width)])
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
            step = f" of {sample.row.title if sample.row else f'step {sample.step:,}'}" if sample else ""
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
        if sample := self.sample:
            self.open_in_playground(self.run, sample.name, self.prompt)

    def markdown(self) -> str:
        """All texts and figures as a Markdown table."""
        return evolution.markdown(self.run, self.prompt, self.settings, self.samples)

    @property
    def stem(self) -> str:
        """The evolution of this run."""
        return f"evolution-{self.run.name}"

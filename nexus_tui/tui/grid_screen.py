"""Over the playground: several checkpoints × several prompts, all with the same draws."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from nexus_tui.tui import grid
from nexus_tui.tui.choir import arranged
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.grid import View
from nexus_tui.tui.grid_columns import Column
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread
from nexus_tui.tui.lines_view import LinesView
from nexus_tui.tui.many_texts import ManyTexts
from nexus_tui.tui.marks import MOST
from nexus_tui.tui.prompt_dialog import PromptDialog, can_edit
from nexus_tui.tui.prompts import Prompt, shown
from nexus_tui.tui.voice import Voice


class GridScreen(ManyTexts):
    """Heads of the columns, and a row of texts for each prompt, which scroll together.

    Args:
        columns: the checkpoints, at most MOST.
        prompts: the prompts, one at least.
        settings: arguments of `Sampling`, the same for all.
    """

    WHERE: ClassVar[Where] = "grid"
    CSS_PATH = "grid_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("grid")
    AUTO_FOCUS = ""

    def __init__(self, columns: list[Column], prompts: list[Prompt], settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.columns = columns
        self.prompts = prompts
        self.reference = 0
        self.column = 0
        """Index of the column under the cursor."""
        self.row = 0
        """Index of the row under the cursor."""
        self.texts: list[list[Voice]] = []
        """A row for each prompt, in it a voice for each column."""
        self._view = View((), 1)
        self._blocks: list[tuple[object, list[Line]]] = []
        self._tops: list[int] = []

    def compose(self) -> ComposeResult:
        """What it is, heads, texts, keys."""
        yield Lines(id="about")
        yield Lines(id="heads")
        yield LinesView(id="texts")
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """The screen's own keys scroll, all at once."""
        self.query_one(LinesView).can_focus = False

    def on_resize(self) -> None:
        """Another width has room for other columns."""
        self.call_after_refresh(self.draw)

    def record_changed(self) -> None:
        """Losses and the true best may be others now."""
        if self.is_mounted:
            self.draw()

    def colors_changed(self) -> None:
        """Draw everything again."""
        self._blocks = []
        super().colors_changed()

    # Writing ---------------------------------------------------------------------------------------------

    @property
    def voices(self) -> list[Voice]:
        """Every text, row after row."""
        return [voice for row in self.texts for voice in row]

    def action_write(self) -> None:
        """Write all of it, from the beginning."""
        self.texts = []
        self._write()

    def _write(self) -> None:
        """Write what is not written yet; what is stays as it is."""
        old = {_key(voice): voice for voice in self.voices}
        self.texts = [
            [self._voice(column, prompt, old) for column in self.columns] for prompt in self.prompts
        ]
        self.sing(arranged(self.texts, self.seats))
        self.draw()
        self.show_keys()

    def _voice(self, column: Column, prompt: Prompt, old: dict[Any, Voice]) -> Voice:
        """A text that is already there, or a new one; never the same for two columns."""
        new = column.voice(prompt, self.settings)
        kept = old.pop(_key(new), None)
        return kept if kept and not kept.live else new

    # Drawing ---------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Bring every line up to date; the widgets repaint those that differ."""
        if not self.is_mounted or not self.size.width:
            return
        width = self.size.width - 2
        self._view = grid.view(len(self.columns), self.reference, self.column, self._view.columns, width)
        self.query_one("#about", Lines).show([self._about(width)])
        self.query_one("#heads", Lines).show(grid.beside(self._heads(), self._view.width))
        lines: list[Line] = []
        self._tops, old, self._blocks = [], self._blocks, []
        for number, voices in enumerate(self.texts):
            self._tops.append(len(lines))
            block = self._block(number, voices, old[number] if number < len(old) else None)
            self._blocks.append(block)
            lines += block[1]
        self.query_one(LinesView).show(lines)

    def _block(
        self, number: int, voices: list[Voice], old: tuple[object, list[Line]] | None
    ) -> tuple[object, list[Line]]:
        """The lines of one row; those of the last time, if nothing in it is new."""
        here = number == self.row
        news = (here, self.reference, self._view, tuple((id(v), v.revision) for v in voices))
        if old and old[0] == news:
            return old
        letters = [column.letter for column in self.columns]
        blocks = grid.cells(voices, letters, self.reference, self._view)
        title = grid.title(number + 1, self.prompts[number], self.size.width - 2, here)
        return news, [title, *grid.beside(blocks, self._view.width), ()]

    def _heads(self) -> list[list[Line]]:
        several = len({column.run.folder for column in self.columns}) > 1
        stand = [grid.relations(voices, self.reference) for voices in self.texts]
        heads = []
        for index in self._view.columns:
            pairs = [(row[index], each[index]) for row, each in zip(self.texts, stand, strict=True)]
            heads.append(
                grid.head(
                    self.columns[index],
                    index == self.reference,
                    index == self.column,
                    grid.summary(pairs),
                    self._view.width,
                    several,
                )
            )
        return heads

    def _about(self, width: int) -> Line:
        size = f"{len(self.columns)} checkpoint{'s' * (len(self.columns) > 1)} × {len(self.prompts)} prompt"
        left: list[Span] = [(" grid", "text!"), (f"   {size}{'s' * (len(self.prompts) > 1)}", "text")]
        hidden = len(self.columns) - len(self._view.columns)
        if hidden:
            left.append((f"   {hidden} not in sight", "muted"))
        if len({column.tokenizer for column in self.columns} - {""}) > 1:
            # The same position is another place of the text, so the draws are not the same either.
            left.append(("   tokenizers differ: compare bits/byte", "warn"))
        return spread(left, self.state(), width + 2)

    # Moving ----------------------------------------------------------------------------------------------

    def action_column(self, direction: int) -> None:
        """The column to the left or right."""
        self.column = max(0, min(self.column + direction, len(self.columns) - 1))
        self.draw()
        self.show_keys()

    def action_row(self, direction: int) -> None:
        """The row before or after, its prompt on top if there is room below."""
        self.row = max(0, min(self.row + direction, len(self.prompts) - 1))
        texts = self.query_one(LinesView)
        self.draw()
        texts.scroll_to(y=min(self._tops[self.row], texts.max_scroll_y), animate=False, force=True)

    def action_scroll(self, lines: int) -> None:
        """Move all texts by so many lines; the cursor's row stays in sight."""
        self._scroll(lines)

    def action_page(self, pages: int) -> None:
        """Move all texts by so many screenfuls."""
        self._scroll(pages * max(1, self.query_one(LinesView).size.height - 1))

    def action_end(self, last: int) -> None:
        """Go to the first row, or to the last."""
        self._scroll(1_000_000 if last else -1_000_000)

    def _scroll(self, lines: int) -> None:
        texts = self.query_one(LinesView)
        top = max(0, min(texts.scroll_offset.y + lines, texts.max_scroll_y))
        texts.scroll_to(y=top, animate=False, force=True)
        bottom = top + texts.size.height
        ends = [start + len(lines) for start, (_, lines) in zip(self._tops, self._blocks, strict=True)]
        seen = [row for row, end in enumerate(ends) if end - 1 > top and self._tops[row] < bottom]
        if seen and self.row not in seen:
            self.row = seen[0] if self.row < seen[0] else seen[-1]
        self.draw()

    # Changing what is written ----------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """A row and a column must stay, and there is room for so many."""
        if action == "remove" and len(self.prompts) == 1:
            return "This is the only prompt; e changes it."
        if action == "fewer" and len(self.columns) == 1:
            return "This is the only column; [ and ] choose another checkpoint."
        if action == "more" and len(self.columns) == MOST:
            return f"There are {MOST} columns, which is as many as there can be; - removes one."
        if action == "edit" and not can_edit(self.prompts[self.row]):
            return "This prompt is too long or too strange for an editor; a adds another one."
        return ""

    def action_refer(self) -> None:
        """The column under the cursor is what the others are set against."""
        self.reference = self.column
        self.draw()

    def action_add(self) -> None:
        """Ask for another prompt."""
        self.nexus.push_screen(PromptDialog("Add a prompt"), self._added)

    def _added(self, prompt: str | None) -> None:
        if prompt is None:
            return
        if prompt not in self.prompts:
            self.prompts.append(prompt)
            self._write()
        self.row = self.prompts.index(prompt)
        self.call_after_refresh(self.action_row, 0)

    def action_edit(self) -> None:
        """Ask for another prompt in place of this row's."""
        self.nexus.push_screen(PromptDialog("Change the prompt", shown(self.prompts[self.row])), self._edited)

    def _edited(self, prompt: str | None) -> None:
        if prompt is not None and prompt not in self.prompts:
            self.prompts[self.row] = prompt
            self._write()

    def action_remove(self) -> None:
        """Take the row under the cursor out."""
        del self.prompts[self.row]
        self.row = min(self.row, len(self.prompts) - 1)
        self._write()
        self.call_after_refresh(self.action_row, 0)

    def action_more(self) -> None:
        """A copy of the column under the cursor, to its right: `[` and `]` change it."""
        taken = {column.place for column in self.columns}
        free = next(place for place in range(MOST) if place not in taken)
        here = self.columns[self.column]
        self.columns.insert(self.column + 1, Column(here.run, here.name, free))
        self.reference += self.reference > self.column
        self.column += 1
        self._write()

    def action_fewer(self) -> None:
        """Take the column under the cursor out; the first one is then the reference, if this was it."""
        del self.columns[self.column]
        if self.reference >= self.column:
            self.reference = self.reference - 1 if self.reference > self.column else 0
        self.column = min(self.column, len(self.columns) - 1)
        self._write()

    def action_step(self, direction: int) -> None:
        """The checkpoint before or after in the column under the cursor."""
        column = self.columns[self.column]
        kept = [row.name for row in checkpoints(column.run) if row.checkpoint]
        if not kept:
            return
        place = kept.index(column.name) + direction if column.name in kept else len(kept) - 1
        name = kept[max(0, min(place, len(kept) - 1))]
        if name != column.name:
            self.columns[self.column] = Column(column.run, name, column.place)
            self._write()

    # Taking it elsewhere ---------------------------------------------------------------------------------

    def markdown(self) -> str:
        """All texts and figures as Markdown tables."""
        return grid.markdown(self.columns, self.prompts, self.texts, self.reference, self.settings)

    @property
    def stem(self) -> str:
        """The grid of the reference's run."""
        return f"grid-{self.columns[self.reference].run.name}"

    # Leaving ---------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """The cell under the cursor in the playground."""
        column = self.columns[self.column]
        self.open_in_playground(column.run, column.name, self.prompts[self.row])


def _key(voice: Voice) -> tuple[object, ...]:
    """What a text is of, whatever its settings."""
    part = voice.part
    return (part.run.folder, part.checkpoint and part.checkpoint.path, part.prompt)

"""Mode 4: two to eight checkpoints side by side, to decide which to keep."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.analyst import Analyst
from nexus_tui.tui.checkpoint_rows import signature
from nexus_tui.tui.compare_average import AverageSection
from nexus_tui.tui.compare_choice import chosen, nothing_to_compare
from nexus_tui.tui.compare_classes import ClassesSection
from nexus_tui.tui.compare_config import ConfigSection
from nexus_tui.tui.compare_export import markdown, stem
from nexus_tui.tui.compare_head import SectionTabs, head, info
from nexus_tui.tui.compare_layers import LayersSection
from nexus_tui.tui.compare_pairs import PairsSection
from nexus_tui.tui.compare_position import PositionSection
from nexus_tui.tui.compare_saving import home, save, save_dialog, why_not_save
from nexus_tui.tui.compare_section import Section
from nexus_tui.tui.compare_table import CompareTable, method_of
from nexus_tui.tui.compare_windows import WindowList, WindowsSection
from nexus_tui.tui.compare_words import explained
from nexus_tui.tui.comparing import Comparing, comparing
from nexus_tui.tui.copying import copy, export
from nexus_tui.tui.dialogs import ErrorDialog
from nexus_tui.tui.flow import flow
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.marks import Marked
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.window_text import WindowText

if TYPE_CHECKING:
    from nexus_tui.analysis.average import Average

SECTIONS: tuple[type[Section], ...] = (
    PairsSection,
    PositionSection,
    ClassesSection,
    WindowsSection,
    LayersSection,
    AverageSection,
    ConfigSection,
)
GLANCE = 0.2
"""Seconds between two looks at what is being worked out."""


class CompareScreen(ModeScreen):
    """A verdict in one sentence, the overview, and below it one section at a time."""

    WHERE: ClassVar[Where] = "compare"
    CSS_PATH = "compare_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("compare")
    AUTO_FOCUS = "CompareTable"

    def __init__(self) -> None:
        super().__init__()
        self.analyst = Analyst()
        self._c: Comparing | None = None
        self._filled = 0
        """How many of the compared ones the user did not mark."""
        self._pair: tuple[str, str] | None = None
        """The letters of the two that the user chose to look at together."""
        self._drawn: tuple[object, ...] = ()
        self._stopped = False
        """Whether the user cancelled what this section needs."""
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Head, verdict, overview, one line about the row or the work, the sections' names, a section."""
        yield Lines(id="head")
        yield Lines(id="verdict")
        yield CompareTable(id="table")
        yield Lines(id="info")
        yield SectionTabs([(section.NAME, section.LETTER) for section in SECTIONS], id="tabs")
        with ContentSwitcher(initial=SECTIONS[0].NAME, id="sections"):
            for section in SECTIONS:
                yield section()
        yield KeyBar(self.WHERE)

    def on_mount(self) -> None:
        """Look at the work from time to time, while there is any."""
        self.set_class(theme.glyphs().ascii, "-ascii")
        self._timer = self.set_interval(GLANCE, self._glance, pause=True)

    def on_unmount(self) -> None:
        """Leave no thread computing."""
        self.analyst.cancel()

    @property
    def table(self) -> CompareTable:
        """The overview."""
        return self.query_one(CompareTable)

    @property
    def section(self) -> Section:
        """The section that is seen."""
        return self.query_one(f"#{self.query_one(ContentSwitcher).current}", Section)

    @property
    def part(self) -> Where | None:
        """The list of windows and the text of one have keys of their own."""
        if isinstance(self.focused, WindowText):
            return "reading"
        return "windows" if isinstance(self.focused, WindowList) else None

    # Drawing ---------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Another width has room for something else."""
        self._drawn = ()
        self.call_after_refresh(self.record_changed)

    def colors_changed(self) -> None:
        """The letters have other colours."""
        self._drawn = ()
        self.record_changed()
        super().colors_changed()

    def record_changed(self) -> None:
        """Draw what is new: other marks, runs that grew, results that came."""
        if not self.is_mounted or not self.query(KeyBar):
            return
        marked, self._filled = chosen(self.nexus.marks.all, self.nexus.current)
        runs = {one.run.folder: signature(one.run) for one in marked}
        news = (tuple(marked), tuple(runs.values()), self.analyst.revision, self._pair, self.size)
        if news != self._drawn:
            before = self._drawn
            self._drawn = news
            self._c = self._compare(marked)
            if not before or before[0] != news[0]:
                self._stopped = False
            self._want()
            self._draw()

    def _compare(self, marked: list[Marked]) -> Comparing | None:
        if len(marked) < 2:
            return None
        c = comparing(marked, self.analyst, theme.palette(self.app))
        places = {row.letter: place for place, row in enumerate(c.rows)}
        if self._pair and set(self._pair) <= set(places):
            c.pair = (places[self._pair[0]], places[self._pair[1]])
        else:
            self._pair, c.pair = None, c.foremost
        return c

    def _draw(self) -> None:
        c, width = self._c, self.size.width - 2
        self.set_class(c is None, "-nothing")
        self.query_one("#head", Lines).show([head(c, self._filled, width)])
        words = flow(explained(c) if c else nothing_to_compare(self.nexus.current), width)
        lines = self.query_one("#verdict", Lines)
        lines.styles.height = len(words)
        lines.show(words)
        if c:
            self.table.show_rows(c)
            self.table.styles.height = len(self.table.rows) + 1
            self.section.show(c)
        self.call_after_refresh(self._inform)  # the columns are chosen once the table has its size
        self.show_keys()

    def _inform(self) -> None:
        """The line under the overview: what is being done, else what the row has no columns for."""
        self.query_one("#info", Lines).show([info(self.analyst, self._c, self.table, self.size.width - 2)])

    def _want(self) -> None:
        """Ask for what the section needs, unless the user has cancelled it."""
        if self._c and not self._stopped:
            self.analyst.ask(*self.section.jobs(self._c))
        if self._timer and self.analyst.live:
            self._timer.resume()
            self._inform()

    def _glance(self) -> None:
        """See how far the work is."""
        if not self.analyst.live and self._timer:
            self._timer.pause()
        self.record_changed()
        self._inform()

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Another row of the overview."""
        self.section.leave()
        self._inform()
        self.show_keys()

    async def on_listing_opened(self, _: Listing.Opened) -> None:
        """Clicked twice: sample from it."""
        await self.action_key("compare.sample")

    # Moving about ----------------------------------------------------------------------------------------

    def action_into(self) -> None:
        """From the overview into the section."""
        self.section.enter()

    def action_out(self) -> None:
        """From the section to the overview."""
        self.table.focus()

    def action_next_section(self, direction: int) -> None:
        """The section after or before."""
        names = [section.NAME for section in SECTIONS]
        self.action_section(names[(names.index(self.section.NAME) + direction) % len(names)])

    def action_section(self, name: str) -> None:
        """Show a section, and let what it needs be worked out."""
        inside = self.focused is not None and self.focused is not self.table
        self.section.leave()
        self.query_one(ContentSwitcher).current = name
        self.query_one(SectionTabs).show(name)
        self._stopped = False
        if inside:
            self.table.focus()
        if self._c:
            self.call_after_refresh(self._show_section)

    def _show_section(self) -> None:
        if self._c:
            self._want()
            self.section.show(self._c)
            self.section.arrive()
            self.show_keys()

    def on_section_tabs_chosen(self, event: SectionTabs.Chosen) -> None:
        """A name was clicked."""
        self.action_section(event.name)

    def action_pair(self, direction: int) -> None:
        """Look at another pair; where there are only two, turn it."""
        if self._c is None or self.section.step(direction):
            return
        count = len(self._c.rows)
        pairs = list(combinations(range(count), 2)) if count > 2 else [(0, 1), (1, 0)]
        now = self._c.pair if self._c.pair in pairs else (self._c.pair[1], self._c.pair[0])
        a, b = pairs[(pairs.index(now) + direction) % len(pairs)]
        self._pair = (self._c.rows[a].letter, self._c.rows[b].letter)
        self._stopped = False
        self.record_changed()

    def action_view(self) -> None:
        """Show the section the other way."""
        self.section.toggle()

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Nearly all of it needs something to compare."""
        needs = ("next_section", "section", "pair", "view", "sample", "remove", "average", "save", "export")
        if action in (*needs, "copy", "compute") and self._c is None:
            return "There is nothing to compare yet: mark two checkpoints in 3 with space."
        if action in ("pair", "view") and self.is_mounted:
            section = self.section
            if not (section.PAIRED if action == "pair" else section.VIEWS):
                what = "all of them at once" if action == "pair" else "all there is"
                return f"The section {section.NAME} shows {what}."
        if action in ("sample", "remove"):
            return self._why_not_row(action)
        if action == "save":
            return why_not_save(self._c, next(iter(self._averages()), None))
        return ""

    def _row(self) -> Marked | None:
        """The checkpoint under the cursor."""
        rows = self._c.rows if self._c else ()
        return next((row.marked for row in rows if row.letter == self.table.current), None)

    def _why_not_row(self, action: str) -> str:
        if self.focused is not self.table:
            return "The cursor is not in the overview; ↑ above the first line goes there."
        row = self._row()
        if row is None:
            return "An average is no checkpoint yet; s saves it as one."
        if action == "sample" and row.name not in row.run.checkpoints:
            return f"The weights of {row.name} of {row.run.name} are not here; choose another checkpoint."
        if action == "remove" and row not in self.nexus.marks.all:
            return "This one was not marked; mark those that you want to compare in 3."
        return ""

    async def action_sample(self) -> None:
        """Open the playground with this checkpoint."""
        if row := self._row():
            await self.nexus.switch_mode("playground")
            if isinstance(self.nexus.screen, PlaygroundScreen):
                self.nexus.screen.choose(row.run, row.name)

    def action_remove(self) -> None:
        """Take this one out of the comparison: unmark it."""
        if row := self._row():
            self.nexus.marks.toggle(row.run, row.name)
            self.record_changed()

    def action_compute(self) -> None:
        """Begin again what was cancelled or has failed."""
        if self._c:
            self._stopped = False
            for job in self.section.jobs(self._c):
                self.analyst.forget(job.key)
            self._want()
            self._draw()

    async def action_back(self) -> None:
        """Cancel what is being worked out; else go to the checkpoints."""
        if self.analyst.cancel():
            self._stopped = True
            self.record_changed()
            self.nexus.say("Cancelled; what was finished is kept. r begins again.", "warn")
            return
        await self.nexus.switch_mode("checkpoints")

    def action_average(self) -> None:
        """Work out the average of all; again: the moving one."""
        if self._c is None:
            return
        section = self.query_one(AverageSection)
        reason = section.ask(self._c)
        if self.section is not section:
            self.action_section(section.NAME)
        if reason:
            self.nexus.say(reason)
            return
        for job in section.jobs(self._c):
            self.analyst.forget(job.key)
        self._stopped = False
        self._want()
        self._draw()

    def _averages(self) -> list[Average]:
        """Those there are: first the one that is saved, under the cursor or else of the lowest loss."""
        found = self.query_one(AverageSection).found(self._c) if self._c else {}
        here = method_of(self.query_one(CompareTable).current)
        return [found[method] for method in sorted(found, key=lambda m: (m != here, found[m].loss))]

    def action_save(self) -> None:
        """Save an average as a checkpoint: the one under the cursor, else the better one."""
        c, averages = self._c, self._averages()
        if c and averages:
            average = averages[0]
            self.nexus.push_screen(save_dialog(c, *averages), partial(self._named, home(c), average))

    def _named(self, run: Run, average: Average, name: str | None) -> None:
        if name is not None:
            self.run_worker(self._save(run, average, name), group="save", exit_on_error=False)

    async def _save(self, run: Run, average: Average, name: str) -> None:
        self.nexus.say(f"Saving the {average.method} average into {run.name}.")
        saved, reason = await save(run, average, name)
        if reason:
            self.nexus.push_screen(ErrorDialog("The average was not saved", reason))
            return
        run.refresh()
        self.record_changed()
        self.nexus.say(f"Saved {saved} in {run.name}; mark it in 3 to compare it.", "good")

    def action_export(self) -> None:
        """Write all of it as Markdown."""
        if self._c:
            self.nexus.say(export(stem(self.nexus.clock()), markdown(self._c)))

    def action_copy(self) -> None:
        """Copy all of it as Markdown."""
        if self._c:
            self.nexus.say(copy(self.app, markdown(self._c), "the comparison"))

"""Mode 3: every checkpoint of the run that is open, with the true best among them."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container

from nexus_tui.runs.checkpoints import Checkpoint, CheckpointError
from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_chart import CheckpointChart
from nexus_tui.tui.checkpoint_detail import CheckpointDetail, path_of
from nexus_tui.tui.checkpoint_rows import Row, false_claims, signature, verdict
from nexus_tui.tui.checkpoint_table import CheckpointTable
from nexus_tui.tui.copying import copy
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.flow import flow
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.heading import made_of
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.lines import Line, Lines, Span, spread, width_of
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.reevaluator import Reevaluator
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.story import state

GLANCE = 0.1
"""Seconds between two looks at how far a re-evaluation is."""


class CheckpointsScreen(ModeScreen):
    """A verdict in plain words, the list, and everything known of the checkpoint under the cursor."""

    WHERE: ClassVar[Where] = "checkpoints"
    CSS_PATH = "checkpoints_screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings("checkpoints")

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._rows: list[Row] = []
        self._drawn: tuple[object, ...] = ()
        self._verified: dict[str, Span] = {}
        """By checkpoint name: what hashing its files has shown so far."""
        self._again: dict[str, Span] = {}
        """By checkpoint name: what computing its loss anew has shown so far."""
        self._reevaluator: Reevaluator | None = None

    def on_mount(self) -> None:
        """Rules of the kind that this terminal can draw."""
        self.set_class(theme.glyphs().ascii, "-ascii")

    def on_unmount(self) -> None:
        """Leave no thread computing."""
        self._cancel()

    def compose(self) -> ComposeResult:
        """Head, verdict, list and detail, footer."""
        yield Lines(id="head")
        yield Lines(id="verdict")
        with Container(id="panes"):
            yield CheckpointTable(id="table")
            with Container(id="below"):
                yield CheckpointDetail(id="detail")
                yield CheckpointChart(id="chart")
        yield KeyBar(self.WHERE)

    @property
    def table(self) -> CheckpointTable:
        """The list."""
        return self.query_one(CheckpointTable)

    @property
    def row(self) -> Row | None:
        """The checkpoint under the cursor."""
        name = self.table.current if self.is_mounted else None
        return next((row for row in self._rows if row.name == name), None)

    def on_resize(self) -> None:
        """Another width wraps the words elsewhere."""
        self._drawn = ()
        self.call_after_refresh(self.record_changed)

    def record_changed(self) -> None:
        """Draw what is new; a minute that passed is news too, for the ages."""
        run = self.nexus.current
        if not self.is_mounted:
            return
        if run is not self._run:
            self._cancel()
            self._run, self._verified, self._again = run, {}, {}
            self.table.forget()
        now = self.nexus.clock().timestamp()
        news = (signature(run), run.state, int(now // 60), self.nexus.marks.all) if run else (None,)
        if news != self._drawn:
            self._drawn = news
            self._draw()

    def _draw(self) -> None:
        run, width = self._run, self.size.width - 2
        self._rows = checkpoints(run) if run else []
        self.table.show_checkpoints(
            self._rows, self.nexus.clock().timestamp(), self._marks(), self._letters(run) if run else {}
        )
        self.query_one("#head", Lines).show([self._head(width)])
        words = flow([(spell(text), role) for text, role in self._verdict()], width)
        verdict = self.query_one("#verdict", Lines)
        verdict.styles.height = len(words)
        verdict.show(words)
        self.query_one(CheckpointChart).show_checkpoints(self._rows)
        self._describe()

    def _head(self, width: int) -> Line:
        run = self._run
        if run is None:
            return (("checkpoints", "text!"),)
        sign, word, role = state(run)
        kept = [row.checkpoint for row in self._rows if row.checkpoint]
        figures = f"{len(self._rows)} on record, {len(kept)} kept, {format.size(sum(c.bytes for c in kept))}"
        left: Line = ((plain(run.name), "text!"), (f"  {sign} {word}", role))
        middle: Line = (("   " + " · ".join(made_of(run)), "muted"),)
        right: Line = (*self._marked(run), (figures, "muted")) if self._rows else ()
        fits = width_of((*left, *middle, *right)) + 3 < width
        return spread((*left, *middle) if fits else left, right, width)

    def _verdict(self) -> list[Span]:
        run = self._run
        if run is None:
            return [("No run is open: press 1 and choose one.", "muted")]
        spans = verdict(run, self._rows)
        for wrong in false_claims(run, self._rows):
            spans += [(f"\n{theme.glyphs().warn} {wrong}", "warn")]
        return spans

    def _marks(self) -> dict[str, Span]:
        """What stands in the list in place of the weights."""
        short = {"live": "hashing", "error": "damaged", "good": "whole"}
        return {name: (short[role], role) for name, (_, role) in self._verified.items()}

    def _letters(self, run: Run) -> dict[str, Span]:
        """The letter of every marked checkpoint, by name."""
        palette = theme.palette(self.app)
        return {
            name: (marked.letter, f"{theme.series(palette, marked.place).color}!")
            for name, marked in self.nexus.marks.of(run).items()
        }

    def _marked(self, run: Run) -> Line:
        """How many are marked, here and in other runs."""
        total, here = len(self.nexus.marks), len(self.nexus.marks.of(run))
        if not total:
            return ()
        elsewhere = f", {total - here} in other runs" if total > here else ""
        return ((f"{total} marked{elsewhere}", "live"), ("   ", "text"))

    def _describe(self) -> None:
        """Say what is known of the row under the cursor."""
        row = self.row
        mark = self._verified.get(row.name) if row else None
        again = self._again.get(row.name) if row else None
        self.query_one(CheckpointDetail).tell(self._run, row, mark, again)
        self.query_one(CheckpointChart).point_at(row)
        self.show_keys()

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Another row."""
        self._describe()

    async def on_listing_opened(self, _: Listing.Opened) -> None:
        """Clicked twice: sample from it."""
        await self.action_key("checkpoints.sample")

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Each action needs a row, most of them its files."""
        if action == "unmark":
            return "" if len(self.nexus.marks) else "No checkpoint is marked; space marks the one here."
        if action not in ("sample", "resume", "verify", "reevaluate", "copy_path", "mark"):
            return ""
        row = self.row
        if row is None:
            return "There is no checkpoint yet."
        if action == "mark":
            return ""
        if action == "copy_path" or (action == "verify" and row.damage):
            return "" if row.saved else f"{row.named} was never saved."
        if row.checkpoint is None:
            state = row.weights or "not saved"
            return f"The weights of {row.title} are {state}; choose another checkpoint."
        if action == "reevaluate":
            return self._why_not_reevaluate(row)
        return self._why_not_resume(row, row.checkpoint) if action == "resume" else ""

    def _why_not_reevaluate(self, row: Row) -> str:
        if row.evaluation is None:
            return f"{row.named} was never evaluated, so there is no loss to compare with."
        if self._reevaluator and self._reevaluator.live:
            return f"{self._reevaluator.checkpoint} is being re-evaluated; esc cancels that."
        return ""

    def _why_not_resume(self, row: Row, checkpoint: Checkpoint) -> str:
        if row.averaged:
            return (
                f"{row.named} is an average: training cannot go on from it; resume from one of its parents."
            )
        if not (checkpoint.resumable or checkpoint.weights_alone):
            return f"{row.named} has no optimizer state; resume from another checkpoint."
        if self._run and self._run.holder:
            return f"{self._run.name} is being trained; stop it first."
        return self.nexus.why_no_training()

    async def action_sample(self) -> None:
        """Open the playground with this checkpoint."""
        if self._run and self.row:
            await self.nexus.switch_mode("playground")
            if isinstance(self.nexus.screen, PlaygroundScreen):
                self.nexus.screen.choose(self._run, self.row.name)

    def action_mark(self) -> None:
        """Mark this checkpoint for comparing, or unmark it."""
        if self._run and self.row:
            if reason := self.nexus.marks.toggle(self._run, self.row.name):
                self.nexus.say(reason, "warn")
            self._marks_changed()

    def action_unmark(self) -> None:
        """Unmark the checkpoints of every run."""
        self.nexus.marks.clear()
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.record_changed()
        self.show_keys()

    async def action_resume(self) -> None:
        """Go on training from this checkpoint."""
        if self._run and self.row:
            await self.nexus.resume(self._run, self.row.name)

    def action_best(self) -> None:
        """Put the cursor on the true best."""
        best = next((row.name for row in self._rows if row.best), None)
        if best:
            self.table.go_to(best)

    async def action_back(self) -> None:
        """Cancel the re-evaluation; else go to the training screen."""
        if self._reevaluator and self._cancel():
            self._tell(self._reevaluator)
            return
        await self.nexus.switch_mode("training")

    async def action_verify(self) -> None:
        """Hash every file against the manifest, beside everything else."""
        row, run = self.row, self._run
        if row and run and row.checkpoint:
            self.run_worker(self._verify(run, row, row.checkpoint), group="verify", exit_on_error=False)

    async def _verify(self, run: Run, row: Row, checkpoint: Checkpoint) -> None:
        self._verified[row.name] = (f"hashing {format.size(checkpoint.bytes)}", "live")
        self._draw()
        try:
            await asyncio.to_thread(checkpoint.verify)
            found: Span = (f"whole: all {len(checkpoint.files)} files match their SHA-256", "good")
        except CheckpointError as error:
            found = (f"damaged: {error}", "error")
        if run is self._run:
            self._verified[row.name] = found
            self._draw()
            self.nexus.say(f"{row.named} is {found[0]}", found[1])

    async def action_reevaluate(self) -> None:
        """Hash every file, then compute the loss anew and compare it with the journalled one."""
        row, run = self.row, self._run
        if row and run and row.checkpoint:
            job = self._reevaluator = Reevaluator(run.folder, row.name)
            self.run_worker(
                self._reevaluate(job, run, row, row.checkpoint), group="reevaluate", exit_on_error=False
            )

    async def _reevaluate(self, job: Reevaluator, run: Run, row: Row, checkpoint: Checkpoint) -> None:
        self._tell(job)
        await self._verify(run, row, checkpoint)
        if run is self._run and not job.stopped:
            words, role = self._verified[row.name]
            if role == "good":
                job.start()
            else:
                job.fail(words)
        while job.live:
            self._tell(job)
            await asyncio.sleep(GLANCE)
        if run is self._run and self.is_mounted:
            self._tell(job)
            words, role = job.news
            self.nexus.say(f"{row.named} {words}", role)

    def _tell(self, job: Reevaluator) -> None:
        """Show how far a re-evaluation is, if that is news."""
        if self._reevaluator is job and self._again.get(job.checkpoint) != job.news:
            self._again[job.checkpoint] = job.news
            self._describe()

    def _cancel(self) -> bool:
        """End the re-evaluation; whether there was one."""
        if self._reevaluator is None or not self._reevaluator.live:
            return False
        self._reevaluator.stop()
        return True

    def action_copy_path(self) -> None:
        """Copy the checkpoint's path."""
        if self._run and self.row:
            path = path_of(self._run, self.row).absolute()
            self.nexus.say(copy(self.app, str(path), "the path"))

"""Mode 3: every checkpoint of the run that is open, with the true best among them."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container

from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_detail import CheckpointDetail, describe
from nexus_tui.tui.checkpoint_rows import Row, Span, rows, signature, stale_link, verdict
from nexus_tui.tui.checkpoint_table import CheckpointTable
from nexus_tui.tui.copying import copy
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import Where, bindings
from nexus_tui.tui.listing import Listing
from nexus_tui.tui.playground_screen import PlaygroundScreen
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.words import Words


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
        self._verified: dict[str, str] = {}
        """By checkpoint name: what hashing its files has shown; empty while it goes on."""

    def compose(self) -> ComposeResult:
        """Head, verdict, list and detail, footer."""
        yield Words(id="head")
        yield Words(id="verdict", wraps=True)
        with Container(id="panes"):
            yield CheckpointTable(id="table")
            yield CheckpointDetail(id="detail")
        yield KeyBar(self.WHERE)

    @property
    def table(self) -> CheckpointTable:
        """The list."""
        return self.query_one(CheckpointTable)

    @property
    def row(self) -> Row | None:
        """The checkpoint under the cursor."""
        name = self.table.current
        return next((row for row in self._rows if row.name == name), None)

    def record_changed(self) -> None:
        """Draw what is new; a minute that passed is news too, for the ages."""
        run = self.nexus.current
        if run is not self._run:
            self._run, self._verified = run, {}
            self.table.forget()
        if run is None:
            self._rows = []
            self._say_nothing()
            return
        news, now = (signature(run), run.state), self.nexus.clock().timestamp()
        if (*news, int(now // 60)) == self._drawn:
            return
        if news != self._drawn[:2]:
            self._rows = rows(run)
        self._drawn = (*news, int(now // 60))
        self._draw(run)

    def _draw(self, run: Run) -> None:
        self.table.show_checkpoints(self._rows, self.nexus.clock().timestamp(), self._marks())
        self.query_one("#head", Words).show(self._head(run))
        lines = verdict(run, self._rows)
        if stale := stale_link(run, self._rows):
            lines += [("\n", "text"), (f"{theme.glyphs().warn} {stale}", "warn")]
        self.query_one("#verdict", Words).show(lines)
        self._describe()

    def _head(self, run: Run) -> list[Span]:
        kept = [row for row in self._rows if row.checkpoint]
        size = format.size(sum(row.checkpoint.bytes for row in kept if row.checkpoint))
        figures = f"   {len(self._rows)} on record, {len(kept)} kept, {size}" if self._rows else ""
        return [(plain(run.name), "text!"), ("  checkpoints", "muted"), (figures, "muted")]

    def _say_nothing(self) -> None:
        self._drawn = ()
        self.query_one("#head", Words).show([("checkpoints", "text!")])
        self.query_one("#verdict", Words).show([("No run is open: press 1 and choose one.", "muted")])
        self.query_one(CheckpointDetail).show([])

    def _marks(self) -> dict[str, Span]:
        marks: dict[str, Span] = {}
        for name, found in self._verified.items():
            marks[name] = (
                ("…", "live")
                if not found
                else ("damaged", "error")
                if "damaged" in found
                else ("whole", "good")
            )
        return marks

    def _describe(self) -> None:
        row = self.row
        lines = describe(self._run, row, self._verified.get(row.name, "")) if self._run and row else []
        self.query_one(CheckpointDetail).show(lines)
        self.show_keys()

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Another row: say what is known of it."""
        self._describe()

    async def on_listing_opened(self, _: Listing.Opened) -> None:
        """Clicked twice: sample from it."""
        await self.action_key("checkpoints.sample")

    # Actions ---------------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str:
        """Each action needs a row, most of them its files."""
        if action not in ("sample", "resume", "verify", "copy_path"):
            return ""
        row = self.row
        if row is None:
            return "There is no checkpoint yet."
        if action == "copy_path" or (action == "verify" and row.damage):
            return "" if row.saved else f"Step {row.step:,} was never saved."
        if row.checkpoint is None:
            state = row.weights or "not saved"
            return f"The weights of step {row.step:,} are {state}; choose another checkpoint."
        if action == "resume" and not row.checkpoint.resumable:
            return f"Step {row.step:,} has no optimizer state any more; resume from another checkpoint."
        return ""

    async def action_sample(self) -> None:
        """Open the playground with this checkpoint."""
        if self._run and self.row:
            await self.nexus.switch_mode("playground")
            if isinstance(self.nexus.screen, PlaygroundScreen):
                self.nexus.screen.choose(self._run, self.row.name)

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
        """Go to the training screen."""
        await self.nexus.switch_mode("training")

    async def action_verify(self) -> None:
        """Hash every file against the manifest, beside everything else."""
        row = self.row
        if row and row.checkpoint and self._verified.get(row.name) != "":
            self.run_worker(self._verify(row), group="verify", exit_on_error=False)

    async def _verify(self, row: Row) -> None:
        checkpoint, run = row.checkpoint, self._run
        assert checkpoint and run
        self._verified[row.name] = ""
        self._draw(run)
        try:
            await asyncio.to_thread(checkpoint.verify)
            found = (
                f"whole: {len(checkpoint.files)} files match their SHA-256, {format.size(checkpoint.bytes)}"
            )
        except CheckpointError as error:
            found = f"damaged: {error}"
        if run is self._run:
            self._verified[row.name] = found
            self._draw(run)
            self.nexus.say(f"Step {row.step:,}: {found}", "error" if found.startswith("damaged") else "good")

    def action_copy_path(self) -> None:
        """Copy the checkpoint's path."""
        if self._run and self.row:
            path = (self._run.folder / "checkpoints" / self.row.name).absolute()
            self.nexus.say(copy(self.app, str(path), "the path"))

"""Which run and which of its checkpoints write: two lists to choose from, the true best until one chooses."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Select

from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.tui import format, theme
from nexus_tui.tui.checkpoint_rows import Row, signature
from nexus_tui.tui.derived import checkpoints
from nexus_tui.tui.lines import Line, Lines, Span, width_of
from nexus_tui.tui.safe import plain


class SourceBar(Horizontal):
    """A run and a checkpoint. `look` keeps the lists up to date."""

    DEFAULT_CSS = """
    SourceBar { height: 1; padding: 0 1; }
    SourceBar Select { width: 22; margin-right: 2; }
    SourceBar #checkpoint { width: 39; }
    SourceBar SelectCurrent { background: $surface; }
    SourceBar #about { width: 1fr; height: 1; }
    """

    class Changed(Message):
        """Another run or checkpoint writes from now on."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run: Run | None = None
        self._current: Run | None = None
        """The app's run as of the last look: another one there is another one here."""
        self._rows: list[Row] = []
        self._drawn: tuple[object, ...] = ()
        self._others: list[Run] = []
        self._name: str | None = None
        self._chosen = False
        """Whether the user chose the checkpoint; until then it is the true best."""
        self._share = 1.0

    def compose(self) -> ComposeResult:
        """Run, checkpoint, which of how many, and the share of a core if it is not all of one."""
        yield Select[str]([("no run", "")], allow_blank=False, compact=True, id="run")
        yield Select[str]([("no checkpoint", "")], allow_blank=False, compact=True, id="checkpoint")
        yield Lines(id="about")

    @property
    def row(self) -> Row | None:
        """All that is known of the checkpoint."""
        return next((row for row in self._rows if row.name == self._name), None)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint to write with."""
        return self.row.checkpoint if self.row else None

    def choose(self, current: Run | None, run: Run, name: str) -> None:
        """Write with this checkpoint from now on; `current` is the app's run."""
        self._current, self.run = current, run
        self._name, self._chosen, self._drawn = name, True, ()

    def look(self, current: Run | None, runs: list[Run], share: float) -> None:
        """Draw what is new: the app's run, all its runs, the share of a core that sampling may use now."""
        if current is not self._current:
            self._current, self.run, self._chosen = current, current, False
        run, self._others = self.run, runs
        news = (tuple(other.name for other in runs), signature(run) if run else None, share)
        if news == self._drawn:
            return
        self._drawn, self._share = news, share
        self._rows = [row for row in checkpoints(run) if row.checkpoint] if run else []
        kept = [row.name for row in self._rows]
        best = next((row.name for row in self._rows if row.best), kept[-1] if kept else None)
        if not self._chosen or self._name not in kept:
            self._name, self._chosen = best, False
        self._draw()

    def step(self, direction: int) -> None:
        """The checkpoint before or after."""
        names = [row.name for row in self._rows]
        if self._name in names:
            place = max(0, min(names.index(self._name) + direction, len(names) - 1))
            self._name, self._chosen = names[place], True
            self._draw()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another run, or another checkpoint of it."""
        event.stop()
        if not isinstance(event.value, str) or not event.value:
            return
        if event.select.id == "run":
            run = next((run for run in self._others if run.name == event.value), None)
            if run and run is not self.run:
                self.run, self._chosen, self._drawn = run, False, ()
                self.look(self._current, self._others, self._share)
        elif event.value != self._name:
            self._name, self._chosen = event.value, True
            self._draw()

    def _draw(self) -> None:
        names = [run.name for run in self._others]
        chosen = self.run.name if self.run else None
        if chosen and chosen not in names:
            names.append(chosen)
        runs = [(plain(name), name) for name in names] if chosen else [("no run", "")]
        kept = [(_option(row), row.name) for row in reversed(self._rows)] or [("no checkpoint", "")]
        with self.prevent(Select.Changed):
            _offer(self.query_one("#run", Select), runs, chosen or "")
            _offer(self.query_one("#checkpoint", Select), kept, self._name or "")
        self.query_one("#about", Lines).show([self._about()])
        self.post_message(self.Changed())

    def _about(self) -> Line:
        place = next((i for i, row in enumerate(self._rows, start=1) if row.name == self._name), 0)
        count: Span = (f"{place} of {len(self._rows)} kept" if place else "", "muted")
        if self._share >= 1:
            return (count,)
        share: Span = (f"{format.percent(self._share)} core", "live")
        both: Line = (count, ("  ", "text"), share)
        return both if width_of(both) <= self.query_one("#about").size.width else (share,)


def _option(row: Row) -> str:
    star = f"{theme.glyphs().star} " if row.best else "  "
    loss = f"  {format.loss(row.evaluation.loss)} nats/token" if row.evaluation else ""
    name = plain(row.name) if row.averaged else f"{row.step:>7,}"
    return f"{star}{name}{loss}{'  abandoned' if row.abandoned else ''}"


def _offer(select: Select[str], options: list[tuple[str, str]], value: str) -> None:
    """Give a list other options, if they are others, and choose one."""
    if getattr(select, "offered", None) != options:
        select.set_options([(Text(label), name) for label, name in options])  # a string would be markup
        select.offered = options  # type: ignore[attr-defined]
    select.value = value

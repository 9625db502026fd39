"""What the commands print: tables of runs and checkpoints, and the progress of training."""

import math
import sys
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from nexus_tui.runs import averages, recovery, truth
from nexus_tui.runs import journal as j
from nexus_tui.runs.filter import FilterError, facts, listed_state, parse, settings_of
from nexus_tui.runs.numbers import finite
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from nexus_tui.untrusted import visible

_WEIGHTS = {"here": "", "elsewhere": "weights not here", "gone": "weights gone"}


def chosen(runs: list[Run], wanted: str, folder: Path) -> list[Run]:
    """The runs that a filter asks for; pins are those of the app's view of the runs folder.

    Raises FilterError, which says what of the text is wrong.
    """
    if not wanted.strip():
        return runs
    try:
        asked = parse(wanted, settings_of(run.summary.config for run in runs))
    except FilterError as error:
        part = wanted[error.start : error.end]
        raise FilterError(f"--filter at {part!r}: {error}", error.start, error.end) from None
    pins: list[str] = []
    if "pinned" in wanted.casefold():
        from nexus_tui.tui.view import ViewFile

        pins = ViewFile(folder).load()[0].pins
    now = time.time()
    return [run for run in runs if asked(facts(run, now, run.name in pins))]


def run_row(run: Run) -> dict[str, Any]:
    """A run as `runs --json` prints it."""
    summary = run.summary
    return {
        "name": run.name,
        "kind": run.kind,
        "folder": str(run.folder),
        "state": listed_state(run),
        "model": summary.preset or None,
        "corpus": summary.corpus or None,
        "step": summary.step,
        "steps": summary.total_steps,
        "best_step": summary.best_step,
        "best_checkpoint": summary.best_checkpoint or None,
        "best_loss": summary.best_loss,
        "best_bits_per_byte": summary.best_bits,
    }


def print_runs(runs: list[Run]) -> None:
    """A table of runs."""
    table = _table("run", "state", "model", ">step", ">best loss", ">bits/byte", ">at step")
    for run in runs:
        summary = run.summary
        planned = f" / {summary.total_steps:,}" if summary.total_steps else ""
        table.add_row(
            visible(run.name),
            visible(listed_state(run)),
            visible(summary.preset),
            f"{summary.step:,}{planned}",
            _number(summary.best_loss),
            _number(summary.best_bits),
            visible(f"★ {summary.best_name}") if summary.best_name else "",
        )
    printer().print(table)


def checkpoint_rows(run: Run) -> list[dict[str, Any]]:
    """A run's evaluated checkpoints as `checkpoints --json` prints them. Losses are nats per token."""
    return [
        {
            "checkpoint": ranked.evaluation.name,
            "step": ranked.evaluation.step,
            "train_loss": finite(ranked.evaluation.train_loss),
            "validation_loss": finite(ranked.evaluation.loss),
            "stderr": finite(ranked.evaluation.stderr),
            "perplexity": finite(ranked.evaluation.perplexity),
            "bits_per_byte": finite(ranked.evaluation.bits_per_byte),
            "delta": finite(ranked.delta),
            "best": ranked.best,
            "tied": ranked.tied,
            "lr": _rate_at(run, ranked),
            "bytes": ranked.checkpoint.bytes if ranked.checkpoint else None,
            "weights": ranked.weights,
            "branch": ranked.evaluation.branch,
            "on_line": run.on_line(ranked.evaluation.branch, ranked.evaluation.step),
            "parents": list(run.parents(ranked.evaluation.name)),
        }
        for ranked in truth.ranking(run)
    ]


def print_checkpoints(run: Run) -> None:
    """A table of a run's checkpoints, the true best marked."""
    table = _table(
        "", ">step", ">train", ">val", ">± se", ">perplexity", ">bits/byte", ">Δ best", ">lr", ">size", ""
    )
    for row in checkpoint_rows(run):
        table.add_row(
            "★" if row["best"] else "≈" if row["tied"] else "",
            f"{row['step']:,}",
            _number(row["train_loss"]),
            _number(row["validation_loss"]),
            _number(row["stderr"]),
            _number(row["perplexity"], 2),
            _number(row["bits_per_byte"]),
            "—" if row["best"] else "" if row["delta"] is None else f"{row['delta']:+.4f}",
            "" if row["lr"] is None else f"{row['lr']:.2e}",
            f"{row['bytes'] / 1e6:.1f} MB" if row["bytes"] else _WEIGHTS[row["weights"]],
            _standing(run, row),
            style=None if row["on_line"] else "dim",
        )
    printer().print(table)
    evaluated = {evaluation.name for evaluation in run.evaluations}
    if others := [name for name in run.checkpoints if name not in evaluated]:
        printer().print(visible(f"saved and never evaluated: {', '.join(others)}"))
    for sentence in run.damage_of_record:
        printer().print(visible(f"{sentence}."), soft_wrap=True)


def _standing(run: Run, row: dict[str, Any]) -> str:
    """What sets a checkpoint apart from the line of training."""
    words = [] if row["on_line"] else [f"branch {row['branch']}, abandoned"]
    if row["parents"]:
        made = averages.words(run.saved[row["checkpoint"]], run.name)
        words.insert(0, visible(f"{row['checkpoint']}: {made}"))
    return "; ".join(words)


def print_forecast(told: dict[str, Any]) -> None:
    """What is ahead of a run, then its predictions on record against what came."""
    ahead, past = told["forecast"], told["predictions"]
    if ahead["withheld"]:
        print(ahead["withheld"])
    for made in ahead["predictions"]:
        print(
            f"step {made['step']:>6,}  {made['value']:.4f}  ({made['low']:.4f} to {made['high']:.4f})  "
            f"by {made['method']}, from {made['data']}"
        )
    if not past["rows"]:
        return
    table = _table(">made at", ">for step", ">predicted", "interval", ">actual", "", "method")
    for row in past["rows"]:
        interval = "" if row["low"] is None else f"{row['low']:.4f} to {row['high']:.4f}"
        table.add_row(
            f"{row['made_at']:,}",
            f"{row['step']:,}",
            _number(row["predicted"]),
            interval,
            _number(row["actual"]),
            {True: "✓ inside", False: "✗ outside", None: ""}[row["inside"]],
            visible(row["method"]),
        )
    printer().print(table)
    if past["intervals"]:
        print(f"{past['inside']} of {past['intervals']} inside (nominal {past['nominal']:.0%})")
    if past["decided"]:
        print(
            f"mean error {past['error']:.4f}, of the newest loss at the time {past['persistence_error']:.4f}"
        )


def follow(session: Session, plain: bool = False) -> str:
    """Print what a session does until it ends, `plain` or with a bar on a terminal.

    Returns the journal's last word, such as `finished`.
    """
    run = Run(session.folder)
    watcher = _Bar(run) if sys.stderr.isatty() and not plain else _Lines(run)
    with watcher:
        while session.alive:
            session.join(0.5)
            run.refresh()
            watcher.show()
        run.refresh()
        watcher.show()
    return run.ended.reason if run.ended else "failed"


class _Lines:
    """Plain lines: every tenth step, and every event."""

    EVERY = 10

    def __init__(self, run: Run) -> None:
        self.run = run
        self._rows = len(run.steps)
        self._events = len(run.log)
        self._before = len(run.steps)
        self._activity = ""

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self) -> None:
        """Print what is new."""
        if self.run.activity != self._activity:
            self._activity = self.run.activity
            if self._activity and len(self.run.steps) == self._before:
                self.line(f"{self._activity} …")
        steps = self.run.steps
        news: list[tuple[float, int, j.KnownEvent | None]] = [
            (steps["time"][row], row, None) for row in range(self._rows, len(steps))
        ]
        news += [
            (event.time.timestamp(), -1, event)
            for event in self.run.log[self._events :]
            if not isinstance(event, j.UnknownEvent)
        ]
        for _, row, event in sorted(news, key=itemgetter(0)):
            if event is None and (row == 0 or steps["step"][row] % self.EVERY == 0):
                self.step(row)
            elif event is not None and (text := describe(event)):
                self.line(text)
                if isinstance(event, j.EndedEvent) and self.run.diverged:
                    resume, look = recovery.commands(self.run, self.run.diverged)
                    self.line(f"resume with a lower rate: {resume}")
                    self.line(f"see the batch: {look}")
        self._rows, self._events = len(steps), len(self.run.log)

    def step(self, row: int) -> None:
        """Print one step."""
        steps = self.run.steps
        rate = _tokens_per_second(self.run, row)
        self.line(
            f"step {steps['step'][row]:>6,} / {self.run.total_steps:,}  loss {steps['loss'][row]:.4f}  "
            f"lr {steps['lr'][row]:.2e}  grad norm {steps['grad_norm'][row]:.3f}  {rate:,.0f} tokens/s"
        )

    def line(self, text: str) -> None:
        """Print one line."""
        print(visible(text), flush=True)


class _Bar(_Lines):
    """A progress bar with the events above it."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._progress = Progress(
            TextColumn("step {task.completed:,.0f} / {task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=2,
        )
        self._task = self._progress.add_task("", total=run.total_steps or None, completed=run.step)

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self) -> None:
        """Print what is new and move the bar."""
        super().show()
        doing = self.run.activity
        if not doing and len(self.run.steps):
            row = len(self.run.steps) - 1
            doing = (
                f"loss {self.run.steps['loss'][row]:.4f} · {_tokens_per_second(self.run, row):,.0f} tokens/s"
            )
        self._progress.update(self._task, completed=self.run.step, description=doing)

    def step(self, row: int) -> None:
        """The bar shows the steps."""

    def line(self, text: str) -> None:
        """Print one line above the bar."""
        self._progress.console.print(Text(visible(text)))


def describe(event: j.AnyEvent) -> str:
    """An event in plain words; empty for those that need none."""
    match event:
        case j.StartedEvent():
            return f"started: {event.parameters:,} parameters, {event.train_tokens:,} tokens to train on"
        case j.ResumedEvent():
            return f"resumed from step {event.step:,}"
        case j.EvaluatedEvent():
            loss = math.nan if event.loss is None else event.loss
            return (
                f"step {event.step:>6,} evaluated: validation loss {loss:.4f} ± {event.stderr or 0:.4f}  "
                f"perplexity {math.exp(min(loss, 700)):.2f}  bits/byte {event.bits_per_byte or math.nan:.4f}"
            )
        case j.PredictedEvent():
            interval = (
                "" if event.low is None or event.high is None else f" ({event.low:.4f} to {event.high:.4f})"
            )
            return f"step {event.step:>6,} forecast: step {event.target:,} {event.value:.4f}{interval}"
        case j.HeldoutEvent():
            return f"step {event.step:>6,} is the best; on held-out text: loss {event.loss or math.nan:.4f}"
        case j.SavedEvent():
            return f"step {event.step:>6,} saved: checkpoints/{event.checkpoint} ({event.bytes / 1e6:.1f} MB)"
        case j.SampledEvent():
            return f"step {event.step:>6,} sample: {event.prompt}│{' '.join(event.text.split())}"
        case j.ControlledEvent():
            value = "" if event.value is None else f" {event.value:g}"
            return f"step {event.step:>6,} {event.act.replace('_', ' ')}{value}"
        case j.NotedEvent():
            return f"step {event.step:>6,} note: {event.text}"
        case j.FaultedEvent():
            return f"step {event.step:>6,} WARNING: {event.message}"
        case j.SpikedEvent():
            return (
                f"step {event.step:>6,} SPIKE: loss {event.loss:.4f}; "
                f"the median before it is {event.median:.4f}, the limit {event.limit:.4f}"
            )
        case j.EndedEvent():
            return f"{event.reason} at step {event.step:,}" + (f": {event.message}" if event.message else "")
    return ""


def _tokens_per_second(run: Run, row: int) -> float:
    """Over the ten steps up to `row`."""
    first = max(0, row - 9)
    seconds = float(run.steps["seconds"][first : row + 1].sum())
    per_step = run.setting("budget.batch", 0) * run.setting("data.window", 0)
    return per_step * (row + 1 - first) / seconds if seconds else 0.0


def _rate_at(run: Run, ranked: truth.Ranked) -> float | None:
    """The learning rate of the step that was evaluated; an average has none."""
    if ranked.evaluation.averaged:
        return None
    steps = run.steps
    rows = (steps["step"] == ranked.evaluation.step) & (steps["branch"] == ranked.evaluation.branch)
    return float(steps["lr"][rows][-1]) if rows.any() else None


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", no_wrap=True
        )
    return table


def printer() -> Console:
    """Standard output; into a file or pipe, wide enough for every column. Names are text, never markup."""
    return Console(markup=False, width=None if sys.stdout.isatty() else 160)


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"

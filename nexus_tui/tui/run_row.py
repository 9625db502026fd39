"""What the list of runs says of a run."""

from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.runs.summary import Summary
from nexus_tui.tui import format as fmt
from nexus_tui.tui.listing import MARGIN, Cell
from nexus_tui.tui.safe import plain
from nexus_tui.tui.spark import spark
from nexus_tui.tui.story import STATES, UNDATED
from nexus_tui.tui.theme import Series, glyphs

SPARK = 11
"""Cells of the loss curve in a row."""


def cells(
    summary: Summary, state: str, age: str, mark: Series | None = None, pinned: bool = False
) -> dict[str, Cell]:
    """What the list says of a run, `mark`ed with a colour and a sign or not.

    `state` is the list's word, `age` what `age_of` says. While it is being read, only its name is known.
    """
    sign, word, role = STATES.get(state, ("?", plain(state), "muted"))
    star = f"{glyphs().star} {plain(summary.best_name)}" if summary.best_name else fmt.MISSING
    total = f" / {summary.total_steps:,}" if summary.total_steps else ""
    found: dict[str, Cell] = {
        MARGIN: (mark.sign, mark.color) if mark else ("", "text"),
        "state": (f" {sign} {word}", role),
        "name": (plain(summary.name) + (f" {glyphs().pin}" if pinned else ""), "text!"),
    }
    if not summary.known:
        return found
    return found | {
        "model": (plain(summary.preset), "muted"),
        "corpus": (plain(summary.corpus), "muted"),
        "step": (f"{summary.step:,}{total}", "text"),
        "loss": (spark(summary.spark, SPARK), mark.color if mark else "muted"),
        "val": (fmt.loss(summary.best_loss), "text"),
        "bits": (fmt.loss(summary.best_bits), "text"),
        "best": (star, "best" if summary.best_name else "muted"),
        "age": (age, "muted"),
    }


def called(run: Run, evaluation: Evaluation) -> str:
    """What stands for a checkpoint where there is little room: its step, or the name of an average."""
    return plain(evaluation.name) if run.averaged(evaluation.name) else f"{evaluation.step:,}"


def age_of(summary: Summary, now: float) -> str:
    """How long ago anything happened, `now` in epoch seconds.

    To the minute: a count of seconds would repaint the row every second.
    """
    time = summary.last_active
    if time is None or not time > UNDATED:
        return fmt.MISSING
    return "now" if now - time < 60 else fmt.age(now - time)

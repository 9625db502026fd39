"""What the list of runs says of a run, and what a filter looks for in it."""

from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.derived import best
from nexus_tui.tui.heading import made_of
from nexus_tui.tui.listing import Cell
from nexus_tui.tui.safe import plain
from nexus_tui.tui.story import UNDATED, state
from nexus_tui.tui.theme import glyphs


def cells(run: Run, now: float) -> dict[str, Cell]:
    """What the list says of a run; `now` in epoch seconds."""
    sign, word, role = state(run)
    found = best(run)
    star = f"{glyphs().star} {called(run, found)}" if found else fmt.MISSING
    total = f" / {run.total_steps:,}" if run.total_steps else ""
    preset = run.config.get("preset") or ""
    return {
        "state": (f"{sign} {word}", role),
        "name": (plain(run.name), "text!"),
        "model": (plain(str(preset)), "muted"),
        "corpus": (plain(str(run.setting("data.corpus", ""))), "muted"),
        "step": (f"{run.step:,}{total}", "text"),
        "val": (fmt.loss(found.loss if found else None), "text"),
        "bits": (fmt.loss(found.event.bits_per_byte if found else None), "text"),
        "best": (star, "best" if found else "muted"),
        "age": (_ago(now, last_active(run)), "muted"),
    }


def called(run: Run, evaluation: Evaluation) -> str:
    """What stands for a checkpoint where there is little room: its step, or the name of an average."""
    return plain(evaluation.name) if run.averaged(evaluation.name) else f"{evaluation.step:,}"


def last_active(run: Run) -> float:
    """When anything happened last, in epoch seconds; NaN if nothing did."""
    times = [event.time.timestamp() for event in run.log[-1:] if hasattr(event, "time")]
    if len(run.steps):
        times.append(float(run.steps["time"][-1]))
    return max(times, default=float("nan"))


def recency(run: Run) -> tuple[bool, float]:
    """Order of the list: what somebody trains, then what was active last."""
    active = last_active(run)
    return run.holder is None, -active if active == active else 0.0


def _ago(now: float, time: float) -> str:
    """To the minute: a count of seconds would repaint the row every second."""
    if not time > UNDATED:
        return fmt.MISSING
    return "now" if now - time < 60 else fmt.age(now - time)


def contains(run: Run, wanted: str) -> bool:
    """Whether every word of `wanted` is in the run's name, state, model or corpus."""
    words = " ".join([run.name, *made_of(run), state(run)[1]]).casefold()
    return all(word in words for word in wanted.casefold().split())

"""What happened to a run, in plain words: one line an event, newest first."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.lines import Line
from nexus_tui.tui.safe import plain
from nexus_tui.tui.theme import glyphs

UNDATED = 315_532_800.0
"""Epoch seconds, the beginning of 1980: what is older is from a record that knows no dates."""
WORDS = 80
"""Characters of a window that are shown."""
STATES = {
    "new": ("○", "new", "muted"),
    "training": ("●", "training", "live"),
    "paused": ("‖", "paused", "warn"),
    "finished": ("✓", "finished", "good"),
    "stopped": ("■", "stopped", "muted"),
    "failed": ("✗", "failed", "error"),
    "crashed": ("✗", "crashed", "error"),
    "recorded": ("○", "recorded", "muted"),
    "imported": ("○", "imported", "muted"),
    "unread": ("○", "reading", "faint"),
}
"""Sign, word and role of every state of a run."""


def state(run: Run) -> tuple[str, str, str]:
    """Sign, word and role of a run's state."""
    return STATES.get("recorded" if run.kind == "recorded" else run.state, ("?", plain(run.state), "muted"))


def clock(time: datetime, now: datetime) -> str:
    """When, in five cells: the time of day here; beyond a day the date, beyond a year the year."""
    if time.timestamp() < UNDATED:
        return " " * 5
    age = abs((now - time).total_seconds())
    form = "%H:%M" if age < 86_400 else "%m-%d" if age < 330 * 86_400 else " %Y"
    return j.local(time).strftime(form)


def story(run: Run, best: Evaluation | None, limit: int, now: datetime) -> list[Line]:
    """The newest events as (time, words) lines, newest first; `best` is that of the true best checkpoint."""
    told = (_line(clock(event.time, now), words, role) for event, words, role in _told(run, best))
    lines = list(islice(told, limit))
    for sentence in run.damage_of_record:  # nobody knows when; below the newest, which it must not hide
        lines.insert(1, _line(" " * 5, sentence, "warn"))
    return lines[:limit]


def _line(time: str, words: str, role: str) -> Line:
    return ((time, "faint"), ("  ", "text"), (plain(words), role))


def _told(run: Run, best: Evaluation | None) -> Iterator[tuple[j.Event, str, str]]:
    """Events that are worth a line, newest first; what belongs to one evaluated step shares a line."""
    log = run.log
    index = len(log) - 1
    while index >= 0:
        event = log[index]
        index = _before(log, index)
        if isinstance(event, j.UnknownEvent):
            continue
        if isinstance(event, j.SampledEvent):
            alone = index < 0 or not isinstance(log[index], j.SampledEvent | j.EvaluatedEvent)
            if alone:
                yield event, f"{event.step:,} sampled", "muted"
            continue
        if isinstance(event, j.EvaluatedEvent):
            saved = index >= 0 and isinstance(log[index], j.SavedEvent) and _step(log[index]) == event.step
            index = _before(log, index) if saved else index
            what = event.checkpoint if run.averaged(event.checkpoint) else f"{event.step:,}"
            figure = f"{what} evaluated {fmt.loss(event.loss)}"
            if best is not None and event is best.event:
                yield event, f"{figure} {glyphs().star} best", "best"
            else:
                yield event, figure, "muted"
            continue
        told = _words(event)
        if told:
            yield event, *told


def _before(log: Sequence[j.AnyEvent], index: int) -> int:
    """Index of the event before one; forecasts, which are no line of the story, do not part others."""
    index -= 1
    while index >= 0 and isinstance(log[index], j.PredictedEvent):
        index -= 1
    return index


def _step(event: j.AnyEvent) -> int:
    return int(getattr(event, "step", -1))


def _words(event: j.AnyEvent) -> tuple[str, str] | None:
    match event:
        case j.StartedEvent(parameters=parameters):
            return f"started: {fmt.short(parameters)} parameters", "muted"
        case j.ResumedEvent(step=step, checkpoint=checkpoint):
            return (f"resumed from {step:,}" if checkpoint else "started again from the beginning"), "val"
        case j.SavedEvent(step=step, checkpoint=checkpoint, parents=parents):
            return f"{checkpoint if parents else f'{step:,}'} saved", "muted"
        case j.NotedEvent(step=step, text=text):
            return f"{step:,} “{text}”", "note"
        case j.FaultedEvent(message=message):
            return message, "warn"
        case j.SpikedEvent(step=step, loss=loss, median=median):
            return f"{step:,} loss spike: {fmt.loss(loss)} against a median of {fmt.loss(median)}", "warn"
        case j.DivergedEvent():
            return _batch(event), "muted"
        case j.ControlledEvent():
            return _wish(event)
        case j.EndedEvent(reason="finished", step=step):
            return f"finished at {step:,}", "good"
        case j.EndedEvent(reason="failed", message=message):
            return f"failed: {message}", "error"
        case j.EndedEvent(reason=reason, step=step):
            return f"{reason} at {step:,}", "text"
    return None


def _batch(event: j.DivergedEvent) -> str:
    """The batch before which training stopped, by the window that costs most."""
    windows = zip(event.places, event.losses, event.texts, strict=False)
    costs = [(math.inf if loss is None else loss, place, text) for place, loss, text in windows]
    if not costs:
        return f"batch {event.step:,} was not trained on"
    loss, place, text = max(costs)
    words = " ".join(text.split())[:WORDS]
    return f"batch {event.step:,}: the window that costs most, {fmt.loss(loss)}, is at {place:,}: “{words}”"


def _wish(event: j.ControlledEvent) -> tuple[str, str]:
    if event.act == "plan" and event.value is not None:
        return f"{event.step:,} trains to {event.value:,.0f}", "warn"
    if event.act == "rate_scale" and event.value is not None:
        return f"{event.step:,} learning rate {glyphs().cross} {event.value:g}", "warn"
    words = {"pause": "paused", "continue": "continued"}.get(event.act, event.act)
    return f"{words} at {event.step:,}", "warn" if event.act == "pause" else "muted"

"""The column beside the charts: checkpoints, what the newest one writes, and what happened. Newest first."""

from collections.abc import Sequence
from datetime import datetime

from nexus_tui.runs.run import Evaluation, Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.checkpoint_rows import Row
from nexus_tui.tui.lines import Line
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.story import story
from nexus_tui.tui.text_view import wrap
from nexus_tui.tui.theme import glyphs

_BLANK: Line = ()
_EVENT_LINES = 3


def side(run: Run, checkpoints: Sequence[Row], width: int, height: int, now: datetime) -> list[Line]:
    """Exactly `height` lines or fewer, `width` cells each."""
    best = next((row.evaluation for row in checkpoints if row.best), None)
    share = max(4, height // 3)
    top = _checkpoints(checkpoints, share)
    written = samples(run, width, share + max(0, share - len(top) - 1))
    lines = [*top, _BLANK, *written, _BLANK, (("events", "text!"),)]
    for event in story(run, best, max(0, height - len(lines)), now):
        lines += _wrapped(event, width)
    return lines[:height]


def _wrapped(event: Line, width: int) -> list[Line]:
    """An event in as many lines as it needs, but three at most; its words under each other."""
    time, gap, (words, role) = event
    indent = len(time[0]) + len(gap[0])
    parts = [words[first:last] for first, last in wrap(words, 0, len(words), max(8, width - indent))]
    if len(parts) > _EVENT_LINES:
        rest = " ".join(parts[_EVENT_LINES - 1 :])
        parts = [*parts[: _EVENT_LINES - 1], fit(rest, max(8, width - indent))]
    first: Line = (time, gap, (parts[0], role))
    return [first, *(((" " * indent, role), (part, role)) for part in parts[1:])]


def _checkpoints(rows: Sequence[Row], height: int) -> list[Line]:
    lines: list[Line] = [(("checkpoints", "text!"),)]
    if not rows:
        return [*lines, (("  none yet", "muted"),)]
    newest = sorted(rows, key=lambda row: (row.branch, row.step), reverse=True)
    shown = newest[: height - 1]
    best = next((row for row in rows if row.best), None)
    if best and best not in shown:
        shown[-1] = best
    return [*lines, *(_checkpoint(row) for row in shown)]


def _checkpoint(row: Row) -> Line:
    lost = row.weights if row.weights in ("gone", "damaged") else ""
    faded = row.abandoned or lost
    loss = fmt.loss(row.evaluation.loss) if row.evaluation else fmt.MISSING
    number, role = fit(row.short, 7, right=True), "best" if row.best else "faint" if faded else "text"
    if row.best:
        return ((f"{glyphs().star}{number}  {loss:>7}  {'best':>8}", role),)
    word = lost
    if row.evaluation is not None and not lost:
        word = "unranked" if not row.ranked else "≈ tie" if row.tied else ""
    far = fmt.delta(row.delta) if row.ranked else ""
    return (
        (f" {number}  {loss:>7}", role),
        (f"  {far:>8}", "faint" if faded else "muted"),
        (f"  {word}", "faint"),
    )


def samples(run: Run, width: int, height: int) -> list[Line]:
    """What the newest sampled step wrote after each prompt, in `height` lines or fewer."""
    if not run.samples:
        return [(("samples", "text!"),), (("  none yet", "muted"),)]
    step = run.samples[-1].step
    newest = {sample.prompt: sample for sample in run.samples if sample.step == step}
    lines: list[Line] = [(("samples", "text!"), (f" at {step:,}", "muted"))]
    each = max(1, (height - 1) // len(newest))
    for sample in newest.values():
        lines += _sample(plain(sample.prompt), plain(sample.text, "\n"), width, each)
    return lines[:height]


def _sample(prompt: str, text: str, width: int, height: int) -> list[Line]:
    """A prompt (strong) and how it goes on (quiet), in so many lines."""
    whole = f"{prompt}{text}"
    lines: list[Line] = []
    start = 0
    for paragraph in whole.split("\n"):
        end = start + len(paragraph)
        if paragraph.strip():
            for first, last in wrap(whole, start, end, width - 2):
                cut = min(max(first, len(prompt)), last)
                lines.append((("  ", "text"), (whole[first:cut], "text"), (whole[cut:last], "muted")))
                if len(lines) == height:
                    return lines
        start = end + 1
    return lines


def newest_event(run: Run, best: Evaluation | None, width: int, now: datetime) -> Line:
    """One line with the newest event, where there is no column for them."""
    told = story(run, best, 1, now)
    if not told:
        return _BLANK
    (time, role), gap, (words, tone) = told[0]
    return ((f" {time}", role), gap, (fit(words, max(0, width - 9)), tone))

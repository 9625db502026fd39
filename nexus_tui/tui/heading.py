"""The two lines above the charts: which run this is and how it fares; how far it is, and how long yet."""

from collections.abc import Sequence

from nexus_tui.runs.journal import DeviceEvent
from nexus_tui.runs.run import Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.lines import Line, spread, width_of
from nexus_tui.tui.pace import Pace
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.story import state
from nexus_tui.tui.theme import glyphs


def status(run: Run, pace: Pace | None, width: int, looking: Sequence[str] = ()) -> Line:
    """Name, state, what it is made of; at the right how fast and on what, and who else is `looking`.

    Gives way from the middle.
    """
    sign, word, role = state(run)
    name = fit(plain(run.name), min(len(plain(run.name)), max(12, width // 3)))
    doing = f"{word} · {plain(run.activity)}" if run.activity else word
    left: Line = ((f" {name}", "text!"), (f"  {sign} {doing}", role))
    middle: Line = (("   " + " · ".join(made_of(run)), "muted"),)
    right: Line = ()
    if run.holder:
        parts = [fmt.speed(pace.tokens_per_second)] if pace else []
        right = ((" · ".join([*parts, *device(run)]) + " ", "muted"),)
        if looking:
            others = f" · {len(looking)} more" if len(looking) > 1 else ""
            right = ((f"also here: {plain(looking[0])}{others}   ", "val"), *right)
    for candidate in ((*left, *middle), left):
        if width_of(candidate) + width_of(right) < width:
            return spread(candidate, right, width)
    return left


def made_of(run: Run) -> list[str]:
    """Model, text and size, as far as they are known."""
    names = [run.config.get("preset"), run.setting("data.corpus")]
    known = [plain(str(name)) for name in names if name]
    parameters = run.started.parameters if run.started else 0
    return [*known, fmt.short(parameters)] if parameters else known


def device(run: Run) -> list[str]:
    """What it trains on: `2 cores`, `4 processes of 2 cores`, or the device's name."""
    event = next((event for event in reversed(run.log) if isinstance(event, DeviceEvent)), None)
    if event is None:
        return []
    cores = f"{event.threads} core{'s' if event.threads != 1 else ''}"
    each = cores if event.device == "cpu" else plain(event.device)
    return [f"{event.processes} processes of {each}" if event.processes > 1 else each]


def progress(run: Run, pace: Pace | None, width: int) -> Line:
    """Steps, a thin bar, percent, the time left and the learning rate."""
    total, step = run.total_steps, run.step
    digits = len(f"{max(total, step):,}")
    left: Line = ((" step ", "muted"), (f"{step:>{digits},}", "text!"))
    left = (*left, (f" / {total:,}", "muted")) if total else left
    right: Line = ()
    if total:
        right = ((f" {fmt.percent(step / total):>5}", "text"),)
    if run.state == "training" and total and step < total:
        remaining = fmt.duration(pace.left) if pace else fmt.MISSING
        right = (*right, (f"  {remaining:>7}", "text"), (" left", "muted"))
    if len(run.steps):
        right = (*right, ("   lr ", "muted"), (fmt.learning_rate(float(run.steps["lr"][-1])), "rate"))
    right = (*right, (" ", "text"))
    room = width - width_of(left) - width_of(right) - 2
    if not total or room < 4:
        return spread(left, right, width)
    return (*left, ("  ", "text"), *bar(step / total, room, "live" if run.holder else "muted"), *right)


def bar(fraction: float, width: int, role: str) -> Line:
    """A thin bar of `width` cells, to half a cell."""
    if glyphs().ascii:
        full = round(max(0.0, min(1.0, fraction)) * width)
        return (("=" * full, role), ("-" * (width - full), "faint"))
    halves = round(max(0.0, min(1.0, fraction)) * width * 2)
    full, half = divmod(halves, 2)
    return (("━" * full + "╸" * half, role), ("─" * (width - full - half), "ghost"))

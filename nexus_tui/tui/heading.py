"""The two lines above the charts: which run this is and how it fares; how far it is, and how long yet."""

import re
from collections.abc import Sequence

from nexus_tui.runs.run import Run
from nexus_tui.tui import format as fmt
from nexus_tui.tui.lines import Line, spread, width_of
from nexus_tui.tui.pace import Pace
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.story import state
from nexus_tui.tui.theme import glyphs

_MAKERS = re.compile(r"\b(NVIDIA|GeForce|Tesla|Quadro|AMD|Instinct) ")
_BOARD = re.compile(r"[ -](SXM\d*|PCIe|\d+GB|HBM\w*)(?![\w.])")
"""What a GPU's name says of how it is built and of its memory, besides its model."""


def status(run: Run, pace: Pace | None, width: int, looking: Sequence[str] = ()) -> Line:
    """Name, state, what it is made of; at the right how fast and on what, and who else is `looking`.

    Gives way from the middle; a GPU's name is cut down to its model before that.
    """
    sign, word, role = state(run)
    name = fit(plain(run.name), min(len(plain(run.name)), max(12, width // 3)))
    doing = f"{word} · {plain(run.activity)}" if run.activity else word
    left: Line = ((f" {name}", "text!"), (f"  {sign} {doing}", role))
    middle: Line = (("   " + " · ".join(made_of(run)), "muted"),)
    rights: list[Line] = [()]
    if run.holder:
        speed = [fmt.speed(pace.tokens_per_second)] if pace else []
        rights = [((" · ".join(filter(None, (*speed, name))) + " ", "muted"),) for name in devices(run)]
        if looking:
            others = f" · {len(looking)} more" if len(looking) > 1 else ""
            rights = [((f"also here: {plain(looking[0])}{others}   ", "val"), *right) for right in rights]
    for candidate in ((*left, *middle), left):
        for right in rights:
            if width_of(candidate) + width_of(right) < width:
                return spread(candidate, right, width)
    return left


def made_of(run: Run) -> list[str]:
    """Model, text and size, as far as they are known."""
    names = [run.config.get("preset"), run.setting("data.corpus")]
    known = [plain(str(name)) for name in names if name]
    parameters = run.started.parameters if run.started else 0
    return [*known, fmt.short(parameters)] if parameters else known


def devices(run: Run) -> list[str]:
    """What it trains on, the fullest name first: `2 cores`, `4 processes of 2 cores`, `4 × H100`."""
    event = run.device
    if event is None:
        return [""]
    if event.device == "cpu":
        cores = f"{event.threads} core{'s' if event.threads != 1 else ''}"
        return [f"{event.processes} processes of {cores}" if event.processes > 1 else cores]
    times = f"{event.processes} × " if event.processes > 1 else ""
    return [times + plain(name) for name in names(event.device)]


def names(gpu: str) -> list[str]:
    """A GPU's name, ever shorter and never without its model: `NVIDIA H100 80GB HBM3`, …, `H100`."""
    unmade = _MAKERS.sub("", gpu)
    shorter = [name for name in (unmade, _BOARD.sub("", unmade)) if name.strip()]
    return list(dict.fromkeys([gpu, *shorter]))


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

"""Numbers as they are written everywhere on screen: one way each, and widths that do not dance."""

from __future__ import annotations

import math

MISSING = "–"
"""Stands where a number does not exist, never `None` or `nan`."""


def _special(value: float | None) -> str | None:
    """The text of a value that is no ordinary number, else None."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return None


def count(value: float | None) -> str:
    """Whole number with thousands separated: steps, tokens, bytes. 1412 → `1,412`."""
    return _special(value) or f"{value:,.0f}"


def short(value: float | None) -> str:
    """Large count in three figures: 6739088 → `6.74M`, 1412 → `1.41k`, 980 → `980`."""
    special = _special(value)
    if special or value is None:
        return special or MISSING
    scaled, units = float(value), iter(("", "k", "M", "G", "T", "P"))
    unit = next(units)
    # 999.5 would print as "1000": move on one unit sooner.
    while abs(scaled) >= 999.5 and unit != "P":
        scaled, unit = scaled / 1000, next(units)
    return f"{_three_figures(scaled) if unit else f'{scaled:.0f}'}{unit}"


def _three_figures(value: float) -> str:
    magnitude = abs(value)
    return f"{value:.{2 if magnitude < 9.995 else 1 if magnitude < 99.95 else 0}f}"


def loss(value: float | None) -> str:
    """Loss, nats or bits per byte: four decimals. 1.4021 → `1.4021`."""
    return _special(value) or f"{value:.4f}"


def delta(value: float | None) -> str:
    """Signed distance between two losses: 0.0022 → `+0.0022`."""
    special = _special(value)
    if special or value is None:
        return special or MISSING
    return f"{round(value, 4) + 0.0:+.4f}"  # + 0.0: no negative zero


def perplexity(value: float | None) -> str:
    """exp(loss): two decimals, none from a thousand on, an exponent from a million on. 4.0637 → `4.06`."""
    special = _special(value)
    if special or value is None:
        return special or MISSING
    if abs(value) >= 1e6:
        return f"{value:.2e}"
    return f"{value:.2f}" if abs(value) < 999.995 else f"{value:,.0f}"


def learning_rate(value: float | None) -> str:
    """Learning rate: 6.6121e-05 → `6.61e-05`."""
    return _special(value) or f"{value:.2e}"


def percent(fraction: float | None) -> str:
    """Share of one: 0.706 → `71 %`. Only what is complete reads 100 %."""
    special = _special(fraction)
    if special or fraction is None:
        return special or MISSING
    return "99 %" if 0.985 <= fraction < 1 else f"{max(-1e9, min(100 * fraction, 1e9)):,.0f} %"


def duration(seconds: float | None) -> str:
    """Length of time: 621 → `10:21`, 3723 → `1:02:03`, 93784 → `1 d 02:03`."""
    special = _special(seconds)
    if special or seconds is None or seconds < 0:
        return special if special else MISSING
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24:02d}:{minute:02d}"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def age(seconds: float | None) -> str:
    """How long ago: `now`, `40 s`, `3 min`, `5 h`, `12 d`, `3 y`."""
    special = _special(seconds)
    if special or seconds is None:
        return special or MISSING
    if seconds < 5:
        return "now"
    for unit, length, limit in (
        ("s", 1, 60),
        ("min", 60, 3600),
        ("h", 3600, 86400),
        ("d", 86400, 730 * 86400),
    ):
        if seconds < limit:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds // (365 * 86400))} y"


def size(number: float | None) -> str:
    """Bytes in powers of a thousand: 25_800_000 → `25.8 MB`."""
    special = _special(number)
    if special or number is None:
        return special or MISSING
    scaled, units = float(number), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while abs(scaled) >= 999.5 and unit != "PB":
        scaled, unit = scaled / 1000, next(units)
    return f"{scaled:.0f} B" if unit == "B" else f"{_three_figures(scaled)} {unit}"


def speed(tokens_per_second: float | None) -> str:
    """Throughput: 1942.3 → `1,942 tok/s`."""
    special = _special(tokens_per_second)
    if special or tokens_per_second is None:
        return f"{special or MISSING} tok/s"
    fast = tokens_per_second >= 9.95
    return f"{tokens_per_second:,.0f} tok/s" if fast else f"{tokens_per_second:.1f} tok/s"


def value(number: float | None) -> str:
    """Any metric whose meaning is not known: five significant figures, steady for like magnitudes."""
    special = _special(number)
    if special or number is None:
        return special or MISSING
    magnitude = abs(number)
    if number == 0:
        return "0"
    if magnitude >= 1e7 or magnitude < 1e-3:
        return f"{number:.2e}"
    decimals = max(0, 4 - max(0, math.floor(math.log10(magnitude))))
    return f"{number:,.{decimals}f}"

"""Numbers as a journal keeps them: it has no word for what is no finite one, and says nothing instead."""

import math


def finite(value: float | None) -> float | None:
    """A number for the record; None for what is no finite one."""
    return value if value is not None and math.isfinite(value) else None


def number(value: float | None) -> float:
    """A number that the record may lack: NaN for None."""
    return math.nan if value is None else value

"""What a chart is asked to show."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
Marker = Literal["line", "dots", "star"]
Format = Callable[[float | None], str]


@dataclass(slots=True, eq=False)
class Curve:
    """One curve: whole columns, as they grow; only what is new since the last call is read."""

    name: str
    """Which curve this is from one call to the next, and its name in the title."""
    x: Column
    """Places [n]; may step back, where a resumed run goes on from an earlier step."""
    y: Column
    """Values [n]; NaN and infinite ones are gaps."""
    color: str = "train"
    """A role of the palette or a colour."""
    marker: Marker = "line"
    """`line`: braille stroke, smoothed by the chart's smoothing; `dots`: ●, exact; `star`: ★, the best."""
    joined: bool = True
    """Dots are joined by a thin line."""
    dim: bool = False
    """Stands back: an abandoned branch, another run. Drawn under the others, no raw values behind it."""
    smooth: bool = True
    """Is noisy: may be smoothed, and extremes left outside the frame. False for a learning rate."""
    sign: str | None = None
    """Second sign of a series, drawn at its end and in the title; colour is never the only difference."""
    label: str | None = None
    """In the title instead of the name."""
    quiet: bool = False
    """The title does not tell of it at the crosshair: another curve of the same thing does."""
    front: bool = False
    """Drawn over the others."""
    version: Hashable = None
    """Another value says that old points were rewritten."""


class Mark(NamedTuple):
    """A place worth knowing: a resume, a note."""

    x: float
    label: str = ""
    """Written beside it, where there is room."""
    kind: Literal["resume", "note", "warn"] = "note"
    text: str = ""
    """Said of it where the crosshair stands."""


@dataclass(slots=True, eq=False)
class Band:
    """A range of values over x, shaded: a forecast with its uncertainty."""

    x: Column
    """Places [n], growing."""
    low: Column
    """Lower end [n]."""
    high: Column
    """Upper end [n]."""
    color: str = "forecast"


class Legend(NamedTuple):
    """One entry of the title line; plain tuples (marker, color, text) do as well."""

    marker: str
    """`line`, `dots`, `star`, `band`, or the sign itself."""
    color: str
    """A role of the palette or a colour."""
    text: str
    """What is always shown, the value as a rule."""
    label: str = ""
    """Before the text; dropped second when the title is too long."""
    note: str = ""
    """After the text, such as `@1,200`; dropped first."""
    bound: bool = False
    """The text is nothing without its note, which stays; the label goes in its stead."""


class Reading(NamedTuple):
    """What a curve says at the crosshair."""

    name: str
    x: float
    raw: float
    smooth: float | None

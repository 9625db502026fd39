"""What the user has arranged, kept for each runs folder: the next start looks as the last one was left.

Screens read and set the attributes of `app.view` and do nothing else: the app looks several times a second
whether anything differs from what is on disk, and once more at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from nexus_tui.tui.copying import short_path, state_folder

FORMAT = 1
"""Version of the file; one of another version is set aside, as one that is damaged is."""
QUIET = 4
"""Looks in a row that find the view unchanged before it is written: a key held down is one change."""

Axis = Literal["step", "tokens", "time", "clock"]
"""What charts count along their lower edge: `time` is spent on steps, `clock` is the time of day."""
Smoothing = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class View(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How everything is arranged. Names of runs, metrics and panes that are not known are passed over."""

    # The file.
    format: int = FORMAT
    folder: str = ""
    """The runs folder that this is of."""

    # Everywhere.
    theme: str = ""

    # Charts.
    axis: Axis = "step"
    smoothing: Smoothing | None = None
    """EMA coefficient of every noisy curve; None: what suits the number of its points."""
    log: list[str] = []
    """Metrics with a logarithmic axis."""
    large: str = ""
    """The metric in the large chart; the others follow in their usual order."""
    closed: list[str] = []
    """Panes that the user has closed: `side`, `lower` (the small charts)."""

    # The list of runs.
    sort: str = ""
    """A column; empty: what is trained, then what was active last."""
    sort_reversed: bool = False
    filter: str = ""
    pins: list[str] = []

    # Several runs over each other.
    marked: list[str] = []
    """Runs, in the order of marking."""
    places: dict[str, int] = {}
    """The place of each marked run in the series of colours and signs, its own while it is marked."""
    hidden: list[str] = []
    """Marked runs whose curves are not drawn."""


class ViewFile:
    """Where the view of a runs folder is kept. Nothing that is wrong with it ever stops the program.

    Args:
        folder: the runs folder; whichever path led to it, the view is the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder.resolve())
        name = re.sub(r"[^\w.-]+", "-", Path(self._folder).name).strip(".-")
        digest = hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]
        self.path = state_folder() / "views" / f"{name}-{digest}.json"
        self._written = b""
        self._seen = b""
        self._quiet = 0
        self._said = False

    def load(self) -> tuple[View, str]:
        """The view as it was left, or a fresh one; and a sentence about a file that had to be set aside."""
        view, said = View(folder=self._folder), ""
        try:
            view = msgspec.json.decode(self.path.read_bytes(), type=View)
            if view.format != FORMAT:
                raise ValueError(f"has format {view.format}, and this version reads {FORMAT}")
        except FileNotFoundError:
            pass
        except OSError as error:
            said = f"{short_path(self.path)} cannot be read ({error.strerror}): the view is as at first."
        except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            view, said = View(folder=self._folder), self._set_aside(error)
        view.folder = self._folder
        self._written = self._seen = msgspec.json.encode(view)
        return view, said

    def look(self, view: View) -> str:
        """Write the view once it has not changed for a while; a sentence if that failed, the first time."""
        now = msgspec.json.encode(view)
        self._quiet = self._quiet + 1 if now == self._seen else 0
        self._seen = now
        return self.save(view) if self._quiet >= QUIET else ""

    def save(self, view: View) -> str:
        """Write the view now, whole or not at all, unless it is on disk; a sentence if that failed, once."""
        now = msgspec.json.encode(view)
        if now == self._written:
            return ""
        self._written = now  # what failed is tried again when something changes
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_suffix(f".{os.getpid()}.new")
            temporary.write_bytes(now)
            temporary.replace(self.path)
        except OSError as error:
            said, self._said = self._said, True
            place = short_path(self.path.parent)
            return (
                "" if said else f"How the screens are arranged cannot be kept in {place} ({error.strerror})."
            )
        return ""

    def _set_aside(self, error: Exception) -> str:
        """Move a file that cannot be used out of the way, for the user to look at."""
        aside = self.path.with_suffix(".damaged")
        with contextlib.suppress(OSError):
            self.path.replace(aside)
            return (
                f"The view of this folder could not be used and is as at first; "
                f"what was kept is {short_path(aside)} ({error})."
            )
        return f"{short_path(self.path)} cannot be used ({error}): the view is as at first."

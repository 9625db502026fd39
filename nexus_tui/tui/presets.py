"""Settings by name: four that come with the program, and the user's own in a file."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SETTINGS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""What a preset sets: how tokens are drawn. How many, from which seed and to which text stay as they are."""

BUILT_IN: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1},
    "careful": {"temperature": 0.6, "top_k": 0, "top_p": 0.9, "min_p": 0, "repetition_penalty": 1},
    "usual": {"temperature": 0.8, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1},
    "wild": {"temperature": 1.3, "top_k": 0, "top_p": 1, "min_p": 0.03, "repetition_penalty": 1},
}
LONGEST_NAME = 24
_LARGEST = 1_000_000


class Presets:
    """The presets by name. A file that is damaged, or whose values cannot be, is as good as none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.own: dict[str, dict[str, float]] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads(path.read_text("utf-8"))
            if isinstance(found, dict):
                self.own = {
                    name: {key: values[key] for key in SETTINGS}
                    for name, values in found.items()
                    if not wrong_name(name) and _is_preset(values)
                }

    @property
    def all(self) -> dict[str, dict[str, float]]:
        """Those of the program first."""
        return BUILT_IN | self.own

    def name_of(self, values: Mapping[str, Any]) -> str:
        """The preset that has these values; empty if none has."""
        wanted = {key: values.get(key) for key in SETTINGS}
        return next((name for name, preset in self.all.items() if preset == wanted), "")

    def keep(self, name: str, values: Mapping[str, Any]) -> str:
        """Keep values under a name, in place of what it had. Returns what went wrong, or nothing."""
        self.own[name] = {key: values[key] for key in SETTINGS}
        return self._write()

    def forget(self, name: str) -> str:
        """Forget one of the user's own. Returns what went wrong, or nothing."""
        self.own.pop(name, None)
        return self._write()

    def _write(self) -> str:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(self.own, indent=1, ensure_ascii=False) + "\n", "utf-8")
            temporary.replace(self._path)
        except OSError as error:
            return f"{self._path} cannot be written ({error.strerror}); the presets last until you leave."
        return ""


def wrong_name(name: str) -> str:
    """Why a preset of the user's cannot have this name, in one sentence; empty if it can."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return f"Write a name of 1 to {LONGEST_NAME} characters."
    return f"{name} comes with the program; choose another name." if name in BUILT_IN else ""


def _is_preset(values: object) -> bool:
    """Whether these are numbers that make a preset."""
    if not isinstance(values, dict) or not set(SETTINGS) <= set(values):
        return False
    numbers = [values[key] for key in SETTINGS]
    if not all(type(number) in (int, float) and abs(number) <= _LARGEST for number in numbers):
        return False
    temperature, top_k, top_p, min_p, penalty = numbers
    return bool(
        0 <= temperature <= 100 and top_k == int(top_k) and top_k >= 0
        and 0 < top_p <= 1 and 0 <= min_p <= 1 and 0.01 <= penalty <= 100
    )  # fmt: skip

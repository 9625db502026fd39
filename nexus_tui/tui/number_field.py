"""A number in one small field: checked as it is typed, stepped with the arrow keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from nexus_tui.tui.keys import keys_at


@dataclass(frozen=True)
class Setting:
    """What a number may be and how it is stepped."""

    id: str
    label: str
    default: float
    low: float
    high: float
    step: float
    whole: bool = True
    width: int = 6
    above: bool = False
    """Whether `low` itself is excluded."""

    def written(self, value: float) -> str:
        """A value as text."""
        return str(round(value)) if self.whole else f"{value:.6g}"

    def read(self, text: str) -> tuple[float | None, str]:
        """The value of a text, or None and why not, in one sentence."""
        try:
            value: float = int(text) if self.whole else float(text.replace(",", "."))
        except ValueError:
            kind = "whole number" if self.whole else "number"
            if not text.strip():
                bound = "above" if self.above else "from"
                return None, f"{self.label} is empty: write a {kind} {bound} {self.low:g} to {self.high:g}."
            return None, f"{self.label}: {text} is no {kind}."
        low = value > self.low if self.above else value >= self.low
        if not math.isfinite(value) or not low or value > self.high:
            bound = "above" if self.above else "from"
            return None, f"{self.label} is {bound} {self.low:g} to {self.high:g}, not {text}."
        return value, ""


def screen_keys() -> list[BindingType]:
    """The playground's keys with ctrl, for a field that would take them for its own editing."""
    return [
        Binding(one, f"screen.key('{key.id}')", key.label, show=False)
        for key in keys_at("playground")
        for one in key.keys.split(",")
        if one.startswith("ctrl+")
    ]


class _Input(Input):
    """An input whose arrow keys step its number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", "more", show=False),
        Binding("down", "step(-1)", "less", show=False),
        *screen_keys(),
    ]

    def __init__(self, setting: Setting) -> None:
        super().__init__(
            setting.written(setting.default),
            restrict=r"[ -~]*",  # what is no number is shown as typed, and marked
            max_length=20,
            select_on_focus=True,
            compact=True,
            id=setting.id,
        )
        self.setting = setting
        self.cursor_blink = False

    def action_step(self, direction: int) -> None:
        """One step up or down, within what the number may be."""
        setting = self.setting
        value, _ = setting.read(self.value)
        value = setting.default if value is None else value + direction * setting.step
        low = setting.step if setting.above else setting.low
        self.value = setting.written(min(max(value, low), setting.high))


class NumberField(Horizontal):
    """A label and its number."""

    DEFAULT_CSS = """
    NumberField { width: auto; height: 1; margin-right: 2; }
    NumberField Label { width: auto; color: $muted; margin-right: 1; }
    NumberField Input { background: $surface; padding: 0 1; height: 1; border: none; }
    NumberField Input:focus { background: $block-cursor-background; }
    NumberField.-wrong Input { color: $warn; text-style: bold; }
    NumberField.-wrong Label { color: $warn; }
    """

    class Changed(Message):
        """The text of a field is another; `reason` says what is wrong with it, or nothing."""

        def __init__(self, id: str, reason: str) -> None:
            super().__init__()
            self.id = id
            self.reason = reason

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self._input = _Input(setting)
        self._input.styles.width = setting.width + 2

    def compose(self) -> ComposeResult:
        """Label, then field."""
        yield Label(self.setting.label)
        yield self._input

    @property
    def value(self) -> float | None:
        """The number; None if the text is none, or one that cannot be."""
        return self.setting.read(self._input.value)[0]

    @property
    def reason(self) -> str:
        """What is wrong with the text; empty if nothing is."""
        return self.setting.read(self._input.value)[1]

    def set(self, value: float) -> None:
        """Put another number there."""
        self._input.value = self.setting.written(value)

    def take_focus(self) -> None:
        """Let the user type here."""
        self._input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show at once whether it will do."""
        event.stop()
        self.set_class(bool(self.reason), "-wrong")
        self.post_message(self.Changed(self.setting.id, self.reason))

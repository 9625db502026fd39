"""How a text is drawn: a field for each setting, checked where it stands, and the name of the preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.widgets import Input, Label

from nexus_tui.tui.lines import Lines
from nexus_tui.tui.number_field import NumberField, Setting, screen_keys
from nexus_tui.tui.presets import SETTINGS as OF_PRESETS
from nexus_tui.tui.presets import Presets
from nexus_tui.tui.safe import fit, plain

SETTINGS = (
    Setting("temperature", "temperature", 0.8, 0, 100, 0.1, whole=False, width=4),
    Setting("top_k", "top-k", 0, 0, 1_000_000, 5, width=4),
    Setting("top_p", "top-p", 1, 0, 1, 0.05, whole=False, width=4, above=True),
    Setting("min_p", "min-p", 0, 0, 1, 0.01, whole=False, width=4),
    Setting("repetition_penalty", "penalty", 1, 0.01, 100, 0.05, whole=False, width=4),
    Setting("max_tokens", "tokens", 200, 1, 1_000_000, 50, width=6),
    Setting("seed", "seed", 0, 0, 2**64 - 1, 1, width=6),
)
STOP_HINT = r"none; a|b; \n too"


def stop_texts(typed: str) -> tuple[str, ...]:
    r"""Stop texts as typed: `|` parts several, \n breaks a line, \t is a tab, \| and \\ are themselves."""
    texts, text = [], ""
    characters = iter(typed)
    for character in characters:
        if character == "|":
            texts.append(text)
            text = ""
        elif character == "\\":
            escaped = next(characters, "\\")
            text += {"n": "\n", "t": "\t", "|": "|", "\\": "\\"}.get(escaped, "\\" + escaped)
        else:
            text += character
    return tuple(text for text in (*texts, text) if text)


class _Stop(Input):
    BINDINGS: ClassVar[list[BindingType]] = screen_keys()


class SettingsPanel(Container):
    """Fields in rows of five, or two beside each other in a narrow column."""

    DEFAULT_CSS = """
    SettingsPanel { layout: grid; grid-size: 5; grid-columns: 20 14 14 14 16; grid-rows: 1; height: 2; }
    SettingsPanel NumberField { margin-right: 0; }
    SettingsPanel #stops { column-span: 2; height: 1; }
    SettingsPanel #stops Label { color: $muted; margin-right: 1; }
    SettingsPanel #stop { width: 1fr; background: $surface; padding: 0 1; height: 1; border: none; }
    SettingsPanel #stop:focus { background: $block-cursor-background; }
    SettingsPanel #preset { height: 1; }
    """

    def __init__(self, presets: Presets, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.presets = presets

    def compose(self) -> ComposeResult:
        """Numbers, preset, stop texts."""
        for setting in SETTINGS:
            yield NumberField(setting)
        yield Lines(id="preset")
        with Horizontal(id="stops"):
            yield Label("stop")
            field = _Stop(placeholder=STOP_HINT, select_on_focus=True, compact=True, id="stop")
            field.cursor_blink = False
            yield field

    def on_mount(self) -> None:
        """Name the preset."""
        self.call_after_refresh(self._show_preset)

    def on_resize(self) -> None:
        """The name is cut to the room there is."""
        self._show_preset()

    @property
    def wrong(self) -> NumberField | None:
        """The first field whose number cannot be."""
        return next((field for field in self.query(NumberField) if field.reason), None)

    @property
    def values(self) -> dict[str, Any]:
        """The arguments of `Sampling`; None for a number that cannot be."""
        return {field.setting.id: field.value for field in self.query(NumberField)}

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts at which to stop."""
        return stop_texts(self.query_one("#stop", Input).value)

    def set(self, values: Mapping[str, float]) -> None:
        """Put numbers into their fields."""
        for field in self.query(NumberField):
            if field.setting.id in values:
                field.set(values[field.setting.id])
        self._show_preset()

    def next_seed(self) -> None:
        """The next seed, in place of one that cannot be the first."""
        field = next(field for field in self.query(NumberField) if field.setting.id == "seed")
        field.set((int(field.value) + 1) % 2**64 if field.value is not None else 0)

    @property
    def preset(self) -> str:
        """The name of the preset with these values; empty if they have none."""
        return self.presets.name_of(self.values)

    def on_number_field_changed(self, event: NumberField.Changed) -> None:
        """Other values may have another name."""
        if event.id in OF_PRESETS:
            self._show_preset()

    def _show_preset(self) -> None:
        line = self.query_one("#preset", Lines)
        name = plain(self.preset)
        label = "preset".ljust(12 if self.size.height > 2 else 6) + " "
        room = max(4, line.size.width - len(label) - 1)
        line.show([((label, "muted"), (fit(name, room).rstrip() or "own", "text" if name else "muted"))])

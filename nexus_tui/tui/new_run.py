"""`n`: choose a model and a text, and train. Enter takes the marked model, Enter again starts."""

import asyncio
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from textual import on, work
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label, Static

from nexus_tui.resources import model_files
from nexus_tui.tui.dialogs import Dialog, memory_dialog
from nexus_tui.tui.launcher import LaunchError, TooLarge, override
from nexus_tui.tui.listing import Column, Listing, Row
from nexus_tui.tui.safe import plain

DEFAULT = "nexus-byte"
"""The model that is marked at first."""
FIELDS = (
    ("corpus", "name or path of a text"),
    ("field", "text, or whatever the field of a row is called that has it"),
    ("steps", ""),
    ("name", ""),
)
PAUSE = 0.3
"""Seconds without a key after which it is said what the path of a corpus stands for."""


@dataclass(frozen=True)
class Preset:
    """What the dialog says of a model; the recipe itself is checked when training starts."""

    name: str
    description: str
    corpus: str
    steps: str


def presets() -> list[Preset]:
    """The shipped models, the default first."""
    found = [_preset(name, path) for name, path in model_files().items()]
    return sorted(found, key=lambda preset: (preset.name != DEFAULT, preset.name))


def _preset(name: str, path: Path) -> Preset:
    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return Preset(name, f"cannot be read: {error}", "", "")
    corpus, steps = tables.get("data", {}).get("corpus", ""), tables.get("budget", {}).get("steps", "")
    return Preset(name, str(tables.get("description", "")), str(corpus), str(steps))


def _said_of(corpus: str, field: str) -> tuple[str, str, bool]:
    """A sentence on the corpus of this name or path, its role on the screen, and whether it has rows."""
    from nexus_tui.data.cache import CorpusError
    from nexus_tui.data.corpus import FIELD
    from nexus_tui.data.described import described

    if not corpus:
        return "", "muted", False
    try:
        about = described(corpus, field or FIELD)
    except CorpusError as error:
        return str(error), "warn", False
    return (about.wrong, "warn", about.rows) if about.wrong else (f"{about}.", "muted", about.rows)


class NewRunDialog(Dialog[bool]):
    """Model, text, steps, name. What is left empty is as the model's recipe has it.

    Gives back whether a run was started.
    """

    CSS_PATH: ClassVar[CSSPathType | None] = ["dialogs.tcss", "new_run.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take", show=False),
        # Before any widget sees the key: else what is typed right after it, or comes in the same packet of a
        # slow link, still goes to the field before.
        Binding("tab", "app.focus_next", "next field", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", "field before", show=False, priority=True),
    ]
    AUTO_FOCUS = "Listing"

    def __init__(self) -> None:
        super().__init__()
        self._presets = presets()
        self._starting = False

    def compose(self) -> ComposeResult:
        """The list of models, three fields, room for what is wrong, and the button."""
        with Vertical(classes="panel"):
            yield Static(self.ink(("New run", "text!")), classes="title")
            yield Listing([Column("model", "model", 16), Column("is", "", 40, grow=40)])
            for name, hint in FIELDS:
                with Horizontal(classes="field rows" if name == "field" else "field"):
                    yield Label(self.ink((name, "muted")))
                    field = Input(placeholder=hint, compact=True, id=name)
                    field.cursor_blink = False
                    yield field
            yield Static(classes="wrong")
            with Horizontal(classes="field"):
                start = Button("start", compact=True, id="start")
                start.active_effect_duration = 0  # while it lasts, Enter is not heard
                yield start
                yield Static(
                    self.ink(
                        ("enter", "live!"), (" takes the model, then starts   ", "muted"),
                        ("tab", "live!"), (" next field   ", "muted"), ("esc", "live!"), (" back", "muted"),
                    ),
                    classes="hint",
                )  # fmt: skip

    def on_mount(self) -> None:
        """Mark the default."""
        rows = [
            Row(preset.name, {"model": (preset.name, "text!"), "is": (plain(preset.description), "muted")})
            for preset in self._presets
        ]
        self.query_one(".rows").display = False
        listing = self.query_one(Listing)
        listing.styles.height = len(rows) + 1
        listing.show(rows)
        self._suggest()

    @property
    def preset(self) -> Preset:
        """The marked model."""
        return self._presets[self.query_one(Listing).cursor]

    @on(Listing.Moved)
    def _suggest(self) -> None:
        """Show what an empty field means."""
        preset = self.preset
        self.query_one("#corpus", Input).placeholder = f"{preset.corpus}, or the path of a text"
        self.query_one("#steps", Input).placeholder = preset.steps
        self.query_one("#name", Input).placeholder = self._free_name(preset.name)

    def _free_name(self, preset: str) -> str:
        folder, number = self._app.runs_folder, 1
        while (folder / f"{preset}-{number}").exists():
            number += 1
        return f"{preset}-{number}"

    @on(Input.Changed, "#corpus")
    @on(Input.Changed, "#field")
    @work(exclusive=True, group="corpus")
    async def _describe(self) -> None:
        """Say what the path stands for, once nobody types any more; a folder of many files takes a while.

        Where it has rows, the field that names their text can be filled in.
        """
        await asyncio.sleep(PAUSE)
        said, role, rows = await asyncio.to_thread(_said_of, self._value("corpus"), self._value("field"))
        self.query_one(".rows").display = rows
        if not self._starting:
            self._tell(said, role)

    @property
    def _app(self) -> Any:
        return cast(Any, self.app)

    def action_take(self) -> None:
        """Take the marked model: go to the button."""
        self.query_one("#start", Button).focus()

    @on(Listing.Opened)
    def _twice(self) -> None:
        self.action_take()

    @on(Input.Submitted)
    @on(Button.Pressed)
    def _go(self) -> None:
        steps = self._value("steps").replace(",", "").replace("_", "")
        if steps and not steps.isdecimal():
            self._tell(f"steps: {self._value('steps')!r} is no whole number.")
            self.query_one("#steps", Input).focus()
            return
        overrides = [override("budget.steps", int(steps))] if steps else []
        if self._value("corpus"):
            overrides.append(override("data.corpus", self._value("corpus")))
        if self._value("field") and self.query_one(".rows").display:
            overrides.append(override("data.field", self._value("field")))
        if not self._starting:
            self._starting = True
            self._tell("starting", "muted")
            self._start(overrides)

    @work
    async def _start(self, overrides: list[str], force: bool = False) -> None:
        try:
            await self._app.start(self.preset.name, overrides, self._value("name"), force=force)
        except TooLarge as error:
            self._ask(overrides, error)
        except LaunchError as error:
            self._tell(str(error))
            self._starting = False
        else:
            self.dismiss(True)

    def _ask(self, overrides: list[str], error: TooLarge) -> None:
        """Memory will not do: fewer windows at once, as it is, or back."""

        def answer(key: str | None) -> None:
            if key == "m":
                self._start([*overrides, override("budget.micro_batch", error.micro_batch)])
            elif key == "t":
                self._start(overrides, force=True)
            else:
                self._tell("")
                self._starting = False

        self.app.push_screen(memory_dialog(self.preset.name, error), answer)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _tell(self, sentence: str, role: str = "warn") -> None:
        self.query_one(".wrong", Static).update(self.ink((sentence, role)))

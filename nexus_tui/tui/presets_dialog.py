"""Choose settings by name, keep the ones in the fields under a name, forget one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from nexus_tui.tui.dialogs import Dialog, LineDialog
from nexus_tui.tui.listing import Column, Listing, Row
from nexus_tui.tui.presets import BUILT_IN, SETTINGS, Presets, wrong_name
from nexus_tui.tui.safe import plain

_TITLES = ("temperature", "top-k", "top-p", "min-p", "penalty")


class PresetsDialog(Dialog[str]):
    """The presets in a list. Gives back the name of the one chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", show=False),
        Binding("s", "keep", show=False),
        Binding("D,delete", "forget", show=False),
    ]

    def __init__(self, presets: Presets, values: Mapping[str, Any]) -> None:
        super().__init__()
        self._presets, self._values = presets, values

    def compose(self) -> ComposeResult:
        """The list, what went wrong, and the keys."""
        with Vertical(classes="panel"):
            yield Static(self.ink(("Presets", "text!")), classes="title")
            names = Column("name", "name", 18, grow=8)
            yield Listing([names, *(Column(t, t, max(6, len(t)), right=True) for t in _TITLES)], id="presets")
            yield Static(classes="wrong")
            keys = (
                ("enter", " takes it   "), ("s", " keeps what the fields say   "),
                ("D", " forgets one of yours   "), ("esc", " back"),
            )  # fmt: skip
            yield Static(
                self.ink(*(part for key, does in keys for part in ((key, "live!"), (does, "muted"))))
            )

    def on_mount(self) -> None:
        """Begin at the preset that holds."""
        self._show()
        self._listing.go_to(self._presets.name_of(self._values))
        self._listing.focus()

    @property
    def _listing(self) -> Listing:
        return self.query_one(Listing)

    def _show(self) -> None:
        rows = []
        for name, values in self._presets.all.items():
            role = "text" if name in BUILT_IN else "live"
            numbers = {
                title: (f"{values[key]:g}", "muted") for title, key in zip(_TITLES, SETTINGS, strict=True)
            }
            rows.append(Row(name, {"name": (plain(name), role), **numbers}))
        self._listing.styles.height = min(len(rows) + 1, 12)
        self._listing.show(rows)

    def action_choose(self) -> None:
        """Take the preset under the cursor."""
        if self._listing.current:
            self.dismiss(self._listing.current)

    def on_listing_opened(self, _: Listing.Opened) -> None:
        """Clicked twice."""
        self.action_choose()

    def action_keep(self) -> None:
        """Keep what the fields say, under a name."""
        if any(self._values.get(key) is None for key in SETTINGS):
            self._say("A field has no number that can be; esc, and set it right first.")
            return
        current = self._listing.current or ""
        dialog = LineDialog(
            "Keep these settings",
            "Under a name; one that is there already gets these instead.",
            value="" if current in BUILT_IN else current,
            placeholder="name",
            check=wrong_name,
        )
        self.app.push_screen(dialog, self._keep)

    def _keep(self, name: str | None) -> None:
        if name:
            self._say(self._presets.keep(name, self._values))
            self._show()
            self._listing.go_to(name)

    def action_forget(self) -> None:
        """Forget the preset under the cursor, if it is the user's own."""
        name = self._listing.current or ""
        if name in BUILT_IN:
            self._say(f"{name} comes with the program and stays.")
        elif name:
            self._say(self._presets.forget(name))
            self._show()

    def _say(self, sentence: str) -> None:
        self.query_one(".wrong", Static).update(self.ink((sentence, "warn")))

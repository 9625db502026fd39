"""What the screens of all modes share: keys from the table, a footer, and news of the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.dom import DOMNode
from textual.screen import Screen

from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.keys import BY_ID, Key, Where, keys_of

if TYPE_CHECKING:
    from nexus_tui.tui.app import NexusApp

WIDTHS = [(0, "-tiny"), (80, "-narrow"), (110, "-normal"), (150, "-wide")]
HEIGHTS = [(0, "-low"), (30, "-tall"), (44, "-high")]
_DELAY = 0.06
"""Seconds: Textual lays out nothing for 0.05 s after a change of modes."""


class ModeScreen(Screen[None]):
    """The screen of one mode. It draws from `self.nexus.current` and sends wishes to `self.nexus.control`.

    A subclass names its place in the table of keys (`WHERE`, and `BINDINGS = bindings(WHERE)`), implements
    `record_changed`, and says in `why_not` which actions cannot be had now. It composes a `KeyBar`.
    """

    WHERE: ClassVar[Where] = "everywhere"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    ROUNDS: ClassVar[int] = 0
    """Of layout and drawing, that the screen takes to come to rest at first; nothing is painted before."""
    _rounds_left = 0

    def on_mount(self) -> None:
        """Begin to come to rest, once the app's own delay for another mode is over."""
        self._rounds_left = self.ROUNDS
        if self.ROUNDS:
            self.set_timer(_DELAY, self._round)

    def _round(self) -> None:
        self._rounds_left -= 1
        if self._rounds_left:
            self.call_after_refresh(self._round)
        else:
            self.refresh()

    def _compositor_refresh(self) -> None:
        """Paint what has changed: a whole screen is 40 kB, which a slow line need not carry three times."""
        if not self._rounds_left:
            super()._compositor_refresh()

    @property
    def standing(self) -> bool:
        """Whether all of it is there: it has been composed, and is not being taken down."""
        return self.is_mounted and self.is_attached and not self._pruning

    @property
    def nexus(self) -> NexusApp:
        """The app, as what it is."""
        return cast("NexusApp", self.app)

    def record_changed(self) -> None:
        """Something on record may have changed, or this screen was just opened: draw what is new.

        Called at most four times a second, only for the screen that is seen. Compare `Run.revision` with the
        one drawn: a screen that is up to date paints nothing.
        """

    def colors_changed(self) -> None:
        """The theme is another one: draw everything again."""
        self.refresh(layout=False)
        for widget in self.query("*"):
            widget.refresh()

    def why_not(self, action: str) -> str:  # noqa: ARG002
        """Why an action of this screen cannot be had now, in one sentence; empty if it can."""
        return ""

    def check_action(self, action: str, _: tuple[object, ...]) -> bool | None:
        """None, which is grey, for what cannot be had now."""
        return None if self.why_not(action) else True

    async def action_key(self, id: str) -> None:
        """What every key of the table is bound to: do it, or say why not."""
        await perform(self, BY_ID[id])

    def show_keys(self) -> None:
        """Bring the footer's grey keys up to date."""
        bars = self.query(KeyBar)
        if not bars:  # not composed yet, or already taken down
            return
        greyed = {key.id for key in keys_of(self.WHERE) if key.rank and self.why_not(key.method)}
        bars.first().show(frozenset(greyed), self.escape_in_field if self.typing else "", self.part)

    @property
    def part(self) -> Where | None:
        """The part of the screen that has the focus, if it has keys of its own in the footer."""
        return None

    @property
    def typing(self) -> bool:
        """Whether keys that write are written: a text is edited."""
        return self.focused is not None and self.focused.check_consume_key("q", "q")

    @property
    def escape_in_field(self) -> str:
        """What esc does while a text is edited, for the footer."""
        return "leaves the field"

    def on_descendant_focus(self) -> None:
        """In a field, other keys act."""
        self.show_keys()

    def on_descendant_blur(self) -> None:
        """See above."""
        self.show_keys()

    def on_screen_resume(self) -> None:
        """Draw what has changed while another screen was seen."""
        self.nexus.look()
        self.record_changed()
        self.show_keys()


async def perform(screen: Screen[Any], key: Key) -> None:
    """Carry out a key of the table for a screen, once that is there, or say why that cannot be."""
    if not screen.is_mounted:  # not waited for: it may need who asks to become that
        screen.call_later(perform, screen, key)
        return
    node: DOMNode = screen.app if key.where == "everywhere" else screen
    if isinstance(screen, ModeScreen) and node is screen and (reason := screen.why_not(key.method)):
        screen.nexus.say(reason, "warn")
        return
    await screen.app.run_action(key.action, node)

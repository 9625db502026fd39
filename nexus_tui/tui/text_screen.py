"""A text on a screen: as it comes, token by token, with its figures, and the texts before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.timer import Timer

from nexus_tui.runs.run import Run
from nexus_tui.tui.copying import copy, export
from nexus_tui.tui.desk import Desk, Version
from nexus_tui.tui.inspector import Inspector
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.lines import Lines
from nexus_tui.tui.safe import fit, plain
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.text_figures import first_line, second_line
from nexus_tui.tui.token_view import TokenView

FRAME = 0.1
"""Seconds between two looks at what was written: ten updates a second at most, however fast the model is."""


class TextScreen(ModeScreen):
    """Shows the desk's text in a `TokenView`, what is inside it in an `Inspector`, figures in `#figures`.

    A subclass composes these, sets `desk`, begins texts with `show_text`, and has `source`, `settings` and
    `stop`, with which a text goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(None)
        self._timer: Timer | None = None
        self._frames = 0

    @property
    def view(self) -> TokenView:
        """The text."""
        return self.query_one(TokenView)

    @property
    def source(self) -> tuple[Run, str] | None:
        """The run and the name of the checkpoint that is chosen."""
        raise NotImplementedError

    @property
    def stop(self) -> tuple[str, ...]:
        """Texts at which to stop."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any] | None:
        """Arguments of `Sampling`; None if they cannot be, which was said."""
        raise NotImplementedError

    def on_unmount(self) -> None:
        """Leave no thread writing."""
        self.desk.leave()

    def why_not(self, action: str) -> str:
        """Everything about a text needs one."""
        version = self.desk.current
        if action in ("copy", "export", "shades", "copied", "go_on") and not (version and len(version.text)):
            return "Nothing is written yet: ^r writes."
        if action == "go_on" and version and version.source.live:
            return "It is still being written; esc stops it."
        if action == "copied" and version and version.scored:
            return "This text was given, not written: what of it is copied is no figure of the checkpoint."
        if action == "copied" and version and version.novelty is None:
            reason = getattr(version.source, "no_novelty", "")
            return reason or "What of it is copied is known once the text has been written."
        if action == "undo" and self.desk.place <= 0:
            return "There is no text before this one."
        if action == "redo" and self.desk.place + 1 >= len(self.desk.versions):
            return "There is no text after this one."
        return ""

    def on_descendant_focus(self) -> None:
        """What is inside the text is shown while the text has the focus."""
        self._look_inside()

    def on_descendant_blur(self) -> None:
        """See above."""
        self._look_inside()

    def on_resize(self) -> None:
        """Figures give way where there is less room."""
        self.call_after_refresh(self.show_figures)

    def _look_inside(self) -> None:
        inside = isinstance(self.focused, (TokenView, Inspector)) and self.desk.current is not None
        self.set_class(inside, "-inside")
        self.view.point(inside)

    def _pump(self) -> None:
        """Show what came since the last time."""
        version = self.desk.current
        if version is None:
            return
        live, busy = version.source.live, version.busy  # asked before taking: what comes between is taken
        self.view.grow(version.take())
        self._frames += 1
        if not live:
            self.view.finish()
            self.show_keys()
        if not busy and self._timer:
            self._timer.pause()
        if not live or self._frames % 5 == 0:  # figures that change ten times a second cannot be read
            self.show_figures()

    def show_figures(self) -> None:
        """Bring the two lines of figures up to date."""
        lines, version = self.query_one("#figures", Lines), self.desk.current
        if version is None:
            lines.show([])
            return
        width, count = lines.size.width, len(self.desk.versions)
        elsewhere = self.source != (version.run, version.name)
        lines.show(
            [first_line(version, width, elsewhere), second_line(version, self.desk.place + 1, count, width)]
        )

    async def action_key(self, id: str) -> None:
        """What was said of the key before is over."""
        for bar in self.query(KeyBar):
            bar.hush()
        await super().action_key(id)

    def show_text(self, version: Version | None, *, keep: bool = False) -> None:
        """Show a text, and what comes of it."""
        if version is None:
            return
        self.view.open(version.text, version.thoughts, live=version.source.live, keep=keep)
        self._frames = 0
        self._look_inside()
        self.show_figures()
        if self._timer is None:
            self._timer = self.set_interval(FRAME, self._pump)
        self._timer.resume()
        self.show_keys()

    def action_undo(self) -> None:
        """The text before."""
        if self.desk.move(-1):
            self.show_text(self.desk.current, keep=True)

    def action_redo(self) -> None:
        """The text after."""
        if self.desk.move(1):
            self.show_text(self.desk.current, keep=True)

    # Looking inside --------------------------------------------------------------------------------------

    def on_token_view_moved(self, _: TokenView.Moved) -> None:
        """Say what was thought of the token under the cursor."""
        version, place = self.desk.current, self.view.place
        there = version and place is not None and self.view.pointing and place < len(version.thoughts)
        thought = version.thoughts[place] if version and place is not None and there else None
        if version and thought and place is not None:
            where = f"token {place + 1:,} of {len(version.thoughts):,}"
            self.query_one(Inspector).tell(thought, where, len(version.thoughts.vocabulary))
        else:
            self.query_one(Inspector).tell(None)

    def on_token_view_entered(self, _: TokenView.Entered) -> None:
        """To the alternatives."""
        self.query_one(Inspector).focus()

    def on_inspector_moved(self, event: Inspector.Moved) -> None:
        """Another token."""
        self.view.action_token(event.by)

    def on_inspector_left(self, _: Inspector.Left) -> None:
        """Back to the text."""
        self.view.focus()

    def on_inspector_chosen(self, event: Inspector.Chosen) -> None:
        """Branch from an alternative."""
        place, settings = self.view.place, self.settings()
        if place is not None and settings is not None:
            self.view.cursor = place
            self.show_text(self.desk.branch(place, event.option, settings, self.stop), keep=True)
            self.view.focus()

    def action_shades(self) -> None:
        """Off, shades, bits."""
        said = {
            "off": "How surprising each token was is not shown.",
            "shades": "The more colour behind a token, the more surprising it was.",
            "bits": "Under each token, how surprising it was in bits; 9 is 9 or more.",
        }
        self.nexus.say(said[self.view.next_shading()])

    def action_copied(self) -> None:
        """Underline what is copied, and say where it stands in the training text; again to take it away."""
        version = self.desk.current
        if version is None or version.novelty is None:
            return
        if self.view.marked:
            self.view.mark(None)
            return
        start, end = version.novelty.span
        self.view.mark(version.thoughts.of_bytes(start, end))
        words = version.written[start:end].decode(errors="replace")
        corpus = Path(str(version.run.setting("data.corpus", "the training text"))).name
        said = f"{end - start:,} bytes stand at line {version.novelty.line:,} of {corpus}: {plain(words)}"
        self.nexus.say(fit(said, self.size.width - 2) if end > start else "Nothing is copied.")

    # Taking along ----------------------------------------------------------------------------------------

    def action_copy(self) -> None:
        """Copy prompt and text."""
        text = self.view.text
        self.nexus.say(copy(self.app, text, f"{len(text):,} characters"))

    def action_export(self) -> None:
        """Write everything about the text into a file."""
        from nexus_tui.tui.text_markdown import markdown

        if version := self.desk.current:
            stem = f"{version.run.name}-{version.checkpoint.step}-{'score' if version.scored else 'text'}"
            self.nexus.say(export(stem, markdown(version, self.nexus.clock())))

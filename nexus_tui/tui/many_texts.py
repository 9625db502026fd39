"""What the two screens of many texts share: a choir, looks at what it wrote, seeds, taking texts along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from textual.timer import Timer

from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.choir import Choir
from nexus_tui.tui.copying import copy, export
from nexus_tui.tui.lines import Span
from nexus_tui.tui.prompts import Prompt
from nexus_tui.tui.screen import ModeScreen
from nexus_tui.tui.seats import Seats
from nexus_tui.tui.voice import Voice

FRAME = 0.1
"""Seconds between two looks at what was written."""


class ManyTexts(ModeScreen):
    """Over the playground: texts that one thread writes. It writes as soon as it is seen.

    A subclass has `voices`, draws in `draw` and begins in `action_write`; it calls `sing` with what to write.

    Args:
        settings: arguments of `Sampling`, and `stop`, the same for all texts.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.settings = settings
        self.seats = Seats()
        self._choir: Choir | None = None
        self._timer: Timer | None = None
        self._said = ""

    def on_mount(self) -> None:
        """Write at once: that is what one came for."""
        self.set_class(theme.glyphs().ascii, "-ascii")
        self._timer = self.set_interval(FRAME, self._look, pause=True)
        self.action_write()

    def on_unmount(self) -> None:
        """Leave no thread writing."""
        self.hush()

    @property
    def voices(self) -> list[Voice]:
        """Every text, in any order."""
        raise NotImplementedError

    def draw(self) -> None:
        """Bring every line up to date; the widgets repaint those that differ."""
        raise NotImplementedError

    def markdown(self) -> str:
        """All texts and figures as Markdown."""
        raise NotImplementedError

    @property
    def stem(self) -> str:
        """Name of the file that `w` writes, without what tells it from others."""
        raise NotImplementedError

    # Writing ---------------------------------------------------------------------------------------------

    @property
    def live(self) -> bool:
        """Whether anything is being written or worked out."""
        return self._choir is not None and self._choir.live

    def sing(self, groups: Sequence[Sequence[Voice]]) -> None:
        """Write these groups, and nothing else any more."""
        self.hush()
        app = self.nexus
        self._choir = Choir(groups, self.seats, share=lambda: app.sampling_share)
        self._choir.start()
        if self._timer:
            self._timer.resume()

    def hush(self) -> None:
        """Stop writing at the next token."""
        if self._choir:
            self._choir.stop()

    def ended(self) -> bool:
        """The choir has ended: whether that is all there is to write; else the subclass has begun again."""
        return True

    def _look(self) -> None:
        """Show what came since the last time."""
        live = self.live  # asked before drawing: what comes between the two is drawn
        self.draw()
        unknown = next((voice.unknown for voice in self.voices if voice.unknown), "")
        if unknown and unknown != self._said:
            self._said = unknown
            self.nexus.say(unknown, "warn")
        if not live and self._timer and self.ended():
            self._timer.pause()
            self.show_keys()

    def state(self) -> list[Span]:
        """The seed, and how far it is, for the end of the first line."""
        written = [voice for voice in self.voices if voice.part.recorded is None]
        ended = sum(not voice.live for voice in written)
        said: Span = ("done", "good")
        if self.live and written and not any(voice.figures.tokens for voice in written):
            said = ("opening", "live")
        elif self.live and ended < len(written):
            said = (f"writing {ended + 1} of {len(written)}", "live")
        elif self.live:
            said = ("comparing with the training text", "live")
        elif any(voice.state == "stopped" for voice in written):
            said = ("stopped", "warn")
        seed: list[Span] = [(f"seed {self.settings.get('seed', 0)}   ", "muted")] if written else []
        return [*seed, said, (" ", "text")]

    # Actions ---------------------------------------------------------------------------------------------

    def action_write(self) -> None:
        """Write all of it, from the beginning."""
        raise NotImplementedError

    def action_seed(self) -> None:
        """Write all of it with the next seed."""
        self.settings = {**self.settings, "seed": (int(self.settings.get("seed", 0)) + 1) % 2**64}
        self.action_write()

    def action_export(self) -> None:
        """Write the texts to a file."""
        self.nexus.say(export(f"{self.stem}-seed-{self.settings.get('seed', 0)}", self.markdown()))

    def action_copy(self) -> None:
        """Copy the texts."""
        self.nexus.say(copy(self.app, self.markdown(), "the texts as Markdown"))

    def action_back(self) -> None:
        """Stop writing; else back to the playground."""
        if self.live:
            self.hush()
        else:
            self.dismiss()

    def open_in_playground(self, run: Run, checkpoint: str, prompt: Prompt) -> None:
        """Leave for the playground with this checkpoint and prompt."""
        from nexus_tui.tui.playground_screen import PlaygroundScreen

        self.dismiss()
        playground = cast(PlaygroundScreen, self.nexus.screen_stack[0])
        playground.choose(run, checkpoint)
        playground.open_prompt(prompt)

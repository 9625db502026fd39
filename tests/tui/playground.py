"""What tests of the playground share: opening it, waiting for its text, and a checkpoint that is fast."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from textual.pilot import Pilot
from textual.widgets import Input

from nexus_tui.lm.drawing import Alternative
from nexus_tui.lm.generation import Sampling
from nexus_tui.training.sampling import Piece
from nexus_tui.tui.playground_screen import PlaygroundScreen
from tests.tui.conftest import ready, until
from tests.tui.screens import press


async def show(pilot: Pilot[str]) -> PlaygroundScreen:
    """The playground, with a checkpoint chosen."""
    await ready(pilot)
    await press(pilot, "5")
    screen = pilot.app.screen
    assert isinstance(screen, PlaygroundScreen)
    await until(pilot, lambda: screen.is_mounted and screen.checkpoint is not None)
    return screen


async def written(pilot: Pilot[str], screen: PlaygroundScreen) -> str:
    """Wait for the end of the text and its figures; all of it."""
    version = screen.desk.current
    assert version is not None
    timer = screen._timer
    assert timer is not None
    # It looks for the last time once everything is known, and draws that.
    await until(pilot, lambda: not (version.busy or screen.view._live or timer._active.is_set()))
    await pilot.pause()
    return screen.view.text


def field(screen: PlaygroundScreen, id: str) -> Input:
    """The input of a setting."""
    return screen.query_one(f"#{id}", Input)


async def write(pilot: Pilot[str], screen: PlaygroundScreen, tokens: int = 40) -> str:
    """Generate so many tokens; all of the text."""
    field(screen, "max_tokens").value = str(tokens)
    await press(pilot, "ctrl+r")
    return await written(pilot, screen)


class Fast:
    """Writes the alphabet as fast as it can; `chunks` of a prompt and `wait` seconds come first."""

    token_bytes: ClassVar[list[bytes]] = [bytes([byte]) for byte in range(256)]

    def __init__(self, tokens: int, wait: float = 0.0, chunks: int = 0) -> None:
        self.tokens, self.wait, self.chunks = tokens, wait, chunks

    def stream(
        self, prompt: str | bytes, sampling: Sampling, *, progress: Callable[[int, int], None], **_: Any
    ) -> Iterator[Piece]:
        for chunk in range(self.chunks):
            progress(chunk, self.chunks)
            time.sleep(0.001)
        time.sleep(self.wait)
        yield from self._pieces(bytes(97 + index % 26 for index in range(self.tokens)))

    def read(self, text: str | bytes, **_: Any) -> Iterator[Piece]:
        yield from self._pieces(text.encode() if isinstance(text, str) else text)

    def _pieces(self, data: Sequence[int]) -> Iterator[Piece]:
        for index, byte in enumerate(data):
            options = (Alternative(byte, -1.0), Alternative(122, -2.0))
            yield Piece(chr(byte), byte, 1, -1.0, 1, 1.0, index, options, bytes([byte]))

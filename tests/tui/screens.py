"""What a screen reads as plain text."""

from textual.app import App
from textual.pilot import Pilot

from nexus_tui.tui.keybar import KeyBar


def text(app: App[str]) -> str:
    """All cells of the screen, line by line, without trailing blanks."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line)[:width].rstrip() for line in lines[:height])


def line(app: App[str], containing: str) -> str:
    """The first line of the screen that contains something."""
    return next((line for line in text(app).splitlines() if containing in line), "")


def footer(app: App[str]) -> str:
    """The keys of the footer, in order, with what is grey in brackets."""
    bar = app.screen.query_one(KeyBar)
    return "  ".join(f"({key.written})" if bar.grey(key) else key.written for _, key in bar.places())


async def press(pilot: Pilot[str], *keys: str) -> None:
    """Press keys and let the screen settle."""
    await pilot.press(*keys)
    await pilot.pause()
    await pilot.pause()

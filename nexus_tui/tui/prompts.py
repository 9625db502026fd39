"""Prompts as they are listed: on one line, however long they are and whatever is in them."""

from rich.cells import cell_len

from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.safe import plain

Prompt = str | bytes
"""A text, or a file that is no UTF-8."""


def shown(prompt: Prompt) -> str:
    """A prompt as text; bytes that are no UTF-8 as U+FFFD."""
    return prompt.decode(errors="replace") if isinstance(prompt, bytes) else prompt


def one_line(prompt: Prompt, width: int) -> str:
    """A prompt in at most `width` cells. Its end counts most: a text goes on from there."""
    text = plain(shown(prompt), "\\n" if theme.glyphs().ascii else "⏎")
    if not text:
        return "(no prompt: as after a line break)"[: max(0, width)]
    if cell_len(text) <= width:
        return text
    start, cells = len(text), 1
    while start and (cells := cells + cell_len(text[start - 1])) <= width:
        start -= 1
    return theme.glyphs().ellipsis + text[start:]


def fixed_prompts(run: Run) -> list[str]:
    """The prompts that a run continues at every checkpoint: as configured, else as on record."""
    configured = run.setting("sampling.prompts")
    if isinstance(configured, list) and configured and all(isinstance(one, str) for one in configured):
        return list(configured)
    return list(dict.fromkeys(event.prompt for event in run.samples))

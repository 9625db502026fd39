"""What somebody sees who has no run yet: what this is, and the three keys that train a model."""

import re

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Middle
from textual.widget import Widget
from textual.widgets import Static

from nexus_tui.tui import theme
from nexus_tui.tui.safe import plain

_CURVE = (
    "⡇                                          ",
    "⢱                                          ",
    "⠈⢆                                         ",
    "  ⠣⣀   ●                                   ",
    "    ⠉⠒⠤⣀⡀    ●                             ",
    "        ⠈⠉⠒⠒⠤⠤⢄⣀⣀⡀  ●      ●      ★      ● ",
    "                 ⠈⠉⠉⠉⠒⠒⠒⠒⠤⠤⠤⠤⠤⢄⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀",
)


class Welcome(Widget):
    """The first screen. Fits 60 columns and 20 rows."""

    DEFAULT_CSS = """
    Welcome { align: center middle; }
    Welcome Static { width: auto; height: auto; }
    """

    def compose(self) -> ComposeResult:
        """One block in the middle."""
        with Middle():
            yield _Block()


class _Block(Static):
    def render(self) -> Text:
        palette = theme.palette(self.app)
        folder = plain(str(getattr(self.app, "runs_folder", "")))

        def ink(role: str, bold: bool = False) -> Style:
            return theme.style(palette, role, bold=bold)

        text = Text(end="")
        if not theme.glyphs().ascii and self.app.size.height >= 22:
            for line in _CURVE:
                for part in re.split("([●★])", line.rstrip()):
                    text.append(part, ink({"●": "val", "★": "best"}.get(part, "live"), bold=part == "★"))
                text.append("\n")
            text.append("\n")
        text.append("nexus-tui", ink("text", True))
        text.append(
            "\nTrain a small language model here, watch it learn,\nand read what it writes.\n\n", ink("muted")
        )
        for key, does in (
            ("n", "new run"),
            ("enter", "take the model that is marked"),
            ("enter", "start training it on Shakespeare"),
        ):
            text.append(f"{key:>7}", ink("live", True))
            text.append(f"   {does}\n", ink("text"))
        text.append(f"\nRuns will be kept in {folder}.", ink("muted"))
        return text

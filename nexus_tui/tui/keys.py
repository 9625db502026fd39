"""Every key of the program in one table, which bindings, footer, `?`, palette and documentation read."""

# ruff: noqa: E501 (one key a line)

from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType
from textual.keys import key_to_character

Where = Literal[
    "everywhere", "list", "board", "runs", "training", "checkpoints", "compare", "playground", "grid", "evolution",
    "overlay", "text", "options", "windows", "reading",
]  # fmt: skip
"""Where a key acts: on every screen, in every list of rows, on every board of charts, on one screen, or in a part."""

MODES: tuple[Where, ...] = ("runs", "training", "checkpoints", "compare", "playground")
"""The screens that have a number, in the order of their numbers."""

SHARED: dict[Where, tuple[Where, ...]] = {"training": ("board",), "overlay": ("board",)}
"""What a screen has keys of besides its own."""

PARTS: dict[Where, dict[Where, str]] = {
    "compare": {"windows": "in the list of windows", "reading": "in the text of a window"},
    "playground": {"text": "in the text", "options": "in its alternatives"},
}
"""Parts of a screen with keys of their own, and what they are called."""


@dataclass(frozen=True)
class Key:
    """One key and what it does."""

    id: str
    """Unique and stable: a user's keymap names it."""
    keys: str
    """As Textual names keys; several are separated by commas."""
    action: str
    """Method `action_…` of the screen, or of the app for a key that works everywhere."""
    label: str
    """One or two words for the footer and the palette."""
    help: str
    """One sentence for `?` and the palette."""
    where: Where
    rank: int = 0
    """Place in the footer, 1 first; 0 keeps it out."""
    sign: str = ""
    """How the key is written; empty: as Textual names it."""
    palette: bool = True
    """Whether the command palette lists it."""
    listed: bool = True
    """Whether `?` lists it; not where another key's line speaks for both."""

    @property
    def method(self) -> str:
        """The action without its arguments."""
        return self.action.partition("(")[0].removeprefix("app.")

    @property
    def written(self) -> str:
        """The key as people read it: `p`, `^r`, `←→`."""
        return self.sign or self.keys.partition(",")[0].replace("ctrl+", "^").replace("escape", "esc")

    @property
    def typed(self) -> bool:
        """Whether it is written, not carried out, while a text is edited."""
        first = self.keys.partition(",")[0]
        character = key_to_character(first)
        return first == "plus" or (character is not None and character.isprintable())

    @property
    def title(self) -> str:
        """Its line in the palette."""
        return f"{self.label[:1].upper()}{self.label[1:]}  ({self.written})"


TABLE: tuple[Key, ...] = (
    # -- everywhere -------------------------------------------------------------------------------------
    Key("mode.runs", "1", "mode('runs')", "runs", "List all runs.", "everywhere"),
    Key("mode.training", "2", "mode('training')", "training", "Watch the run that is open.", "everywhere"),
    Key(
        "mode.checkpoints", "3", "mode('checkpoints')", "checkpoints",
        "List the checkpoints of the run that is open, with the true best.", "everywhere",
    ),
    Key("mode.compare", "4", "mode('compare')", "compare", "Compare the marked checkpoints: which to keep.", "everywhere"),
    Key(
        "mode.playground", "5", "mode('playground')", "playground",
        "Give a checkpoint a prompt and read what it writes.", "everywhere",
    ),
    Key("screens", "", "help", "screens", "Go to another screen.", "everywhere", sign="1–5", palette=False, listed=False),
    Key("new", "n", "new_run", "new run", "Choose a model and a text, and train.", "everywhere"),
    Key("help", "question_mark", "help", "keys", "Show the keys that work here.", "everywhere", sign="?"),
    Key("palette", "ctrl+p", "command_palette", "all", "Find any action by name.", "everywhere", palette=False),
    Key("quit", "q,ctrl+q", "quit", "quit", "Leave; asks only while this program trains.", "everywhere", 1),
    Key(
        "interrupt", "ctrl+c", "interrupt", "save, stop and quit",
        "Leave at once; if this program trains, it saves a checkpoint first.", "everywhere",
    ),
    # -- every list -------------------------------------------------------------------------------------
    Key("list.down", "down,j", "down", "down", "Next row.", "list", sign="↓ j", palette=False),
    Key("list.up", "up,k", "up", "up", "Row before.", "list", sign="↑ k", palette=False),
    Key("list.page_down", "pagedown", "page(1)", "page down", "A screenful down.", "list", palette=False),
    Key("list.page_up", "pageup", "page(-1)", "page up", "A screenful up.", "list", palette=False),
    Key("list.first", "home", "first", "first", "First row.", "list", palette=False),
    Key("list.last", "end", "last", "last", "Last row.", "list", palette=False),
    # -- every board of charts --------------------------------------------------------------------------
    Key("board.left", "left", "read(-1)", "read", "Read the curves at a crosshair, which goes from point to point.", "board", 6, "←→", palette=False),
    Key("board.right", "right", "read(1)", "read right", "Move the crosshair to the right.", "board", sign="→", listed=False, palette=False),
    Key("board.far_left", "shift+left", "read(-20)", "jump left", "Move the crosshair by twenty cells.", "board", sign="⇧←→", palette=False),
    Key("board.far_right", "shift+right", "read(20)", "jump right", "Move the crosshair by twenty cells to the right.", "board", sign="⇧→", listed=False, palette=False),
    Key("board.next", "tab,full_stop", "metric(1)", "next chart", "Put the next curve into the large chart.", "board", 7),
    Key("board.previous", "shift+tab,comma", "metric(-1)", "chart before", "Put the curve before into the large chart.", "board", sign="⇧tab", listed=False),
    Key("board.in", "z", "zoom(1)", "zoom", "Show half as much around the crosshair; Z twice as much.", "board", 8, "z Z"),
    Key("board.out", "Z", "zoom(-1)", "zoom out", "Show twice as much.", "board", listed=False),
    Key("board.earlier", "less_than_sign", "pan(-1)", "earlier", "Move what is shown to the left, or to the right.", "board", sign="< >"),
    Key("board.later", "greater_than_sign", "pan(1)", "later", "Move what is shown to the right.", "board", sign=">", listed=False),
    Key("board.live", "home", "live", "live", "No crosshair, and all of it: follow the newest step.", "board"),
    Key("board.log", "y", "log", "log", "Logarithmic or linear values in the large chart.", "board", 9),
    Key("board.axis", "x", "axis", "x axis", "Count steps, tokens, time or the time of day along the charts.", "board", 10),
    Key("board.full", "f", "full", "full", "Nothing but the large chart; again for the rest.", "board", 11),
    Key("board.smoother", "plus,equals_sign", "smooth(1)", "smoother", "Smooth noisy curves more, or less.", "board", sign="+ -"),
    Key("board.rougher", "minus", "smooth(-1)", "less smooth", "Smooth noisy curves less.", "board", sign="-", listed=False),
    Key("board.usual", "0", "smooth(0)", "usual smoothing", "Smooth noisy curves as suits their number of points.", "board"),
    Key("board.lower", "left_square_bracket", "lower", "small charts", "Show or hide the small charts.", "board", sign="["),
    Key("board.page_down", "pagedown", "page(1)", "more charts", "Other small charts, where there are more than fit.", "board"),
    Key("board.page_up", "pageup", "page(-1)", "charts before", "The small charts before.", "board", listed=False),
    # -- runs -------------------------------------------------------------------------------------------
    Key("runs.open", "enter", "open", "open", "Open the run: its curves, checkpoints and samples.", "runs", 1),
    Key("runs.new", "n", "app.new_run", "new run", "Choose a model and a text, and train.", "runs", 2, palette=False),
    Key("runs.resume", "r", "resume", "resume", "Go on training from the newest checkpoint.", "runs", 3),
    Key("runs.filter", "slash", "filter", "filter", "Show some runs: model:byte lr>=1e-3 best<2.0 -note:debug, or just words.", "runs", 4, sign="/"),
    Key("runs.mark", "space", "mark", "mark", "Mark this run, to lay it over others or to set it against them; again to unmark it.", "runs", 5, "space"),
    Key("runs.overlay", "o", "overlay", "overlay", "Lay the curves of the marked runs over each other; without marks, this one over the one that is open.", "runs", 6),
    Key("runs.difference", "d", "difference", "difference", "How the marked runs are configured otherwise; without marks, this one and the one before it.", "runs", 7),
    Key("runs.sort", "s", "sort", "sort", "Sort by the next column.", "runs", 8),
    Key("runs.pin", "p", "pin", "pin", "Keep this run at the top; again to let it go.", "runs", 9),
    Key("runs.note", "N", "note", "note", "Keep a note at the newest step of this run.", "runs", 10),
    Key("runs.rename", "R", "rename", "rename", "Give this run another name.", "runs", 11),
    Key("runs.delete", "D", "delete", "delete", "Move this run to the trash of its folder; asks first.", "runs", 12),
    Key("runs.undo", "u", "undo", "undo", "Bring back what was deleted or renamed last.", "runs", 13),
    Key("runs.turn", "S", "turn", "turn round", "Sort the other way round.", "runs"),
    Key("runs.unmark", "U", "unmark", "unmark all", "Unmark all runs.", "runs"),
    Key("runs.unfilter", "escape", "unfilter", "all runs", "Show all runs again.", "runs", palette=False),
    # -- training ---------------------------------------------------------------------------------------
    Key(
        "training.pause", "p", "pause", "pause",
        "Pause at the next step, with everything kept in memory; again to continue.", "training", 1,
    ),
    Key("training.save", "s", "save", "save", "Save a checkpoint of this step.", "training", 2),
    Key("training.evaluate", "e", "evaluate", "evaluate", "Save and evaluate this step.", "training", 3),
    Key("training.sample", "g", "sample", "sample", "Let this step's weights continue the fixed prompts.", "training", 4),
    Key("training.resume", "r", "resume", "resume", "Go on training from the newest checkpoint.", "training", 5),
    Key("training.side", "right_square_bracket", "side", "side column", "Show or hide checkpoints, samples and events.", "training", sign="]"),
    Key("training.rate", "L", "rate", "learning rate", "Scale the learning rate from the next step on.", "training", 13),
    Key("training.plan", "P", "plan", "last step", "Train longer or shorter than planned; the schedule is stretched to it.", "training"),
    Key("training.note", "m", "note", "note", "Keep a note at the crosshair's step, else at the newest.", "training", 12),
    Key("training.stop", "S", "stop", "stop", "End training: saved, without a screen, or without what came after the last save.", "training", 14),
    Key("training.back", "escape", "back", "back", "Leave the crosshair, the full chart, then this screen.", "training", palette=False),
    # -- several runs over each other -------------------------------------------------------------------
    Key("overlay.down", "down,j", "cursor(1)", "down", "The next run of the list: its curves are drawn over the others.", "overlay", sign="↓ j", palette=False),
    Key("overlay.up", "up,k", "cursor(-1)", "up", "The run before.", "overlay", sign="↑ k", palette=False),
    Key("overlay.hide", "space", "hide", "hide", "Hide the curves of this run, or show them again.", "overlay", 1, "space"),
    Key("overlay.open", "enter", "open", "open", "Open this run: its curves, checkpoints and samples.", "overlay", 2),
    Key("overlay.remove", "backspace,delete", "remove", "take out", "Take this run out of the overlay and unmark it; it stays on disk.", "overlay", 3),
    Key("overlay.side", "right_square_bracket", "side", "list", "Show or hide the list of the runs.", "overlay", sign="]"),
    Key("overlay.back", "escape", "back", "back", "Leave the crosshair, the window, the full chart, then this screen.", "overlay", palette=False),
    # -- checkpoints ------------------------------------------------------------------------------------
    Key("checkpoints.sample", "enter", "sample", "sample", "Open the playground with this checkpoint.", "checkpoints", 1),
    Key("checkpoints.mark", "space", "mark", "mark", "Mark this checkpoint to compare it, also with those of other runs; again to unmark it.", "checkpoints", 2, "space"),
    Key("checkpoints.compare", "c", "app.mode('compare')", "compare", "Compare the marked checkpoints.", "checkpoints", 3),
    Key("checkpoints.resume", "r", "resume", "resume", "Go on training from this checkpoint: a new branch.", "checkpoints", 4),
    Key("checkpoints.verify", "v", "verify", "verify", "Hash every file of this checkpoint against its manifest.", "checkpoints", 5),
    Key("checkpoints.copy", "y", "copy_path", "copy path", "Copy the path of this checkpoint.", "checkpoints", 6),
    Key("checkpoints.best", "b", "best", "best", "Go to the true best.", "checkpoints", 7),
    Key("checkpoints.reevaluate", "V", "reevaluate", "re-evaluate", "Verify this checkpoint, and compute its loss anew to compare with the journal's.", "checkpoints", 8),
    Key("checkpoints.unmark", "u", "unmark", "unmark all", "Unmark the checkpoints of every run.", "checkpoints"),
    Key("checkpoints.back", "escape", "back", "back", "Cancel the re-evaluation; else go to the training screen.", "checkpoints", palette=False),
    # -- compare ----------------------------------------------------------------------------------------
    Key("compare.next", "tab", "next_section(1)", "section", "Go to the next section, or by the letter underlined in its name.", "compare", 1),
    Key("compare.previous", "shift+tab", "next_section(-1)", "section before", "Go to the section before.", "compare", sign="⇧tab", listed=False),
    Key("compare.pair_left", "left", "pair(-1)", "pair", "Look at another pair; in the curves and in a text, move the cursor.", "compare", 2, "←→", palette=False),
    Key("compare.pair_right", "right", "pair(1)", "next pair", "Look at the next pair.", "compare", sign="→", listed=False, palette=False),
    Key("compare.sample", "enter", "sample", "sample", "Open the playground with this checkpoint.", "compare", 3),
    Key("compare.remove", "space", "remove", "unmark", "Take this checkpoint out of the comparison.", "compare", 4, "space"),
    Key("compare.average", "a", "average", "average", "Score the uniform average of all as a contender; again: the moving average.", "compare", 5),
    Key("compare.save", "s", "save", "save average", "Save the average under the cursor, else the better one, as a checkpoint.", "compare", 8),
    Key("compare.toggle", "t", "view", "other view", "Differences for losses, tokens for classes, digits under shades.", "compare", 6),
    Key("compare.export", "w", "export", "write", "Write the comparison as Markdown.", "compare", 7),
    Key("compare.copy", "y", "copy", "copy", "Copy the comparison as Markdown.", "compare", 9),
    Key("compare.compute", "r", "compute", "compute", "Begin again what was cancelled or has failed.", "compare"),
    Key("compare.pairs", "p", "section('pairs')", "pairs", "Every pair's verdict, with its interval.", "compare"),
    Key("compare.position", "o", "section('position')", "position", "Loss by position in the window: what context is worth.", "compare"),
    Key("compare.classes", "c", "section('classes')", "classes", "Loss by class of character, or by token.", "compare"),
    Key("compare.windows", "i", "section('windows')", "windows", "Where in the text two differ most, token by token.", "compare"),
    Key("compare.layers", "l", "section('layers')", "layers", "What moved between two, and what the layers hold.", "compare"),
    Key("compare.config", "f", "section('config')", "config", "Settings that differ.", "compare"),
    Key("compare.back", "escape", "back", "back", "Cancel what is being worked out; else go to the checkpoints.", "compare", palette=False),
    # -- the windows of compare, and the text of one ----------------------------------------------------
    Key("windows.up", "up,k", "up", "windows", "The window before, or after; above the first one is the overview.", "windows", 1, "↑↓", palette=False),
    Key("windows.down", "down,j", "down", "next window", "The window after; below the last one is the text.", "windows", sign="↓", listed=False, palette=False),
    Key("windows.read", "enter", "read", "read the text", "Go into the text of this window.", "windows", 2, palette=False),
    Key("windows.left", "left", "pair(-1)", "pair", "Look at another pair; the window stays, where both lists have it.", "windows", 3, "←→", palette=False),
    Key("windows.right", "right", "pair(1)", "next pair", "Look at the next pair.", "windows", sign="→", listed=False, palette=False),
    Key("windows.back", "escape", "back", "back", "Cancel what is being worked out; else go to the checkpoints.", "windows", 4, palette=False),
    Key("reading.left", "left", "token(-1)", "tokens", "Read the token before, or after.", "reading", 1, "←→", palette=False),
    Key("reading.right", "right", "token(1)", "next token", "Read the next token.", "reading", sign="→", listed=False, palette=False),
    Key("reading.up", "up,k", "line(-1)", "lines", "A line up, or down; above the first one is the list.", "reading", 2, "↑↓", palette=False),
    Key("reading.down", "down,j", "line(1)", "line down", "A line down.", "reading", sign="↓", listed=False, palette=False),
    Key("reading.back", "escape", "back", "windows", "Back to the list of windows.", "reading", 3, palette=False),
    # -- playground -------------------------------------------------------------------------------------
    Key("playground.generate", "ctrl+r", "generate", "generate", "Write what follows the prompt; the same seed gives the same text.", "playground", 1),
    Key("playground.reseed", "ctrl+n", "reseed", "new seed", "Write with the next seed.", "playground", 2),
    Key("playground.continue", "c", "go_on", "continue", "Go on from the very token where the text stopped.", "playground", 3),
    Key("playground.stop", "escape", "stop", "stop", "Stop writing; else leave the field; else leave this screen.", "playground", 6),
    Key("playground.edit", "e", "edit", "edit", "Write the prompt.", "playground", 9),
    Key("playground.undo", "u,backspace", "undo", "text before", "Show the text before this one; U goes forward again.", "playground", 7, "u"),
    Key("playground.redo", "U", "redo", "text after", "Show the text after this one.", "playground"),
    Key("playground.score", "ctrl+l", "score", "score", "What the prompt itself costs under the checkpoint, token by token.", "playground", 10),
    Key("playground.presets", "ctrl+t", "presets", "presets", "Choose settings by name, or keep these under one.", "playground", 11),
    Key("playground.file", "ctrl+o", "file", "file", "Take a file as the prompt.", "playground", 12),
    Key("playground.shades", "s", "shades", "shades", "Show how surprising each token was: as shades, then as bits.", "playground", 8),
    Key("playground.copied", "o", "copied", "copied", "Underline the longest span that the training text has too, and say where it stands there.", "playground", 13),
    Key("playground.copy", "ctrl+y", "copy", "copy", "Copy prompt and text, to the clipboard and to a file.", "playground", 14),
    Key("playground.export", "w", "export", "export", "Write prompt, text, checkpoint, settings and figures into a Markdown file.", "playground", 15),
    Key("playground.before", "left_square_bracket", "step(-1)", "checkpoint", "The checkpoint before, or after.", "playground", 16, "[ ]"),
    Key("playground.after", "right_square_bracket", "step(1)", "next checkpoint", "The checkpoint after.", "playground", sign="]", listed=False),
    Key("playground.grid", "ctrl+g", "grid", "grid", "The marked checkpoints and several prompts beside each other, with the same draws.", "playground", 4),
    Key("playground.evolution", "ctrl+e", "evolution", "evolution", "This prompt at every checkpoint of the run.", "playground", 5),
    # -- grid -------------------------------------------------------------------------------------------
    Key("grid.seed", "n,ctrl+n", "seed", "seed", "Write all of it with the next seed.", "grid", 1),
    Key("grid.left", "left,h", "column(-1)", "column", "The column to the left or right.", "grid", 2, "←→", palette=False),
    Key("grid.right", "right,l", "column(1)", "column right", "The column to the right.", "grid", sign="→", listed=False, palette=False),
    Key("grid.open", "enter", "open", "open", "Open this text's checkpoint and prompt in the playground.", "grid", 3),
    Key("grid.reference", "r", "refer", "reference", "Set the others against this column.", "grid", 4),
    Key("grid.add", "a", "add", "add prompt", "Write after another prompt too.", "grid", 5),
    Key("grid.edit", "e", "edit", "edit", "Change this row's prompt.", "grid", 6),
    Key("grid.before", "left_square_bracket", "step(-1)", "checkpoint", "Another checkpoint in this column: before or after.", "grid", 7, "[ ]"),
    Key("grid.after", "right_square_bracket", "step(1)", "next checkpoint", "Another checkpoint in this column: the one after.", "grid", sign="]", listed=False),
    Key("grid.export", "w", "export", "export", "Write the grid to a Markdown file.", "grid", 8),
    Key("grid.more", "plus,equals_sign", "more", "add column", "Another column, at first with the same checkpoint.", "grid", 9, "+"),
    Key("grid.fewer", "minus", "fewer", "remove column", "Take this column out of the grid.", "grid", sign="-"),
    Key("grid.remove", "D", "remove", "remove prompt", "Take this row out of the grid.", "grid"),
    Key("grid.write", "ctrl+r", "write", "write again", "Write all of it again.", "grid"),
    Key("grid.copy", "ctrl+y", "copy", "copy", "Copy the grid as Markdown, to the clipboard and to a file.", "grid"),
    Key("grid.next", "tab", "row(1)", "next prompt", "Go to the next prompt.", "grid", palette=False),
    Key("grid.previous", "shift+tab", "row(-1)", "prompt before", "Go to the prompt before.", "grid", sign="⇧tab", listed=False, palette=False),
    Key("grid.down", "down,j", "scroll(1)", "scroll", "Move all texts together.", "grid", sign="↑↓", palette=False),
    Key("grid.up", "up,k", "scroll(-1)", "up", "Move all texts up.", "grid", sign="↑", listed=False, palette=False),
    Key("grid.page_down", "pagedown", "page(1)", "page", "Move all texts by a screenful.", "grid", palette=False),
    Key("grid.page_up", "pageup", "page(-1)", "page up", "Move all texts a screenful up.", "grid", listed=False, palette=False),
    Key("grid.first", "home", "end(0)", "first", "Go to the first prompt.", "grid", palette=False),
    Key("grid.last", "end", "end(1)", "last", "Go to the last prompt.", "grid", palette=False),
    Key("grid.back", "escape", "back", "stop", "Stop writing; else back to the playground.", "grid", palette=False),
    # -- evolution --------------------------------------------------------------------------------------
    Key("evolution.seed", "n,ctrl+n", "seed", "seed", "Write all of it with the next seed.", "evolution", 1),
    Key("evolution.ask", "p", "ask", "prompt", "Ask every checkpoint after another prompt.", "evolution", 2),
    Key("evolution.earlier", "left_square_bracket", "take(-1)", "prompts", "Another prompt of those at hand: the one before or after.", "evolution", 3, "[ ]"),
    Key("evolution.later", "right_square_bracket", "take(1)", "next prompt", "The prompt after this one.", "evolution", sign="]", listed=False),
    Key("evolution.open", "enter", "open", "open", "Open this checkpoint and prompt in the playground.", "evolution", 4),
    Key("evolution.chart", "tab", "chart(1)", "chart", "Another curve, where there is room for one alone.", "evolution", 5),
    Key("evolution.chart_before", "shift+tab", "chart(-1)", "chart before", "The curve before.", "evolution", sign="⇧tab", listed=False, palette=False),
    Key("evolution.best", "b", "best", "best", "Go to the true best.", "evolution", 6),
    Key("evolution.export", "w", "export", "export", "Write the texts to a Markdown file.", "evolution", 7),
    Key("evolution.write", "ctrl+r", "write", "write again", "Write all of it again.", "evolution"),
    Key("evolution.copy", "ctrl+y", "copy", "copy", "Copy the texts as Markdown, to the clipboard and to a file.", "evolution"),
    Key("evolution.whole_down", "shift+down,J", "scroll_whole(1)", "scroll text", "Move the whole text, where it is longer than its place.", "evolution", sign="⇧↑↓", palette=False),
    Key("evolution.whole_up", "shift+up,K", "scroll_whole(-1)", "text up", "Move the whole text up.", "evolution", sign="⇧↑", listed=False, palette=False),
    Key("evolution.back", "escape", "back", "stop", "Stop writing; else back to the playground.", "evolution", palette=False),
    # -- the text of the playground ---------------------------------------------------------------------
    Key("text.left", "left", "token(-1)", "token before", "Look at the token before, or after.", "text", sign="←→", palette=False),
    Key("text.right", "right", "token(1)", "next token", "Look at the next token.", "text", sign="→", listed=False, palette=False),
    Key("text.jump_left", "shift+left", "token(-10)", "ten back", "Ten tokens back, or on.", "text", sign="⇧←→", palette=False),
    Key("text.jump_right", "shift+right", "token(10)", "ten on", "Ten tokens on.", "text", sign="⇧→", listed=False, palette=False),
    Key("text.up", "up", "line(-1)", "line up", "A line up, or down.", "text", sign="↑↓", palette=False),
    Key("text.down", "down", "line(1)", "line down", "A line down.", "text", sign="↓", listed=False, palette=False),
    Key("text.page_up", "pageup", "page(-1)", "page up", "A screenful up.", "text", palette=False),
    Key("text.page_down", "pagedown", "page(1)", "page down", "A screenful down.", "text", palette=False),
    Key("text.first", "home", "first", "first token", "The first token.", "text", palette=False),
    Key("text.last", "end", "last", "last token", "The last token.", "text", palette=False),
    Key("text.options", "enter", "options", "alternatives", "Choose another token for this place.", "text", palette=False),
    # -- the alternatives of a token --------------------------------------------------------------------
    Key("options.down", "down,j", "option(1)", "next", "Next alternative.", "options", sign="↓ j", palette=False),
    Key("options.up", "up,k", "option(-1)", "before", "Alternative before.", "options", sign="↑ k", palette=False),
    Key("options.branch", "enter", "branch", "branch", "Go on from this token: the text before it, and what follows it now.", "options", palette=False),
    Key("options.pick", "1,2,3,4,5,6,7,8,9,0", "pick", "by number", "Branch from the alternative with this number.", "options", sign="1–9 0", palette=False),
    Key("options.left", "left", "place(-1)", "token before", "The token before, or after.", "options", sign="←→", palette=False),
    Key("options.right", "right", "place(1)", "next token", "The next token.", "options", sign="→", listed=False, palette=False),
    Key("options.back", "escape", "back", "back", "Back to the text.", "options", palette=False),
)  # fmt: skip

BY_ID = {key.id: key for key in TABLE}


def keys_at(*places: Where) -> list[Key]:
    """The keys of some places, in the table's order."""
    return [key for key in TABLE if key.where in places]


def keys_of(where: Where) -> list[Key]:
    """The keys of a screen: its own, then those that it shares."""
    return [*keys_at(where), *keys_at(*SHARED.get(where, ()))]


def footer_keys(where: Where, part: Where | None = None) -> list[Key]:
    """What the footer of a screen shows, most important first; what works everywhere comes last.

    The keys of a part of the screen come before its own, and take the place of those that they cover.
    """
    within = keys_at(part) if part else []
    covered = {name for key in within for name in key.keys.split(",")}
    shown = [
        key for key in (*keys_of(where), *keys_at("everywhere")) if not covered & set(key.keys.split(","))
    ]
    return sorted(
        (key for key in (*within, *shown) if key.rank),
        key=lambda key: (key.where == "everywhere", key.where != part, key.rank),
    )


def bindings(where: Where) -> list[BindingType]:
    """Textual's bindings of a screen or a part; each calls `action_key` with the key's id, which says why if it cannot act."""
    return [
        Binding(
            key.keys,
            f"key('{key.id}')",
            key.label,
            show=False,
            id=key.id,
            tooltip=key.help,
            priority=False,
        )
        for key in keys_of(where)
        if key.keys
    ]

"""The field in which a filter is written: its parts coloured, and beneath it what is wrong, at its place."""

from __future__ import annotations

from rich.cells import cell_len
from rich.highlighter import Highlighter
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from nexus_tui.runs.filter import KEYS, FilterError, Part, parts
from nexus_tui.tui import theme
from nexus_tui.tui.lines import Line, Lines, ink, width_of
from nexus_tui.tui.run_list import Wanted
from nexus_tui.tui.safe import fit, plain

_SIGN = " / "
"""Before the text."""
_EXAMPLES = ("model:byte", "best<2.0", "lr>=1e-3", "state:crashed", "age<2h", "-note:debug", "two words")


class FilterField(Vertical):
    """One line of text and one of help. `wanted` is the filter that the caller keeps."""

    DEFAULT_CSS = """
    FilterField { height: 2; background: $surface; display: none; }
    FilterField Horizontal, FilterField Lines { height: 1; }
    FilterField .sign { width: 3; }
    FilterField Input { width: 1fr; background: $surface; }
    """

    class Written(Message):
        """The filter is another one."""

    class Left(Message):
        """Enter: the filter will do."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._wanted = wanted
        self._settings: list[str] | None = None

    def compose(self) -> ComposeResult:
        """The field, and the line beneath it."""
        field = Input(compact=True, highlighter=_Parts(self), suggester=_Keys(self))
        field.cursor_blink = False
        with Horizontal():
            yield Lines(classes="sign")
            yield field
        yield Lines(classes="hint")

    def on_mount(self) -> None:
        """What the line is for."""
        self.query_one(".sign", Lines).show([((_SIGN, "live!"),)])

    def open(self, settings: list[str]) -> None:
        """Write on; `settings` are the keys that may be asked for besides the usual ones."""
        self._settings = settings
        field = self.query_one(Input)
        if field.value.strip() != self._wanted.text:
            field.value = self._wanted.text
        self._wanted.write(field.value, settings)
        field.focus()
        self._explain()

    def clear(self) -> None:
        """Nothing is asked for any more."""
        self._wanted.write("", None)
        for field in self.query(Input):
            field.value = ""

    @property
    def error(self) -> FilterError | None:
        """What is wrong with what is written."""
        return self._wanted.error

    @property
    def keys(self) -> tuple[str, ...]:
        """What may be asked for by name."""
        return self._wanted.keys

    @property
    def begun(self) -> Part | None:
        """The last word, if it may become a key."""
        return self._wanted.begun

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._wanted.write(event.value, self._settings)
        self._explain()
        self.post_message(self.Written())

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._wanted.error is None:
            self.post_message(self.Left())

    def on_resize(self) -> None:
        """Another width has room for another part of the sentence."""
        self._explain()

    def _explain(self) -> None:
        error, width = self._wanted.error, self.size.width
        self.query_one(Input).refresh()  # what is wrong is another part of it
        begun = self._wanted.begun
        if error:
            line = self._at_its_place(str(error), error.start, width, "muted" if error.unfinished else "warn")
        elif begun and (key := KEYS.get(begun.value.casefold())):
            hint = f"{key.name} is {key.help}, as in {key.example}"
            line = self._at_its_place(hint, begun.start, width, "muted")
        else:
            line = _examples(width)
        self.query_one(".hint", Lines).show([line])

    def _at_its_place(self, sentence: str, start: int, width: int, role: str) -> Line:
        """An arrow under what is meant, and the sentence beside it, on the side that has room."""
        field = self.query_one(Input)
        place = len(_SIGN) + cell_len(field.value[:start]) - round(field.scroll_offset.x)
        place = max(0, min(place, width - 1))
        arrow, sentence = theme.glyphs().up, plain(sentence)
        if place + 2 + len(sentence) <= width or place < width // 2:
            return ((" " * place, "text"), (arrow, role), (fit(f" {sentence}", width - place - 1), role))
        return ((fit(f"{sentence} ", place, right=True), role), (arrow, role))


def _examples(width: int) -> Line:
    line: Line = (("   such as  ", "faint"),)
    for example in _EXAMPLES:
        if width_of(line) + len(example) + 3 > width:
            break
        line = (*line, (f"{example}   ", "muted"))
    return line


class _Parts(Highlighter):
    """Keys, and what is wrong, in their colours."""

    def __init__(self, field: FilterField) -> None:
        self._field = field

    def highlight(self, text: Text) -> None:
        palette = theme.palette(self._field.app)
        for part in parts(text.plain):
            if part.op:
                text.stylize(ink(palette, "live"), part.key_start, part.key_start + len(part.key))
            if part.negated:
                text.stylize(ink(palette, "warn!"), part.start, part.start + 1)
        error = self._field.error
        if error and not error.unfinished:
            text.stylize(ink(palette, "warn_"), error.start, error.end)


class _Keys(Suggester):
    """The rest of a key that has been begun; → takes it."""

    def __init__(self, field: FilterField) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._field = field

    async def get_suggestion(self, value: str) -> str | None:
        """The value with its last word made a key, if one begins so."""
        part = self._field.begun
        if part is None or not value.endswith(part.value):
            return None
        begun = part.value.casefold()
        rest = next(key[len(begun) :] for key in self._field.keys if key.startswith(begun))
        return value + rest if rest else None

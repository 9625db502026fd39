"""Small questions over a screen: a choice, one line of text, a learning-rate scale, an error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from rich.table import Table
from rich.text import Text
from textual import events
from textual._path import CSSPathType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from nexus_tui.runs.journal import DivergedEvent
from nexus_tui.runs.recovery import lower_rate
from nexus_tui.runs.run import Run
from nexus_tui.tui import theme
from nexus_tui.tui.glyphs import spell
from nexus_tui.tui.launcher import TooLarge
from nexus_tui.tui.lines import ink
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import WIDTHS

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A panel in the middle of the screen. Escape answers None."""

    CSS_PATH: ClassVar[CSSPathType | None] = ["dialogs.tcss"]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back", show=False)]

    def ink(self, *parts: tuple[str, str] | str) -> Text:
        """Text of (text, role) parts; a bare string is ordinary text. Never read as markup."""
        palette = theme.palette(self.app)
        text = Text(end="")
        for part in parts:
            words, role = (part, "text") if isinstance(part, str) else part
            text.append(spell(plain(words, "\n")), ink(palette, role))
        return text


@dataclass(frozen=True)
class Choice:
    """One answer: the key that gives it, and what it does."""

    key: str
    label: str
    does: str
    sign: str = ""


class ChoiceDialog(Dialog[str]):
    """A question with a few answers, each saying what it does. Gives back the key of the answer, or None.

    Where there is one answer only, Enter gives it.
    """

    def __init__(self, title: str, sentence: str, choices: Sequence[Choice], role: str = "text") -> None:
        super().__init__()
        self._title, self._sentence, self._choices, self._role = title, sentence, choices, role

    def compose(self) -> ComposeResult:
        """Title, sentence, and a row for each answer."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, self._role + "!")), classes="title")
            yield Static(self.ink(self._sentence), classes="sentence")
            table = Table.grid(padding=(0, 2, 0, 0))
            for align in ("right", "left", "left"):
                table.add_column(justify=align)
            also = ", enter" if len(self._choices) == 1 else ""
            for choice in [*self._choices, Choice("escape", "back", "Nothing changes.", "esc")]:
                key = self.ink((choice.sign or choice.key + also, "live!"))
                table.add_row(key, self.ink(choice.label), self.ink((choice.does, "muted")))
            yield Static(table, classes="choice")

    def on_key(self, event: events.Key) -> None:
        """A choice's key answers."""
        keys = [choice.key for choice in self._choices]
        key = keys[0] if event.key == "enter" and len(keys) == 1 else event.key
        if key in keys:
            event.stop()
            self.dismiss(key)


class LineDialog(Dialog[str]):
    """One line of text. `check` turns it into an error sentence, or into nothing when it will do."""

    def __init__(
        self,
        title: str,
        sentence: str,
        value: str = "",
        placeholder: str = "",
        check: Callable[[str], str] = lambda _: "",
    ) -> None:
        super().__init__()
        self._title, self._sentence, self._value, self._placeholder = title, sentence, value, placeholder
        self._check = check

    def compose(self) -> ComposeResult:
        """Title, sentence, field, and room for what is wrong."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, "text!")), classes="title")
            yield Static(self.ink((self._sentence, "muted")), classes="sentence")
            field = Input(self._value, self._placeholder, select_on_focus=True, compact=True)
            field.cursor_blink = False
            yield field
            yield Static(classes="wrong")
            yield Static(
                self.ink(("enter", "live!"), (" does it   ", "muted"), ("esc", "live!"), (" back", "muted"))
            )

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: answer, or say what is wrong."""
        event.stop()
        wrong = self._check(event.value)
        if wrong:
            self.query_one(".wrong", Static).update(self.ink((wrong, "warn")))
        else:
            self.dismiss(event.value.strip())


def rate_dialog(scale: float, scheduled: float) -> LineDialog:
    """Ask for the factor on the scheduled learning rate; now `scale`, the schedule's own rate `scheduled`."""
    return LineDialog(
        "Scale the learning rate",
        f"A factor on the schedule, which has {scheduled:.2e} here. 1 is as planned, 0.5 half of it.",
        f"{scale:g}",
        check=_wrong_scale,
    )


def lower_rate_dialog(name: str, diverged: DivergedEvent, checkpoint: str) -> LineDialog:
    """Ask at which rate a run that stopped before a harmful update goes on, from a checkpoint ("": anew)."""
    where = f"step {checkpoint.removeprefix('step_')}" if checkpoint else "its beginning"
    return LineDialog(
        f"Resume {name} from {where}, at a lower rate?",
        f"It stopped in time: {diverged.cause}. No weight on disk was harmed. It goes on as a branch; what "
        "came after that checkpoint stays on record. A factor on the planned learning rate:",
        f"{lower_rate(diverged):g}",
        check=_wrong_scale,
    )


def _wrong_scale(text: str) -> str:
    try:
        scale = float(text.replace(",", "."))
    except ValueError:
        return f"{text!r} is no number; write a factor such as 0.5."
    return "" if 0 < scale <= 100 else "Write a factor above 0 and up to 100."


def memory_dialog(name: str, error: TooLarge) -> ChoiceDialog:
    """Ask what to do where memory will not do for a training."""
    fewer = Choice(
        "m",
        f"{error.micro_batch} at once",
        f"Takes {error.micro_batch} windows of the same batch at once, which needs {error.needs}.",
    )
    tries = Choice("t", "try", "Tries it as it is; where memory runs out, training stops and says so.")
    choices = [*([fewer] if error.micro_batch else []), tries]
    return ChoiceDialog(f"{name} may not fit into memory", str(error), choices, role="warn")


def plan_dialog(step: int, planned: int) -> LineDialog:
    """Ask for another last step; the run is at `step`, and `planned` are planned."""

    def wrong(text: str) -> str:
        wanted = text.replace(",", "").strip()
        if not wanted.isdecimal():
            return f"{text!r} is no number of steps; write one such as {max(planned, step) + 1000}."
        return "" if int(wanted) >= step else f"It is at step {step:,} already; write that or a later one."

    return LineDialog(
        "Train to another step",
        f"{planned:,} are planned. What is left of the schedule is stretched, or pressed, to end there.",
        f"{planned}",
        check=wrong,
    )


def branch_dialog(name: str, step: int) -> LineDialog:
    """Ask how far to go on from `step` of a record, in a run of one's own."""

    def wrong(text: str) -> str:
        wanted = text.replace(",", "").strip()
        if not wanted.isdecimal():
            return f"{text!r} is no number of steps; write one such as {step + 1000}."
        return "" if int(wanted) > step else f"It begins at step {step:,}; write a later one."

    return LineDialog(
        f"Go on from step {step:,} of {name}, to which step?",
        "In a new run that begins with this record. The schedule is stretched to end there, and the "
        "optimizer begins anew: weights alone came with the program.",
        f"{step + step // 2}",
        check=wrong,
    )


def stop_dialog(run: Run, *, here: bool) -> ChoiceDialog:
    """Ask how a training is to end; only one of this process (`here`) can go on without this screen."""
    newest = run.newest_checkpoint()
    lost = run.step - (newest.step if newest else 0)
    where = f"step {newest.step:,}" if newest else "the beginning"
    keep = Choice(
        "k", "keep training", "Closes the screen and goes on in this terminal; `nexus-tui attach` looks."
    )
    return ChoiceDialog(
        f"Stop {run.name} at step {run.step:,}?",
        "It can be resumed later, and goes on exactly as if it had never stopped.",
        [
            Choice("s", "save and stop", "Saves a checkpoint after this step and ends."),
            *([keep] if here else []),
            Choice(
                "x", "discard", f"Ends without a save; {lost:,} steps are to be trained again from {where}."
            ),
        ],
    )


def note_dialog(step: int) -> LineDialog:
    """Ask for a note at a step."""
    return LineDialog(
        f"Note at step {step:,}",
        "It stays in the journal, at this step.",
        placeholder="what you saw or changed",
        check=lambda text: "" if text.strip() else "Write something, or press esc.",
    )


class ErrorDialog(Dialog[None]):
    """Something failed: what, and what to do. Any of enter, escape, space closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "dismiss(None)", "back", show=False)]

    def __init__(self, title: str, sentence: str) -> None:
        super().__init__()
        self._title, self._sentence = title, sentence

    def compose(self) -> ComposeResult:
        """Title and sentence."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, "warn!")), classes="title")
            yield Static(self.ink(self._sentence), classes="sentence")
            yield Static(self.ink(("esc", "live!"), (" back", "muted")))


class QuitDialog(ChoiceDialog):
    """Leaving while this process trains: `s` save and stop, `k` keep training without a screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "answer('s')", "save and stop", show=False)]

    def __init__(self, name: str, step: int) -> None:
        super().__init__(
            "Leave while training?",
            f"{name} is at step {step:,}, and this program trains it.",
            (
                Choice(
                    "s", "save and stop", "Saves a checkpoint, then leaves. r in the list of runs resumes it."
                ),
                Choice(
                    "k",
                    "keep training",
                    "Closes the screen; training goes on in this terminal until it is done.",
                ),
            ),
        )

    def action_answer(self, key: str) -> None:
        """Answer with the key of a choice."""
        self.dismiss(key)


class Waiting(Dialog[str]):
    """Shown while something ends that must not be cut off; closes itself when `done` says so.

    `doing` says in one line what still happens. `k` closes the screen sooner and lets it end without one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", show=False),
        Binding("k,ctrl+c", "dismiss('left')", show=False),
    ]

    def __init__(self, title: str, doing: Callable[[], str], done: Callable[[], bool]) -> None:
        super().__init__()
        self._title, self._doing, self._done = title, doing, done
        self._said = ""

    def compose(self) -> ComposeResult:
        """Title, what happens, and the way out."""
        with Vertical(classes="panel"):
            yield Static(self.ink((self._title, "live!")), classes="title")
            yield Static(classes="doing sentence")
            yield Static(
                self.ink(("k", "live!"), ("  close the screen now; it ends in this terminal", "muted"))
            )

    def on_mount(self) -> None:
        """Ask from time to time."""
        self._look()
        self.set_interval(0.1, self._look)

    def _look(self) -> None:
        if self._done():
            if self.is_current:
                self.dismiss("done")
        elif self._said != (doing := self._doing()):
            self._said = doing
            self.query_one(".doing", Static).update(self.ink(doing))

    def action_nothing(self) -> None:
        """Escape does not cut a save off."""

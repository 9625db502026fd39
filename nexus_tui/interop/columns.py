"""Which of some names is the step, which the training loss, which the validation loss: guessed, and said."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_VALIDATION = {"val", "valid", "validation", "eval", "evaluation", "test", "dev", "heldout"}
_TRAINING = {"train", "training"}
_STEP = {"step", "steps", "iteration", "iter", "iterations", "update", "updates"}
_EPOCH = {"epoch", "epochs"}
_PREDICTED = {"predicted", "prediction", "forecast", "expected", "best", "target"}


@dataclass(frozen=True)
class Columns:
    """Names of the columns that mean something here; empty where there is none."""

    step: str = ""
    loss: str = ""
    """Training loss."""
    validation: str = ""
    """Validation loss."""
    lr: str = ""
    grad_norm: str = ""

    @property
    def used(self) -> set[str]:
        """Those that were found."""
        return {getattr(self, field.name) for field in fields(self)} - {""}

    def in_words(self) -> str:
        """What was taken for what, for the screen."""
        meant = {
            "step": self.step,
            "training loss": self.loss,
            "validation loss": self.validation,
            "learning rate": self.lr,
            "gradient norm": self.grad_norm,
        }
        return "columns taken: " + ", ".join(f"{what} = {name!r}" for what, name in meant.items() if name)


def guess(names: Iterable[str]) -> Columns:
    """The columns by their names. A lone loss is that of training; epochs serve where there are no steps."""
    known = {name: _words(name) for name in names}

    def pick(score: "dict[str, int]") -> str:
        best = max(score.values(), default=0)
        return next((name for name, points in score.items() if points == best), "") if best else ""

    def losses(wanted: set[str], other: set[str]) -> dict[str, int]:
        found = {}
        for name, words in known.items():
            if words & _PREDICTED or not words & {"loss", "nll"} or words & other:
                continue
            # the plainest name of a loss wins: `train_loss` before `train_loss_aux`
            found[name] = 100 * bool(words & wanted) + max(1, 50 - len(words) - len(name) // 8)
        return found

    validation = pick({n: p for n, p in losses(_VALIDATION, _TRAINING).items() if p > 100})
    loss = pick({n: p for n, p in losses(_TRAINING, _VALIDATION).items() if n != validation})
    rate = {n: 10 - len(w) for n, w in known.items() if "lr" in w or {"learning", "rate"} <= w}
    norm = {n: 10 - len(w) for n, w in known.items() if w & {"grad", "gradient"} and "norm" in w}
    step = {n: (40 if w & _STEP else 20 if w & _EPOCH else 0) - len(w) for n, w in known.items()}
    return Columns(pick({n: p for n, p in step.items() if p > 0}), loss, validation, pick(rate), pick(norm))


def is_part(name: str) -> bool:
    """Whether a folder's name says that it is a part of a run, such as `train`."""
    return bool(_words(name)) and _words(name) <= _TRAINING | _VALIDATION


def is_validation(name: str) -> bool:
    """Whether a metric's name says that it was measured on validation data."""
    return bool(_words(name) & _VALIDATION)


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}

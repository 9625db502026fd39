"""Where the loss lives: by position in the window, by class of character, by token, by window."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexus_tui.runs.token_losses import TokenLosses

INSIDE, FIRST, CAPITAL = "letter inside a word", "first letter of a word", "capital"
SPACE, LINE_BREAK, PUNCTUATION, DIGIT = "space", "line break", "punctuation", "digit"
BEYOND, OTHER = "beyond ASCII", "other"
CLASSES = (INSIDE, FIRST, CAPITAL, SPACE, LINE_BREAK, PUNCTUATION, DIGIT, BEYOND, OTHER)
"""Every class. A token of several bytes is of its first one's, after the space that begins a word."""


@dataclass(frozen=True, eq=False)
class Positions:
    """Loss by position in the window: what more context is worth."""

    mean: "np.ndarray[Any, np.dtype[np.float64]]"
    """Nats per token, [length]: position p has p + 1 tokens of context."""
    stderr: "np.ndarray[Any, np.dtype[np.float64]]"
    """Standard error over windows, [length]; 0 with one window."""


@dataclass(frozen=True)
class ClassLoss:
    """The loss on one class of targets."""

    name: str
    count: int
    share: float
    """Of all targets."""
    loss: float
    """Mean over the class, nats per token."""
    contribution: float
    """share × loss, nats per token: those of all classes sum to the loss."""


@dataclass(frozen=True)
class TokenLoss:
    """The loss on one token of the vocabulary, wherever it is the target."""

    id: int
    token: bytes
    count: int
    share: float
    loss: float
    contribution: float
    """As of a ClassLoss."""


@dataclass(frozen=True)
class WindowDifference:
    """A window in which two checkpoints differ."""

    window: int
    difference: float
    """Loss of b less loss of a, nats per token: negative where b is better."""
    loss_a: float
    loss_b: float


def by_position(t: TokenLosses) -> Positions:
    """Mean and standard error over windows at each position."""
    losses = t.losses.astype(np.float64)
    count = len(losses)
    spread = losses.std(axis=0, ddof=1) if count > 1 else np.zeros(losses.shape[1])
    return Positions(losses.mean(axis=0), spread / np.sqrt(count))


def by_class(t: TokenLosses) -> list[ClassLoss]:
    """The loss by class of target, those that contribute most first; a class without a target is left out."""
    first = np.array([CLASSES.index(_class(token)) for token in t.token_bytes])
    inside = np.array([_starts_with_letter(token) for token in t.token_bytes])
    wordy = np.array([_ends_in_word(token) for token in t.token_bytes])
    classes = first[t.targets]
    classes[inside[t.targets] & wordy[t.inputs]] = CLASSES.index(INSIDE)
    counts, sums = _summed(classes, t.losses, len(CLASSES))
    rows = [
        ClassLoss(CLASSES[each], *_figures(int(counts[each]), float(sums[each]), t.losses.size))
        for each in np.flatnonzero(counts)
    ]
    return sorted(rows, key=lambda row: -row.contribution)


def by_token(t: TokenLosses, limit: int = 20) -> list[TokenLoss]:
    """The tokens that contribute most to the loss, at most `limit`."""
    counts, sums = _summed(t.targets, t.losses, len(t.token_bytes))
    most = [id for id in np.argsort(-sums, kind="stable")[:limit].tolist() if counts[id]]
    return [
        TokenLoss(id, t.token_bytes[id], *_figures(int(counts[id]), float(sums[id]), t.losses.size))
        for id in most
    ]


def most_different(a: TokenLosses, b: TokenLosses, limit: int = 5) -> list[WindowDifference]:
    """The windows in which b is better the most and those in which a is: `limit` each way, largest first.

    Raises ValueError unless both are of one protocol.
    """
    if a.protocol != b.protocol or a.losses.shape != b.losses.shape:
        raise ValueError("only losses over the same windows have windows to compare")
    losses_a, losses_b = a.window_losses.astype(np.float64), b.window_losses.astype(np.float64)
    apart = losses_b - losses_a
    order = np.argsort(apart, kind="stable")
    chosen = [w for w in order[:limit].tolist() if apart[w] < 0]
    chosen += [w for w in order[::-1][:limit].tolist() if apart[w] > 0]
    rows = [WindowDifference(w, float(apart[w]), float(losses_a[w]), float(losses_b[w])) for w in chosen]
    return sorted(rows, key=lambda row: -abs(row.difference))


def window_text(t: TokenLosses, window: int) -> list[tuple[bytes, float]]:
    """A window's targets in order, each with its bytes and its loss in nats."""
    tokens = [t.token_bytes[id] for id in t.targets[window].tolist()]
    return list(zip(tokens, t.losses[window].tolist(), strict=True))


def _class(token: bytes) -> str:
    """A token's class by its first byte; a space before a word is part of the word."""
    core = token.lstrip(b" ")
    if not core:
        return SPACE if token else OTHER
    byte = core[0]
    if byte >= 0x80:
        return BEYOND
    if byte in b"\n\r":
        return LINE_BREAK
    if byte in b"\t\v\f":
        return SPACE
    character = chr(byte)
    if character.isdigit():
        return DIGIT
    if character.isalpha():
        return CAPITAL if character.isupper() else FIRST
    return PUNCTUATION if character.isprintable() else OTHER


def _starts_with_letter(token: bytes) -> bool:
    """Whether a token goes on with a word, if it comes after a piece of one."""
    return token[:1].islower()


def _ends_in_word(token: bytes) -> bool:
    """Whether a letter after this token is inside a word: apostrophes are, and all beyond ASCII."""
    last = token[-1:]
    return last.isalpha() or last == b"'" or last >= b"\x80"


def _summed(
    groups: "np.ndarray[Any, Any]", losses: "np.ndarray[Any, Any]", count: int
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """How many targets each group has and their losses' sum: [groups] each."""
    flat = groups.ravel()
    sums = np.bincount(flat, losses.ravel().astype(np.float64), minlength=count)
    return np.bincount(flat, minlength=count), sums


def _figures(count: int, total: float, of: int) -> tuple[int, float, float, float]:
    """count, share, loss, contribution."""
    return count, count / of, total / count, total / of

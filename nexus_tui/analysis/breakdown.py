"""Where the loss lives: by position in the window, by class of character, by token, by window."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexus_tui.runs.token_losses import TokenLosses


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
    raise NotImplementedError


def by_class(t: TokenLosses) -> list[ClassLoss]:
    """The loss by class of target, those that contribute most first; a class without a target is left out."""
    raise NotImplementedError


def by_token(t: TokenLosses, limit: int = 20) -> list[TokenLoss]:
    """The tokens that contribute most to the loss, at most `limit`."""
    raise NotImplementedError


def most_different(a: TokenLosses, b: TokenLosses, limit: int = 5) -> list[WindowDifference]:
    """The windows in which b is better the most and those in which a is: `limit` each way, largest first.

    Raises ValueError unless both are of one protocol.
    """
    raise NotImplementedError


def window_text(t: TokenLosses, window: int) -> list[tuple[bytes, float]]:
    """A window's targets in order, each with its bytes and its loss in nats."""
    raise NotImplementedError

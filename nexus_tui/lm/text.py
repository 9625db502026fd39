"""A text that is being written: what it began with, and what its next token depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nexus_tui.lm.drawing import Sampling, Token, draw

Drawn = Token | FloatingPointError
"""A token, or why there is none: the model computes no numbers, and the text ends."""


@dataclass(eq=False)
class Text:
    """One text of a batch, from its prompt on."""

    number: int
    prompt: tuple[int, ...]
    sampling: Sampling
    seen: NDArray[np.bool_]
    """[vocabulary] the tokens of prompt and text so far."""
    memory: Any = None
    """What its decoder remembers of all its tokens but the newest."""
    left: int = field(init=False)
    """Tokens to be drawn."""
    position: int = field(init=False)
    """Of the next token in the sequence."""
    newest: int = 0

    def __post_init__(self) -> None:
        self.left, self.position = self.sampling.max_tokens, len(self.prompt)
        self.seen[list(self.prompt)] = True

    def draw(self, logits: NDArray[np.float32]) -> Drawn:
        """Its next token, from logits [vocab]."""
        try:
            token = draw(logits.astype(np.float64), self.sampling, self.position, self.seen)
        except FloatingPointError as error:
            return self.take(error)
        return self.take(token)

    def take(self, drawn: Drawn) -> Drawn:
        """Go on after a token that was drawn for it, or end; gives that back."""
        if isinstance(drawn, FloatingPointError):
            self.left = 0
        else:
            self.seen[drawn.id] = True
            self.newest = drawn.id
            self.position += 1
            self.left -= 1
        return drawn

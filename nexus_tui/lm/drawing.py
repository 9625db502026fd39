"""How the next token is drawn from what a model thinks of it: settings, cuts and random numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ALTERNATIVES = 10
"""How many of the most probable tokens are told for each one drawn."""
_NONE = np.empty(0, np.intp)


class SamplingError(ValueError):
    """What is asked of sampling has no meaning; the message is one sentence for the user."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn.

    In this order, which is that of transformers' generate: logits of tokens that the prompt or the text so
    far has are divided by `repetition_penalty` if positive and multiplied by it if negative (1: off); all are
    divided by `temperature` (0: always the most probable token); then the `top_k` most probable tokens stay
    (0: all); then the fewest most probable ones that together reach `top_p` of what is left; then those of
    at least `min_p` times the probability of the most probable one (0: all). Of equally probable tokens the
    lower id comes first. At most `max_tokens` are drawn; `seed` decides every draw.

    Raises SamplingError for values outside these meanings.

    Sources: Keskar et al., arXiv 1909.05858, section 4.1 (repetition penalty); Holtzman et al., arXiv
    1904.09751 (top-p); Nguyen et al., arXiv 2407.01082 (min-p).
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    max_tokens: int = 200
    seed: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise SamplingError(
                f"temperature is {self.temperature}; it must be 0 (greedy) or a positive number."
            )
        if self.top_k < 0:
            raise SamplingError(f"top_k is {self.top_k}; it must be 0 (off) or a number of tokens.")
        if not 0 < self.top_p <= 1:
            raise SamplingError(f"top_p is {self.top_p}; it must be above 0 and at most 1 (off).")
        if not 0 <= self.min_p <= 1:
            raise SamplingError(f"min_p is {self.min_p}; it must be from 0 (off) to 1.")
        if not 0.01 <= self.repetition_penalty <= 100:
            raise SamplingError(
                f"repetition_penalty is {self.repetition_penalty}; it must be from 0.01 to 100, 1 is off."
            )
        if self.max_tokens < 0:
            raise SamplingError(f"max_tokens is {self.max_tokens}; it must be 0 or more.")
        if not 0 <= self.seed < 2**64:
            raise SamplingError(f"seed is {self.seed}; it must be from 0 to 2^64 - 1.")


class Alternative(NamedTuple):
    """A token that might have been drawn; `logprob` in nats, before penalty, temperature and cuts."""

    id: int
    logprob: float


class Token(NamedTuple):
    """A drawn token and what the model, before penalty, temperature and cuts, thought of it.

    `logprob` in nats; `rank` 1 is the most probable token (of equals, the lower id); `entropy` of the whole
    distribution in nats; `alternatives` are the most probable tokens, best first, be the drawn one among
    them or not.
    """

    id: int
    logprob: float
    rank: int
    entropy: float
    alternatives: Sequence[Alternative] = ()


def draw(
    logits: NDArray[np.float64], sampling: Sampling, position: int, seen: NDArray[np.bool_] | None = None
) -> Token:
    """Draw the token at a position of the sequence from its logits [vocab].

    `seen` [vocab] marks the tokens of prompt and text so far: those that the repetition penalty is for.
    Raises FloatingPointError if a logit is no finite number.
    """
    from nexus_tui.lm import draws  # Numba takes a third of a second to import: not before it is needed

    penalised = _penalised(logits, sampling.repetition_penalty, seen)
    cuts = _cuts(penalised, sampling)
    chosen = draws.choose(penalised, *cuts, np.uint64(sampling.seed), np.uint64(position))
    return think(logits, chosen, position)


def think(logits: NDArray[np.float64], given: int, position: int) -> Token:
    """What the model thinks of a given token at a position, from its logits [vocab].

    Raises FloatingPointError if a logit is no finite number.
    """
    from nexus_tui.lm import draws

    ids, figures = draws.think(logits, given, ALTERNATIVES)
    (rank, *likeliest), (entropy, logprob, *logprobs) = ids.tolist(), figures.tolist()
    if not rank:
        raise no_number(position)
    return Token(given, logprob, rank, entropy, tuple(map(Alternative, likeliest, logprobs)))


def no_number(position: int) -> FloatingPointError:
    """What is said of a model that computes no numbers at a position."""
    return FloatingPointError(
        f"The model gives no finite number at position {position}: its weights are damaged or diverged."
    )


def probabilities(
    logits: NDArray[np.float64], sampling: Sampling, seen: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The distribution [vocab] to draw from, after all that `sampling` says, temperature > 0; unnormalised.

    The most probable token has weight 1.
    """
    from nexus_tui.lm import draws

    penalised = _penalised(logits, sampling.repetition_penalty, seen)
    weights: NDArray[np.float64] = draws.weigh(penalised, *_cuts(penalised, sampling))
    return weights


def _penalised(
    logits: NDArray[np.float64], penalty: float, seen: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    if penalty == 1 or seen is None:
        return logits
    return np.where(seen, np.where(logits < 0, logits * penalty, logits / penalty), logits)


def _cuts(
    logits: NDArray[np.float64], sampling: Sampling
) -> tuple[NDArray[np.intp], float, int, float, float]:
    """As compiled code takes them: the order of the logits, if needed, temperature, top_k, top_p, min_p."""
    cuts = sampling.temperature and (sampling.top_k or sampling.top_p < 1)
    order = np.argsort(-logits, kind="stable") if cuts else _NONE
    return order, float(sampling.temperature), sampling.top_k, float(sampling.top_p), float(sampling.min_p)


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) that depends on its arguments alone. Philox: Salmon et al., SC 2011."""
    from nexus_tui.lm import draws

    return float(draws.uniform(np.uint64(seed), np.uint64(position)))

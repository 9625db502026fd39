"""What a model thought of each token of a text, in columns: a text of any length stays small in memory."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate

from nexus_tui.training.sampling import Piece

NAT = 1 / math.log(2)
"""Bits in a nat."""


@dataclass(frozen=True)
class Option:
    """A token that might stand in a place, and how probable it was before temperature and cuts."""

    id: int
    token: bytes
    probability: float


@dataclass(frozen=True)
class Thought:
    """What a model thought of the token in a place, before temperature and cuts."""

    id: int
    token: bytes
    position: int
    """In the sequence, prompt included; the prompt's first token is at 0."""
    bits: float
    """How surprising the token was: -log2 of its probability."""
    rank: int
    entropy: float
    """Of the whole distribution, bits."""
    options: tuple[Option, ...]
    """The most probable tokens, best first; the one that stands there may be among them or not."""

    @property
    def probability(self) -> float:
        """Of the token that stands there."""
        return float(2.0**-self.bits)


class Thoughts:
    """Grows by a piece at a time. `vocabulary` has the bytes of every id."""

    def __init__(self, vocabulary: list[bytes] | None = None) -> None:
        self.vocabulary = vocabulary or []
        self.tokens: list[bytes] = []
        """The bytes of every token."""
        self.ids = array("i")
        self.bits = array("d")
        """-log2 of the probability of every token."""
        self.bytes = 0
        """Bytes of all tokens."""
        self.total = 0.0
        """Bits of all tokens together."""
        self._positions, self._ranks, self._entropies = array("l"), array("i"), array("d")
        self._option_ids, self._option_bits = array("i"), array("d")
        self._option_ends = array("l")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nats(self) -> float:
        """-log of the probability of all tokens together."""
        return self.total / NAT

    def add(self, piece: Piece) -> None:
        """The next token."""
        options = ((option.id, -option.logprob * NAT) for option in piece.alternatives)
        self._add(
            piece.id, piece.token, piece.position, -piece.logprob * NAT, piece.rank,
            piece.entropy * NAT, tuple(options),
        )  # fmt: skip

    def _add(
        self,
        id: int,
        token: bytes,
        position: int,
        bits: float,
        rank: int,
        entropy: float,
        options: tuple[tuple[int, float], ...],
    ) -> None:
        self.ids.append(id)
        self.tokens.append(token)
        self.bytes += len(token)
        self._positions.append(position)
        self.bits.append(max(bits, 0.0))
        self.total += self.bits[-1]
        self._ranks.append(rank)
        self._entropies.append(max(entropy, 0.0))
        for option, surprise in options:
            self._option_ids.append(option)
            self._option_bits.append(surprise)
        self._option_ends.append(len(self._option_ids))

    def _options(self, place: int) -> list[tuple[int, float]]:
        start = self._option_ends[place - 1] if place else 0
        places = range(start, self._option_ends[place])
        return [(self._option_ids[i], self._option_bits[i]) for i in places]

    def __getitem__(self, place: int) -> Thought:
        options = tuple(Option(id, self._bytes_of(id), 2.0**-bits) for id, bits in self._options(place))
        return Thought(
            self.ids[place], self.tokens[place], self._positions[place], self.bits[place],
            self._ranks[place], self._entropies[place], options,
        )  # fmt: skip

    def _bytes_of(self, id: int) -> bytes:
        return self.vocabulary[id] if id < len(self.vocabulary) else b"?"

    def of_bytes(self, start: int, end: int) -> tuple[int, int]:
        """The tokens, from one to before another, that have bytes between two places of all their bytes."""
        ends = list(accumulate(map(len, self.tokens)))
        return bisect_right(ends, start), min(bisect_left(ends, end) + 1, len(ends)) if end > start else 0

    def before(self, place: int) -> Thoughts:
        """Those of the first so many tokens, to go on from."""
        cut = Thoughts(self.vocabulary)
        end = self._option_ends[place - 1] if place else 0
        for column in ("tokens", "ids", "bits", "_positions", "_ranks", "_entropies", "_option_ends"):
            setattr(cut, column, getattr(self, column)[:place])
        cut._option_ids, cut._option_bits = self._option_ids[:end], self._option_bits[:end]
        cut.bytes, cut.total = sum(map(len, cut.tokens)), math.fsum(cut.bits)
        return cut

    def instead(self, place: int, option: int) -> Thoughts:
        """Those before a place, and there another token: one of its options, by its number from 0."""
        cut = self.before(place)
        options = self._options(place)
        id, bits = options[option]
        cut._add(
            id, self._bytes_of(id), self._positions[place], bits, option + 1, self._entropies[place],
            tuple(options),
        )  # fmt: skip
        return cut

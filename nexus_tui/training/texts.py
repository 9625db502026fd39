"""Texts that a sampler writes side by side, as pieces of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from nexus_tui.data.tokenizer import StreamDecoder
from nexus_tui.lm.batch import Batch
from nexus_tui.training.sampling import Piece
from nexus_tui.training.stopping import StopTexts

if TYPE_CHECKING:
    from nexus_tui.lm.decoding import Decoder
    from nexus_tui.lm.drawing import Sampling, Token
    from nexus_tui.lm.pace import Pace
    from nexus_tui.training.sampling import Progress, Sampler

_CHARACTER = 4
"""The most tokens that a character of UTF-8 is spread over."""
_FULL = (
    "The GPU has too little memory left for these texts; write fewer or shorter ones, or with --device cpu."
)


class Texts:
    """Continues any number of prompts with one step of the model for a token of each of them.

    Each text is what it is alone; when one ends, the others go on. Begun with `Sampler.together`.
    """

    def __init__(self, sampler: Sampler, decoder: Decoder, pace: Pace, progress: Progress | None) -> None:
        self._sampler = sampler
        self._batch = Batch(decoder, pace, progress)
        self._spellers: dict[int, _Speller] = {}

    def add(
        self,
        prompt: str | bytes,
        sampling: Sampling,
        *,
        first_ids: Sequence[int] | None = None,
        stop: Sequence[str] = (),
    ) -> int:
        """One more text; its number, that of the first is 0.

        Args:
            prompt: text, or the bytes of one. A character that it ends amid is completed by the first pieces.
            sampling: how tokens are drawn; `max_tokens` counts those drawn now.
            first_ids: tokens that follow the prompt, drawn before or put in a drawn one's place: what comes
                is what would have come after them. The pieces are those after them.
            stop: texts at which to stop; none is part of the text, nor is any part of one.

        Raises TextError for a prompt that the tokenizer cannot encode, SamplingError for an empty stop text,
        ValueError for first ids that the model does not have; the other texts do not notice.
        """
        stops = StopTexts(stop)
        ids = [*(self._sampler.encode(prompt) or [self._sampler.line_break]), *(first_ids or ())]
        number = self._batch.add(ids, sampling)
        self._spellers[number] = _Speller(self._sampler, ids, sampling.max_tokens, stops)
        return number

    def remove(self, number: int) -> None:
        """Write no more of a text."""
        self._batch.remove(number)

    def step(self) -> list[tuple[int, Piece | FloatingPointError]]:
        """The next piece of texts, by their numbers; none once all have ended.

        An error is the end of a text for which the model computes no finite number. Raises MemoryError where
        the device has too little, as the host would.
        """
        pieces: list[tuple[int, Piece | FloatingPointError]] = []
        try:
            drawn = self._batch.step()
        except torch.OutOfMemoryError:
            raise MemoryError(_FULL) from None
        for number, token in drawn:
            if isinstance(token, FloatingPointError):
                pieces.append((number, token))
                continue
            piece = self._spellers[number].piece(token)
            if piece.end:
                self._batch.remove(number)
            pieces.append((number, piece))
        return pieces


class _Speller:
    """Makes pieces of the tokens drawn after the tokens `ids`, `most` at most."""

    def __init__(self, sampler: Sampler, ids: Sequence[int], most: int, stops: StopTexts) -> None:
        self._bytes, self._stops = sampler.token_bytes, stops
        self._position, self._last = len(ids), len(ids) + most - 1
        self._decoder = StreamDecoder(sampler.tokenizer, sampler.token_bytes)
        for id in ids[-_CHARACTER:]:
            self._decoder.push(id)

    def piece(self, token: Token) -> Piece:
        last = self._position == self._last
        text, stopped = self._stops.push(
            self._decoder.push(token.id) + (self._decoder.finish() if last else "")
        )
        self._position += 1
        return Piece(
            text=text + (self._stops.finish() if last and not stopped else ""),
            id=token.id,
            bytes=len(self._bytes[token.id]),
            logprob=token.logprob,
            rank=token.rank,
            entropy=token.entropy,
            position=self._position - 1,
            alternatives=token.alternatives,
            token=self._bytes[token.id],
            end="stop text" if stopped else "max tokens" if last else "",
        )

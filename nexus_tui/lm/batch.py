"""Texts that one model continues together: each token of all of them is one step through the layers."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.decoding import Decoder
from nexus_tui.lm.drawing import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pace import FULL, Pace
from nexus_tui.lm.text import Drawn, Text

PROMPT_CHUNK = 512
"""Tokens of a prompt read at once: bounds the memory that a long one takes."""
ROOM = 4096
"""Tokens to come, at most, that room is made for beforehand; after as many it doubles."""
Progress = Callable[[int, int], None]
"""Told how many tokens of how many have been read; may raise to end it."""


class Batch:
    """Texts of one model, each with a prompt and settings of its own; they may come and go at any time.

    What is drawn for a text is, bit for bit, what would be drawn if it were alone: it depends on the model,
    its prompt and its settings (on a GPU, whose libraries add in an order that depends on how many texts
    there are, to the last bits of a logit). Texts with the same prompt have it read once.

    Args:
        decoder: of the model, whose weights must not change meanwhile.
        pace: changes when tokens come, never which. With a share of less than a core one thread is used.
        progress: told how much of each prompt has been read.
    """

    def __init__(self, decoder: Decoder, pace: Pace = FULL, progress: Progress | None = None) -> None:
        self._decoder, self._pace, self._progress = decoder, pace, progress
        self._waiting: list[Text] = []
        self._texts: list[Text] = []
        self._count = 0

    def add(self, prompt: Sequence[int], sampling: Sampling) -> int:
        """One more text, after a prompt of one token at least; its number, the first text's is 0.

        Raises ValueError for ids that the model does not have.
        """
        config = self._decoder.model.config
        check_ids(prompt, config.vocab_size)
        text = Text(self._count, tuple(prompt), sampling, np.zeros(config.vocab_size, np.bool_))
        if text.left:
            self._waiting.append(text)
        self._count += 1
        return text.number

    def remove(self, number: int) -> None:
        """Draw no more of a text. One that has ended is removed by itself."""
        self._waiting = [text for text in self._waiting if text.number != number]
        self._texts = [text for text in self._texts if text.number != number]

    def step(self) -> list[tuple[int, Drawn]]:
        """The next token of texts, by their numbers; none once all have ended.

        Prompts are read first, one a step, and bring the first token of those that have it; then each step
        brings one of every text. An error stands for a token where the model computes no numbers, and ends
        the text.
        """
        if self._waiting:
            return self._begin()
        if not self._texts:
            return []
        threads = torch.get_num_threads() if self._pace.share >= 1 else 1
        with self._pace.work(threads):
            return self._told(self._texts, self._decoder.step(self._texts, threads))

    def _begin(self) -> list[tuple[int, Drawn]]:
        """Read the prompt that has waited longest."""
        prompt = self._waiting[0].prompt
        texts = [text for text in self._waiting if text.prompt == prompt]
        cache = new_cache(self._decoder.model, len(prompt))
        logits = read_prompt(self._decoder.model, prompt, cache, self._pace, self._progress)
        for text in texts:
            text.memory = self._decoder.remember(cache, len(prompt) + min(text.left, ROOM))
        self._waiting = [text for text in self._waiting if text.prompt != prompt]
        self._texts = sorted([*self._texts, *texts], key=lambda text: text.number)
        return self._told(texts, [text.draw(logits) for text in texts])

    def _told(self, texts: Sequence[Text], drawn: Sequence[Drawn]) -> list[tuple[int, Drawn]]:
        """What was drawn for texts, by their numbers; those that have ended are left behind."""
        told = [(text.number, each) for text, each in zip(texts, drawn, strict=True)]
        self._texts = [text for text in self._texts if text.left]
        return told


def read_prompt(
    model: HybridLM, ids: Sequence[int], cache: Cache, pace: Pace, progress: Progress | None
) -> NDArray[np.float32]:
    """Read a prompt into the cache, a chunk after the other; the logits [vocab] of what follows."""
    for start in range(0, len(ids), PROMPT_CHUNK):
        chunk = ids[start : start + PROMPT_CHUNK]
        if progress:
            progress(start, len(ids))
        with pace.work(torch.get_num_threads() if len(chunk) > 1 else 1):
            logits = _read(model, chunk, cache)
    if progress:
        progress(len(ids), len(ids))
    return logits


@torch.inference_mode()
def _read(model: HybridLM, ids: Sequence[int], cache: Cache) -> NDArray[np.float32]:
    """Read tokens into the cache; the logits [vocab] of what follows."""
    tokens = torch.tensor([list(ids)], device=next(model.parameters()).device)
    return model(tokens, cache, last_only=True)[0, -1].float().cpu().numpy()  # type: ignore[no-any-return]


def new_cache(model: HybridLM, capacity: int) -> Cache:
    """An empty cache for one text, where the model is and as exact."""
    parameter = next(model.parameters())
    return Cache(model.config, 1, capacity, parameter.device, parameter.dtype)


def check_ids(ids: Sequence[int], vocabulary: int) -> None:
    """Raise ValueError, in one sentence, for ids that a model does not have."""
    for position, token in enumerate(ids):
        if not 0 <= token < vocabulary:
            raise ValueError(
                f"The token at position {position} has id {token}, but the model knows 0 to "
                f"{vocabulary - 1}; use the tokenizer that it was trained with."
            )

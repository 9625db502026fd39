"""Loss over the validation windows: always the same ones, all of them, each from a cold state."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from nexus_tui.data.dataset import Dataset
from nexus_tui.data.windows import Tokens, target_bytes, validation_windows
from nexus_tui.lm.hybrid import HybridLM

_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class Validation:
    """The validation windows of a dataset, ready to be scored."""

    inputs: Tokens
    """[windows, length]; as narrow as the vocabulary lets them be if they are mapped."""
    targets: Tokens
    """[windows, length]"""
    bytes: int
    """How many bytes of text the targets stand for."""
    protocol: str

    def losses(self, model: HybridLM) -> "Iterator[np.ndarray[tuple[int], np.dtype[np.float32]]]":
        """Mean loss of each window in nats per token, a few windows at a time: [some windows]."""
        for part in self.parts:
            yield self.part_losses(model, part)

    @property
    def parts(self) -> list[slice]:
        """The windows that are scored at once. Always cut in one way: rounding depends on it."""
        count, length = self.inputs.shape
        at_once = max(1, _TOKENS_AT_ONCE // length)
        return [slice(start, min(start + at_once, count)) for start in range(0, count, at_once)]

    def part_losses(self, model: HybridLM, part: slice) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        """Mean loss of each window of a part, nats per token: [some windows]."""
        return self._score(model, part).double().mean(-1).float().numpy()

    def token_losses(self, model: HybridLM) -> Iterator[torch.Tensor]:
        """Loss of each target in nats, a few windows at a time: float32 [some windows, length]."""
        for part in self.parts:
            yield self._score(model, part)

    def _score(self, model: HybridLM, part: slice) -> torch.Tensor:
        device = next(model.parameters()).device
        with torch.inference_mode():
            ids, targets = (
                torch.from_numpy(tokens[part].astype(np.int64, copy=False)).to(device)
                for tokens in (self.inputs, self.targets)
            )
            return model.loss(ids, targets, reduction="none").cpu()

    def bits_per_byte(self, loss: float) -> float:
        """A mean loss over these windows, in nats per token, as bits per byte of their text."""
        return loss * self.targets.size / self.bytes / math.log(2)


def summary(losses: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> tuple[float, float]:
    """Mean over windows and its standard error: [windows] -> nats per token, nats per token."""
    exact = losses.astype(np.float64)
    stderr = float(exact.std(ddof=1)) / math.sqrt(len(exact)) if len(exact) > 1 else 0.0
    return float(exact.mean()), stderr


def validation(
    dataset: Dataset, window: int, part: Literal["validation", "holdout"] = "validation"
) -> Validation:
    """The windows of a part of a dataset. Raises CorpusError if its text is too short for one."""
    inputs, targets = validation_windows(getattr(dataset, part), window)
    covered = int(target_bytes(targets, dataset.token_bytes).sum())
    return Validation(inputs, targets, covered, dataset.protocol(window, part))

"""The loss of every token of a validation text under one checkpoint: plain numbers, however they were had."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class TokenLosses:
    """What a checkpoint loses on each token. The windows are consecutive: the text is one piece."""

    losses: "np.ndarray[Any, np.dtype[np.float32]]"
    """Nats of each target, [windows, length]."""
    inputs: "np.ndarray[Any, np.dtype[np.int64]]"
    """[windows, length]"""
    targets: "np.ndarray[Any, np.dtype[np.int64]]"
    """The inputs one token later, [windows, length]."""
    token_bytes: list[bytes]
    """The bytes of every id: [vocabulary]."""
    protocol: str
    """The validation windows they are of; only equal ones compare token by token."""

    @cached_property
    def window_losses(self) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Mean loss of every window in nats per token, as evaluations/*.npy has it: [windows]."""
        means: np.ndarray[Any, np.dtype[np.float32]]
        means = self.losses.astype(np.float64).mean(axis=1).astype(np.float32)
        return means

    @cached_property
    def loss(self) -> float:
        """Mean over all tokens, nats per token."""
        return float(self.window_losses.astype(np.float64).mean())

    @cached_property
    def stderr(self) -> float:
        """Standard error of the loss over windows, nats per token."""
        windows = self.window_losses.astype(np.float64)
        return float(windows.std(ddof=1)) / math.sqrt(len(windows)) if len(windows) > 1 else 0.0

    @cached_property
    def ends(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Where each target ends in `text`, in bytes: [windows * length]."""
        sizes = np.array([len(token) for token in self.token_bytes], np.int64)
        ends: np.ndarray[Any, np.dtype[np.int64]] = self.start + sizes[self.targets.ravel()].cumsum()
        return ends

    @cached_property
    def start(self) -> int:
        """Where the first target begins in `text`: before it stands one token that nothing predicts."""
        return len(self.token_bytes[int(self.inputs[0, 0])])

    @cached_property
    def text(self) -> bytes:
        """The validation text, as far as windows cover it."""
        ids = [int(self.inputs[0, 0]), *self.targets.ravel().tolist()]
        return b"".join(self.token_bytes[id] for id in ids)

    @property
    def bytes(self) -> int:
        """How many bytes of text the targets stand for."""
        return int(self.ends[-1]) - self.start

    @property
    def bits_per_byte(self) -> float:
        """The loss in bits per byte of text."""
        return self.loss * self.losses.size / self.bytes / math.log(2)

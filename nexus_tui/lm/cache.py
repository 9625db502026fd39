"""What a model remembers of the tokens it has read, so that the next one costs one step of each layer."""

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from nexus_tui.lm.config import JambaConfig


@dataclass
class MambaState:
    """The memory of one Mamba layer, of a size that does not depend on the length read.

    `conv` [batch, kernel - 1, channel] holds the newest inputs of the convolution, oldest first;
    `ssm` [batch, channel, state] is the state of the recurrence, in 32 bits at least.
    """

    conv: Tensor
    ssm: Tensor

    def clone(self) -> Self:
        """A copy that shares nothing."""
        return type(self)(self.conv.clone(), self.ssm.clone())

    def reset(self) -> None:
        """Forget everything read."""
        self.conv = torch.zeros_like(self.conv)
        self.ssm = torch.zeros_like(self.ssm)


@dataclass
class AttentionState:
    """Keys and values of one attention layer: the first `length` of [batch, kv_head, capacity, head_dim]."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [batch, kv_head, new, head_dim]; return those of all tokens so far."""
        start, end = self.length, self.length + keys.shape[2]
        self.reserve(keys.shape[2])
        self.keys[:, :, start:end] = keys
        self.values[:, :, start:end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reserve(self, tokens: int) -> None:
        """Make room for more tokens, at least doubling it when there is too little."""
        batch, heads, capacity, head_dim = self.keys.shape
        if self.length + tokens <= capacity:
            return
        capacity = max(self.length + tokens, 2 * capacity)
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty(batch, heads, capacity, head_dim)
            new[:, :, : self.length] = old[:, :, : self.length]
            setattr(self, name, new)

    def clone(self) -> Self:
        """A copy that shares nothing."""
        return type(self)(self.keys.clone(), self.values.clone(), self.length)

    def reset(self) -> None:
        """Forget everything read, keep the room."""
        self.length = 0


@dataclass
class Cache:
    """The memory of every layer of a model, first to last, after `length` tokens of each row of a batch.

    A cache belongs to one sequence being read: do not share it between threads; `clone` it to branch.
    """

    config: JambaConfig
    batch: int = 1
    capacity: int = 256
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32
    length: int = 0
    layers: list[MambaState | AttentionState] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"A cache needs a batch of at least 1, not {self.batch}.")
        if not self.layers:
            self.layers = [self._empty(kind) for kind in self.config.layer_kinds]

    def _empty(self, kind: str) -> MambaState | AttentionState:
        config, device, dtype = self.config, self.device, self.dtype
        if kind == "mamba":
            conv = (self.batch, config.mamba_d_conv - 1, config.mamba_channels)
            ssm = (self.batch, config.mamba_channels, config.mamba_d_state)
            exact = torch.promote_types(dtype, torch.float32)  # a sum over the whole text
            return MambaState(
                torch.zeros(conv, device=device, dtype=dtype), torch.zeros(ssm, device=device, dtype=exact)
            )
        shape = (self.batch, config.num_key_value_heads, max(self.capacity, 1), config.head_dim)
        return AttentionState(
            torch.empty(shape, device=device, dtype=dtype), torch.empty(shape, device=device, dtype=dtype)
        )

    def clone(self) -> Self:
        """A copy that shares nothing: two continuations of the same text."""
        layers = [state.clone() for state in self.layers]
        return type(self)(
            self.config, self.batch, self.capacity, self.device, self.dtype, self.length, layers
        )

    def reset(self) -> None:
        """Forget every token."""
        self.length = 0
        for state in self.layers:
            state.reset()

"""Depthwise causal convolution along the length, then silu: the short filter in front of a selective scan."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["causal_conv_silu"]


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, initial: Tensor | None = None) -> Tensor:
    """silu(bias + Σ_j weight[:, j] x[:, t - kernel + 1 + j]).

    Args:
        x: inputs `[batch, length, channel]`; rows may be strided.
        weight: one filter a channel `[channel, kernel]`.
        bias: `[channel]`.
        initial: the inputs before the first `[batch, kernel - 1, channel]`, a constant; zero where absent.

    Returns:
        `[batch, length, channel]`.
    """
    batch, _, channel = x.shape
    kernel = weight.shape[1]
    before = x.new_zeros(batch, kernel - 1, channel) if initial is None else initial.detach()
    padded = torch.cat((before, x), dim=1).transpose(1, 2)
    return F.silu(F.conv1d(padded, weight[:, None], bias, groups=channel)).transpose(1, 2)

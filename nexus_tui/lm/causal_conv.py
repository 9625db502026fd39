"""Depthwise causal convolution along the length, then silu: the short filter in front of a selective scan."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["causal_conv_silu"]


def causal_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, initial: Tensor | None = None) -> Tensor:
    """silu(bias + Σ_j weight[:, j] x[:, t - kernel + 1 + j]).

    32-bit floating point on the CPU goes through a compiled kernel, as do 32 and 16 bits on a GPU; all else
    through torch's own convolution.

    Args:
        x: inputs `[batch, length, channel]`; may be a part of the channels of a wider tensor.
        weight: one filter a channel `[channel, kernel]`.
        bias: `[channel]`.
        initial: the inputs before the first, `[batch, kernel - 1, channel]`; zero where absent. They are
            constants: no gradient flows into them.

    Returns:
        `[batch, length, channel]`.
    """
    batch, _, channel = x.shape
    kernel = weight.shape[1]
    before = x.new_zeros(batch, kernel - 1, channel) if initial is None else initial.detach()
    if all(v.dtype == torch.float32 and v.device.type == "cpu" for v in (x, weight, bias, before)):
        from nexus_tui.lm import causal_conv_cpu

        return causal_conv_cpu.causal_conv_silu(x, weight, bias, before)
    if x.is_cuda and x.dtype != torch.float64:
        from nexus_tui.lm import causal_conv_cuda

        return causal_conv_cuda.causal_conv_silu(x, weight, bias, before)
    padded = torch.cat((before, x), dim=1).transpose(1, 2)
    return F.silu(F.conv1d(padded, weight[:, None], bias, groups=channel)).transpose(1, 2)

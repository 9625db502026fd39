"""Root-mean-square norm over the last dimension. Zhang and Sennrich, arXiv 1910.07467."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["rms_norm"]


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x²) + eps) · weight.

    32-bit floating point on the CPU goes through a compiled kernel, as do 32 and 16 bits on a GPU; all else
    through torch.

    Args:
        x: `[..., channel]`; may be a part of the channels of a wider tensor.
        weight: `[channel]`.
        eps: what keeps a row of zeros from dividing by zero.

    Returns:
        `[..., channel]`.
    """
    if all(v.dtype == torch.float32 and v.device.type == "cpu" for v in (x, weight)):
        from nexus_tui.lm import rms_norm_cpu

        return rms_norm_cpu.rms_norm(x, weight, eps)
    if x.is_cuda and x.dtype != torch.float64:
        from nexus_tui.lm import rms_norm_cuda

        return rms_norm_cuda.rms_norm(x, weight, eps)
    return F.rms_norm(x, weight.shape, weight, eps)

"""SwiGLU's gate: silu of one projection times another. Shazeer, arXiv 2002.05202."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["swiglu"]


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up, number by number.

    32-bit floating point on the CPU goes through a compiled kernel, as do 32 and 16 bits on a GPU; all else
    through torch.

    Args:
        gate: `[...]`.
        up: of the same shape.

    Returns:
        `[...]`.
    """
    if all(x.dtype == torch.float32 and x.device.type == "cpu" for x in (gate, up)):
        from nexus_tui.lm import swiglu_cpu

        if gate.numel() >= swiglu_cpu.LEAST:
            return swiglu_cpu.swiglu(gate, up)
    if gate.is_cuda and gate.dtype != torch.float64:
        from nexus_tui.lm import swiglu_cuda

        return swiglu_cuda.swiglu(gate, up)
    return F.silu(gate) * up

"""The selective scan: one signature, three implementations.

`reference` is the definition. `cpu` is compiled by Numba and `cuda` by Triton, each imported at its first
scan and not before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nexus_tui.lm.selective_scan import reference

__all__ = ["selective_scan", "warm_up"]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Scan `u` along its length; `reference.selective_scan` gives the equations, shapes and returned values.

    32-bit floating point on the CPU goes through the compiled kernel, as do 32 and 16 bits on a GPU; all else
    through the reference.
    """
    operands = (u, delta, A, B, C, D, z, delta_bias)
    if all(x.dtype == torch.float32 and x.device.type == "cpu" for x in operands):
        from nexus_tui.lm.selective_scan import cpu

        return cpu.selective_scan(u, delta, A, B, C, D, z, delta_bias, initial_state)
    if all(x.is_cuda and x.dtype != torch.float64 for x in operands):
        from nexus_tui.lm.selective_scan import cuda

        return cuda.selective_scan(u, delta, A, B, C, D, z, delta_bias, initial_state)
    return reference.selective_scan(u, delta, A, B, C, D, z, delta_bias, initial_state)


def warm_up() -> None:
    """Compile every CPU kernel of a training step, or load them from the cache.

    Once on a machine it takes some seconds that the first training step need not wait for.
    """
    from nexus_tui.lm import causal_conv_cpu, rms_norm_cpu, swiglu_cpu
    from nexus_tui.lm.selective_scan import cpu

    for kernels in (cpu, causal_conv_cpu, rms_norm_cpu, swiglu_cpu):
        kernels.warm_up()

"""The selective scan as it is defined (Mamba, arXiv 2312.00752, algorithm 2), in plain torch.

Every other implementation is compared with this one. It is slow (one torch call per position and operation)
and keeps the state of every position for autograd.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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
    """Scan `u` along its length with input-dependent step sizes, then gate it by `z`.

        dt_t = softplus(delta_t + delta_bias)
        h_t  = exp(dt_t A) h_{t-1} + dt_t u_t B_t
        y_t  = (h_t · C_t + D u_t) silu(z_t)

    Args:
        u: inputs `[batch, length, channel]`.
        delta: step sizes before bias and softplus `[batch, length, channel]`.
        A: state matrix, diagonal, negative `[channel, state]`.
        B: input matrix of every position `[batch, length, state]`.
        C: output matrix of every position `[batch, length, state]`.
        D: skip connection `[channel]`.
        z: gate before its silu `[batch, length, channel]`.
        delta_bias: `[channel]`.
        initial_state: the state before the first position `[batch, channel, state]`; zero where absent. It is
            a constant: no gradient flows into it.

    Returns:
        The outputs `[batch, length, channel]`, as exact as `u`, and, detached, the state after the last
        position `[batch, channel, state]`, as exact as the initial one.
    """
    batch, length, channel = u.shape
    dt = F.softplus(delta + delta_bias)
    state = u.new_zeros(batch, channel, A.shape[1]) if initial_state is None else initial_state.detach()
    outputs = []
    for t in range(length):
        decay = torch.exp(dt[:, t, :, None] * A)
        state = decay * state + (dt[:, t] * u[:, t])[:, :, None] * B[:, t, None, :]
        outputs.append((state * C[:, t, None, :]).sum(-1) + D * u[:, t])
    return (torch.stack(outputs, dim=1) * F.silu(z)).to(u.dtype), state.detach()

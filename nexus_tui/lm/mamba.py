"""The selective state-space mixer of Mamba, with Jamba's norms on dt, B and C."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.lm.cache import MambaState
from nexus_tui.lm.causal_conv import causal_conv_silu
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.layers import RMSNorm
from nexus_tui.lm.selective_scan import selective_scan


class Convolution(nn.Module):
    """The parameters of a depthwise convolution, in the shapes of every Mamba checkpoint."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel))
        self.bias = nn.Parameter(torch.empty(channels))


class Mamba(nn.Module):
    """h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t, y_t = (C_t · h_t + D u_t) silu(z_t).

    u and z are two projections of the input, u through a short causal convolution; dt, B and C depend on u,
    which makes the recurrence selective. Gu and Dao, arXiv 2312.00752; the norms of dt, B and C: Lieber et
    al., arXiv 2403.19887.
    """

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        channels, states, rank = config.mamba_channels, config.mamba_d_state, config.mamba_dt_rank
        self.split = [rank, states, states]
        self.in_proj = nn.Linear(config.hidden_size, 2 * channels, bias=False)
        self.conv1d = Convolution(channels, config.mamba_d_conv)
        self.x_proj = nn.Linear(channels, sum(self.split), bias=False)
        self.dt_proj = nn.Linear(rank, channels, bias=True)
        self.A_log = nn.Parameter(torch.empty(channels, states))
        self.D = nn.Parameter(torch.empty(channels))
        self.out_proj = nn.Linear(channels, config.hidden_size, bias=False)
        self.dt_layernorm = RMSNorm(rank, config.rms_norm_eps)
        self.b_layernorm = RMSNorm(states, config.rms_norm_eps)
        self.c_layernorm = RMSNorm(states, config.rms_norm_eps)

    def forward(self, x: Tensor, state: MambaState | None = None) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]; with a state, the tokens follow those in it."""
        if state is not None and x.shape[1] == 1:
            return self.step(x[:, 0], state).unsqueeze(1)
        # Two products, not one cut in two: the backward pass then joins weights, not the longer activations.
        u, z = (F.linear(x, weight) for weight in self.in_proj.weight.chunk(2))
        weight = self.conv1d.weight.squeeze(1)
        history = None if state is None else state.conv
        if state is not None:
            state.conv = torch.cat([state.conv, u], dim=1)[:, u.shape[1] :].clone()
        u = causal_conv_silu(u, weight, self.conv1d.bias, history)
        delta, B, C = self._selection(u)
        initial = None if state is None else state.ssm
        A = -torch.exp(self.A_log)
        y, last = selective_scan(u, delta, A, B, C, self.D, z, self.dt_proj.bias, initial)
        if state is not None:
            state.ssm = last
        return self.out_proj(y)  # type: ignore[no-any-return]

    def _selection(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From u [..., channel]: dt before bias and softplus [..., channel], B and C [..., state]."""
        dt, B, C = self.x_proj(u).split(self.split, dim=-1)
        delta = F.linear(self.dt_layernorm(dt), self.dt_proj.weight)
        return delta, self.b_layernorm(B), self.c_layernorm(C)

    def step(self, x: Tensor, state: MambaState) -> Tensor:
        """One token [batch, hidden] -> [batch, hidden]: the recurrence as it is written, without a kernel.

        As exact as the state, which may be more so than the weights.
        """
        u, z = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.conv, u.unsqueeze(1)], dim=1)  # [batch, kernel, channel]
        state.conv = window[:, 1:]
        u = F.silu(torch.einsum("bkc,ck->bc", window, self.conv1d.weight.squeeze(1)) + self.conv1d.bias)
        exact = state.ssm.dtype
        delta, B, C = (selected.to(exact) for selected in self._selection(u))
        u, D = u.to(exact), self.D.to(exact)
        dt = F.softplus(delta + self.dt_proj.bias.to(exact))
        decay = torch.exp(dt.unsqueeze(-1) * -torch.exp(self.A_log.to(exact)))
        state.ssm = torch.addcmul(decay * state.ssm, (dt * u).unsqueeze(-1), B.unsqueeze(1))
        y = torch.addcmul((state.ssm @ C.unsqueeze(-1)).squeeze(-1), D, u)
        return self.out_proj((y * F.silu(z)).to(x.dtype))  # type: ignore[no-any-return]

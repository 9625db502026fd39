"""Grouped-query attention without positions: in a hybrid the Mamba layers know the order."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.lm.cache import AttentionState
from nexus_tui.lm.config import JambaConfig

MASK = 1 << 20
"""Entries of a mask at a time: new tokens see a long past in parts."""


class Attention(nn.Module):
    """Causal grouped-query attention. Ainslie et al., arXiv 2305.13245; Lieber et al., arXiv 2403.19887."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.kv_heads = config.num_key_value_heads
        self.head_dim = config.head_dim
        kv_channels = self.kv_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_channels, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_channels, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor, state: AttentionState | None = None) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]; with a state, the tokens follow those in it."""
        batch, length, _ = x.shape
        # [batch, head, length, head_dim] as views: no copy
        query = self.q_proj(x).view(batch, length, self.heads, self.head_dim).transpose(1, 2)
        key = self.k_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        value = self.v_proj(x).view(batch, length, self.kv_heads, self.head_dim).transpose(1, 2)
        if state is not None:
            key, value = state.append(key, value)
        y = self._newest(query, key, value) if length == 1 else self._causal(query, key, value)
        return self.o_proj(y)  # type: ignore[no-any-return]

    def _newest(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """One query sees every key. The heads that share keys stand as its positions: nothing is repeated."""
        batch = query.shape[0]
        query = query.reshape(batch, self.kv_heads, self.heads // self.kv_heads, self.head_dim)
        return F.scaled_dot_product_attention(query, key, value).reshape(batch, 1, -1)

    def _causal(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The newest queries over all keys: each query sees the keys up to its own position."""
        batch, _, new, _ = query.shape
        past = key.shape[2] - new
        if not past:
            y = self._over(query, key, value)
        else:
            size, parts = max(64, MASK // key.shape[2]), []
            for start in range(0, new, size):
                part = query[:, :, start : start + size]
                end = past + start + part.shape[2]
                parts.append(self._over(part, key[:, :, :end], value[:, :, :end]))
            y = torch.cat(parts, dim=2)
        return y.transpose(1, 2).reshape(batch, new, -1)

    def _over(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As `_causal`, [batch, head, new, head_dim], with a mask in one piece."""
        new, total = query.shape[2], key.shape[2]
        mask = None
        if total > new:
            mask = torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, enable_gqa=self.heads != self.kv_heads
        )

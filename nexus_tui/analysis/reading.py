"""Reading some windows with a model and watching: hooks on its modules, nothing in the model itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.analysis.inside import (
    QUANTILES,
    AttentionInside,
    Inside,
    MambaInside,
    Spread,
    layer_inside,
)
from nexus_tui.analysis.token_losses import Progress
from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import Cache, MambaState
from nexus_tui.lm.hybrid import AttentionBlock, HybridLM, MambaBlock
from nexus_tui.lm.mamba import Mamba

_TOKENS_AT_ONCE = 1024
"""Few, so that a wish to cancel is heard soon."""
_DT_VALUES = 1 << 22
"""Step sizes of a layer that are kept for their quantiles; of more, every second, third … token's."""

Windows = np.ndarray[tuple[int, int], np.dtype[np.int64]]


def read(model: HybridLM, windows: Windows, progress: Progress | None = None) -> Inside:
    """Read windows of token ids [windows, length], each from a cold state, and say what was seen."""
    count, length = windows.shape
    stack = model.model
    blocks = [_Block(layer) for layer in stack.layers]
    mixers = [_watch(layer, windows.size) for layer in stack.layers]
    embedding = _Mean()
    at_once = max(1, _TOKENS_AT_ONCE // length)
    with ExitStack() as hooks, torch.inference_mode():
        for watcher in (*blocks, *mixers):
            for module, hook in watcher.hooks():
                hooks.callback(module.register_forward_hook(hook).remove)
        hooks.callback(
            stack.embed_tokens.register_forward_hook(lambda _m, _i, out: embedding.add(_norms(out))).remove
        )
        for start in range(0, count, at_once):
            part = torch.from_numpy(windows[start : start + at_once])
            # With a cache, the state at the end of the windows is there to be looked at.
            memory = Cache(model.config, batch=len(part), capacity=length)
            model.model(part, memory)
            for mixer, state in zip(mixers, memory.layers, strict=True):
                if isinstance(mixer, _WatchedMamba) and isinstance(state, MambaState):
                    mixer.ended(state.ssm)
            if progress:
                progress(min(start + at_once, count), count)
    layers = [
        layer_inside(at, block.residual.value, block.added.value, mixer.found(length))
        for at, (block, mixer) in enumerate(zip(blocks, mixers, strict=True))
    ]
    return Inside(count, length, embedding.value, tuple(layers))


Hook = Callable[[nn.Module, Any, Tensor], None]


class _Mean:
    """A mean over values that come in parts, in 64-bit floating point."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def add(self, values: Tensor) -> None:
        self._sum += float(values.double().sum())
        self._count += values.numel()

    @property
    def value(self) -> float:
        return self._sum / self._count


def _norms(x: Tensor) -> Tensor:
    """Euclidean norm of every token: [batch, length, hidden] -> [batch, length]."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=-1)
    return norms


class _Block:
    """The residual stream behind a block."""

    def __init__(self, block: nn.Module) -> None:
        self._block = block
        self.residual = _Mean()
        self.added = _Mean()

    def hooks(self) -> list[tuple[nn.Module, Hook]]:
        return [(self._block, self._after)]

    def _after(self, _: nn.Module, inputs: Any, output: Tensor) -> None:
        self.residual.add(_norms(output))
        self.added.add(_norms(output - inputs[0]))


def _watch(block: nn.Module, tokens: int) -> _WatchedMamba | _WatchedAttention:
    """`tokens` will be read in all."""
    if isinstance(block, MambaBlock):
        return _WatchedMamba(block.mamba, tokens)
    assert isinstance(block, AttentionBlock)
    return _WatchedAttention(block.self_attn)


class _WatchedMamba:
    """Step sizes and states of a Mamba mixer."""

    def __init__(self, mixer: Mamba, tokens: int) -> None:
        self._mixer = mixer
        self._every = max(1, math.ceil(tokens * mixer.D.numel() / _DT_VALUES))
        self._dt: list[np.ndarray[Any, Any]] = []
        self._sum = torch.zeros(mixer.D.numel(), dtype=torch.float64)
        self._tokens = 0
        self._state = _Mean()

    def hooks(self) -> list[tuple[nn.Module, Hook]]:
        return [(self._mixer.dt_layernorm, self._stepped)]

    def _stepped(self, _: nn.Module, _inputs: Any, rank: Tensor) -> None:
        """From what the projection to dt reads, [batch, length, rank]."""
        dt = F.softplus(F.linear(rank, self._mixer.dt_proj.weight, self._mixer.dt_proj.bias)).flatten(0, -2)
        self._sum += dt.double().sum(0)
        self._tokens += len(dt)
        self._dt.append(dt[:: self._every].numpy().copy())

    def ended(self, state: Tensor) -> None:
        """The state after the last token, [batch, channel, state]."""
        self._state.add(state.double().square().mean((1, 2)).sqrt())

    def found(self, length: int) -> MambaInside:
        mean = (self._sum / self._tokens).numpy()
        decay = mean[:, None] * np.exp(self._mixer.A_log.detach().double().numpy())
        with np.errstate(divide="ignore"):
            memory = 1 / decay
        return MambaInside(
            state=self._state.value,
            dt=_spread(np.concatenate(self._dt)),
            memory=_spread(memory),
            beyond=float((memory > length).mean()),
        )


class _WatchedAttention:
    """Where the heads of an attention mixer look."""

    def __init__(self, mixer: Attention) -> None:
        self._mixer = mixer
        self._query: Tensor
        self._sum = torch.zeros(mixer.heads, dtype=torch.float64)
        self._windows = 0

    def hooks(self) -> list[tuple[nn.Module, Hook]]:
        # k_proj is called after q_proj.
        return [(self._mixer.q_proj, self._asked), (self._mixer.k_proj, self._looked)]

    def _asked(self, _: nn.Module, _inputs: Any, query: Tensor) -> None:
        self._query = query

    def _looked(self, _: nn.Module, _inputs: Any, key: Tensor) -> None:
        mixer = self._mixer
        future = torch.ones(key.shape[1], key.shape[1], dtype=torch.bool).triu(1)
        group = mixer.heads // mixer.kv_heads
        for queries, keys in zip(self._query, key, strict=True):  # a window at a time, for the memory's sake
            for head in range(mixer.heads):
                q = queries.view(-1, mixer.heads, mixer.head_dim)[:, head]
                k = keys.view(-1, mixer.kv_heads, mixer.head_dim)[:, head // group]
                scores = (q @ k.T / math.sqrt(mixer.head_dim)).masked_fill_(future, -math.inf)
                log = scores.log_softmax(-1)
                self._sum[head] -= (log.exp() * log.masked_fill(future, 0)).double().sum()
        self._windows += len(key)

    def found(self, length: int) -> AttentionInside:
        tokens = self._windows * length
        entropy = (self._sum / tokens).tolist()
        even = math.fsum(math.log(t) for t in range(1, length + 1)) / length
        return AttentionInside(tuple(entropy), tuple(each / even if even else 0.0 for each in entropy))


def _spread(values: np.ndarray[Any, Any]) -> Spread:
    return Spread(*np.quantile(values.astype(np.float64), QUANTILES).tolist())

"""A model's weights and a text's memory as the compiled step of one token takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import Cache, MambaState
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.mamba import Mamba
from nexus_tui.lm.selective_scan.tiles import LANES, ROWS
from nexus_tui.lm.step.vectors import PANEL, Sizes, padded

if TYPE_CHECKING:
    from nexus_tui.lm.hybrid import HybridLM


def sizes(config: JambaConfig) -> Sizes:
    """What the step must know of an architecture."""
    hidden, feed, channels = (
        padded(size) for size in (config.hidden_size, config.intermediate_size, config.mamba_channels)
    )
    states = padded(config.mamba_d_state, ROWS)
    shared = padded(config.num_key_value_heads * config.head_dim)
    return Sizes(
        hidden=config.hidden_size,
        hidden_padded=hidden,
        feed=config.intermediate_size,
        feed_padded=feed,
        channels=config.mamba_channels,
        channels_padded=channels,
        states=config.mamba_d_state,
        states_padded=states,
        rank=config.mamba_dt_rank,
        selected_padded=padded(config.mamba_dt_rank + 2 * config.mamba_d_state),
        taps=config.mamba_d_conv,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        head_padded=padded(config.head_dim, LANES),
        vocabulary_padded=padded(config.vocab_size),
        wide=max(2 * feed, 2 * channels, hidden + 2 * shared),
        recurrent=config.layer_kinds.count("mamba") * (config.mamba_d_conv - 1 + states) * channels,
        eps=config.rms_norm_eps,
    )


class Packed:
    """A copy of a model's weights, in the order and the panels in which the step reads them."""

    @torch.inference_mode()
    def __init__(self, model: HybridLM) -> None:
        self.sizes = sizes(model.config)
        self.attends = np.array([kind == "attention" for kind in model.config.layer_kinds])
        self.embedding: NDArray[np.float32] = model.model.embed_tokens.weight.detach().numpy()
        self.weights = _joined(list(self._parts(model)))

    def _parts(self, model: HybridLM) -> Iterator[Tensor]:
        layers: Any = model.model.layers
        for layer in layers:
            yield _vector(layer.input_layernorm.weight)
            yield from self._mamba(layer.mamba) if hasattr(layer, "mamba") else _attention(layer.self_attn)
            yield _vector(layer.pre_ff_layernorm.weight)
            mlp = layer.feed_forward
            yield from map(_panels, (mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight))
        yield _vector(model.model.final_layernorm.weight)
        yield _panels(model.lm_head.weight)

    def _mamba(self, layer: Mamba) -> Iterator[Tensor]:
        yield from map(_panels, layer.in_proj.weight.chunk(2))
        yield from map(_vector, layer.conv1d.weight[:, 0].t())
        yield _vector(layer.conv1d.bias)
        yield _panels(layer.x_proj.weight)
        for norm in (layer.dt_layernorm, layer.b_layernorm, layer.c_layernorm):
            yield _vector(norm.weight)
        yield _panels(layer.dt_proj.weight)
        yield _vector(layer.dt_proj.bias)
        rates = torch.zeros(self.sizes.states_padded, len(layer.D))
        rates[: self.sizes.states] = layer.A_log.t().exp() * -math.log2(math.e)
        yield from map(_vector, rates)
        yield _vector(layer.D)
        yield _panels(layer.out_proj.weight)


def _attention(layer: Attention) -> Iterator[Tensor]:
    for product in (layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj):
        yield _panels(product.weight)


def _vector(x: Tensor) -> Tensor:
    """Numbers, padded to whole panels."""
    return torch.nn.functional.pad(x.detach(), (0, padded(len(x)) - len(x)))


def _panels(weight: Tensor) -> Tensor:
    """A weight [out, in] as [panel, in, PANEL], padded with outputs that are 0."""
    outputs, inputs = weight.shape
    weight = torch.nn.functional.pad(weight.detach(), (0, 0, 0, padded(outputs) - outputs))
    return weight.view(-1, PANEL, inputs).transpose(1, 2)


def _joined(parts: list[Tensor]) -> NDArray[np.float32]:
    """All numbers one after the other."""
    joined, at = _aligned(sum(part.numel() for part in parts)), 0
    for part in parts:
        torch.from_numpy(joined[at : at + part.numel()]).view(part.shape).copy_(part)
        at += part.numel()
    return joined


def _aligned(size: int) -> NDArray[np.float32]:
    """Zeros that start on a cache line: vectors that straddle two cost twice."""
    buffer = np.zeros(size + 16, np.float32)
    skip = (-buffer.ctypes.data % 64) // 4
    return buffer[skip : skip + size]


class Memory:
    """What is remembered of one text that was read into a cache, as one array.

    First what all Mamba layers remember: the newest inputs of the convolution [tap - 1, channel] and the
    state [state, channel]. Then the attention layers' keys [kv_head, channel, room] and values [kv_head,
    room, channel], with room for so many positions: they alone grow, when it is used up.
    """

    def __init__(self, cache: Cache, room: int) -> None:
        self.length = cache.length
        self.room = padded(max(room, cache.length + 1))
        self._config, self._sizes = cache.config, sizes(cache.config)
        self.numbers = self._empty()
        for (first, second), state in zip(self._layers(), cache.layers, strict=True):
            if isinstance(state, MambaState):
                _put(first, state.conv[0])
                _put(second, state.ssm[0].t())
            else:
                _put(first, state.keys[0, :, : state.length].transpose(1, 2))
                _put(second, state.values[0, :, : state.length])

    def reserve(self) -> None:
        """Make room for one more position, twice as many when there is none."""
        if self.length < self.room:
            return
        old = self._layers()
        self.room *= 2
        self.numbers = self._empty()
        for news, olds in zip(self._layers(), old, strict=True):
            for new, before in zip(news, olds, strict=True):
                _put(new, before)

    def _empty(self) -> NDArray[np.float32]:
        size = self._sizes
        layers = self._config.layer_kinds.count("attention")
        return _aligned(
            size.recurrent + layers * self.room * size.kv_heads * (size.head_dim + size.head_padded)
        )

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """The two arrays of each layer."""
        size, at = self._sizes, 0
        shapes = {
            "mamba": ((size.taps - 1, size.channels_padded), (size.states_padded, size.channels_padded)),
            "attention": (
                (size.kv_heads, size.head_dim, self.room),
                (size.kv_heads, self.room, size.head_padded),
            ),
        }
        found: list[list[Tensor]] = [[] for _ in self._config.layer_kinds]
        for kind in ("mamba", "attention"):
            for layer, own in enumerate(self._config.layer_kinds):
                for shape in shapes[kind] if own == kind else ():
                    count = math.prod(shape)
                    found[layer].append(torch.from_numpy(self.numbers[at : at + count]).view(shape))
                    at += count
        return [(first, second) for first, second in found]


def _put(array: Tensor, numbers: Tensor) -> None:
    """Copy into the first places of every dimension."""
    array[tuple(slice(length) for length in numbers.shape)] = numbers

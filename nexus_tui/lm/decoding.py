"""One token through a whole model with the compiled steps, where they can be used."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import nexus_tui.lm.selective_scan.cpu  # noqa: F401 - decides where Numba keeps what it compiles
from nexus_tui.lm import token_step
from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import Cache, MambaState
from nexus_tui.lm.mamba import Mamba

if TYPE_CHECKING:
    from nexus_tui.lm.hybrid import HybridLM


def read_token(model: "HybridLM", ids: Tensor, cache: Cache) -> Tensor:
    """Logits [1, 1, vocab] after one more token [1, 1]; the cache is advanced. For float32 on the CPU."""
    eps = model.config.rms_norm_eps
    x = model.model.embed_tokens(ids)[0, 0].numpy()
    weights = _weights_of(model, cache)
    for (mixer, feed_forward), state in zip(weights.layers, cache.layers, strict=True):
        if isinstance(state, MambaState):
            # the step writes into these; what a scan returns may be a transposed view
            state.conv, state.ssm = state.conv.contiguous(), state.ssm.contiguous()
            token_step.mamba(x, *mixer, state.conv[0].numpy(), state.ssm[0].numpy(), eps)
        else:
            state.reserve(1)
            token_step.attention(x, *mixer, state.keys[0].numpy(), state.values[0].numpy(), state.length, eps)
            state.length += 1
        token_step.feed_forward(x, *feed_forward, eps)
    cache.length += 1
    return torch.from_numpy(token_step.head(x, *weights.head, eps)).view(1, 1, -1)


@torch.inference_mode()
def warm_up(model: "HybridLM") -> None:
    """Compile what a token of this model needs, or load it from the cache: seconds, once a machine."""
    read_token(model, torch.zeros(1, 1, dtype=torch.int64), Cache(model.config, capacity=1))


@dataclass(frozen=True)
class _Weights:
    """A model's weights as the steps take them: arrays over the same memory."""

    model: "HybridLM"
    layers: list[tuple[list[Any], list[Any]]]
    """Of each layer: the mixer's and the feed forward's, each with the norm before it."""
    head: list[Any]


def _weights_of(model: "HybridLM", cache: Cache) -> _Weights:
    """The weights, looked up once for each text: a hundred tensors cost an eighth of a token's time."""
    known = cache.weights
    if not isinstance(known, _Weights) or known.model is not model:
        layers: Iterable[Any] = model.model.layers
        head = [_array(model.model.final_layernorm.weight), _array(model.lm_head.weight)]
        known = cache.weights = _Weights(model, [_layer(layer) for layer in layers], head)
    return known


def _layer(layer: Any) -> tuple[list[Any], list[Any]]:
    mixer = _mamba(layer.mamba) if hasattr(layer, "mamba") else _attention(layer.self_attn)
    mlp = layer.feed_forward
    return (
        [_array(layer.input_layernorm.weight), *mixer],
        [_array(layer.pre_ff_layernorm.weight), *_arrays(mlp.gate_proj, mlp.up_proj, mlp.down_proj)],
    )


def _mamba(layer: Mamba) -> list[Any]:
    return [
        _array(layer.in_proj.weight), _array(layer.conv1d.weight)[:, 0], _array(layer.conv1d.bias),
        *_arrays(layer.x_proj, layer.dt_layernorm, layer.b_layernorm, layer.c_layernorm, layer.dt_proj),
        *(_array(p) for p in (layer.dt_proj.bias, layer.A_log, layer.D, layer.out_proj.weight)),
    ]  # fmt: skip


def _attention(layer: Attention) -> list[Any]:
    return _arrays(layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj)


def _arrays(*layers: nn.Module) -> list[Any]:
    return [_array(layer.weight) for layer in layers]


def _array(parameter: Any) -> Any:
    return parameter.detach().numpy()

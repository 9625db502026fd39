"""One token through a whole model with the compiled steps, where they can be used."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import nexus_tui.lm.selective_scan.cpu  # noqa: F401 - decides where Numba keeps what it compiles
from nexus_tui.lm import token_step
from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import AttentionState, Cache, MambaState
from nexus_tui.lm.mamba import Mamba

if TYPE_CHECKING:
    from nexus_tui.lm.hybrid import HybridLM


def read_token(model: "HybridLM", ids: Tensor, cache: Cache) -> Tensor:
    """Logits [1, 1, vocab] after one more token [1, 1]; the cache is advanced. For float32 on the CPU."""
    stack, eps = model.model, model.config.rms_norm_eps
    x = stack.embed_tokens(ids)[0, 0].numpy()
    layers: Iterable[Any] = stack.layers
    for layer, state in zip(layers, cache.layers, strict=True):
        norm = _array(layer.input_layernorm.weight)
        if isinstance(state, MambaState):
            _read_mamba(x, norm, layer.mamba, state, eps)
        else:
            _read_attention(x, norm, layer.self_attn, state, eps)
        norm, mlp = _array(layer.pre_ff_layernorm.weight), layer.feed_forward
        token_step.feed_forward(x, norm, *_weights(mlp.gate_proj, mlp.up_proj, mlp.down_proj), eps)
    cache.length += 1
    norm = _array(stack.final_layernorm.weight)
    return torch.from_numpy(token_step.head(x, norm, _array(model.lm_head.weight), eps)).view(1, 1, -1)


@torch.inference_mode()
def warm_up(model: "HybridLM") -> None:
    """Compile what a token of this model needs, or load it from the cache: seconds, once a machine."""
    read_token(model, torch.zeros(1, 1, dtype=torch.int64), Cache(model.config, capacity=1))


def _read_mamba(x: Any, norm: Any, layer: Mamba, state: MambaState, eps: float) -> None:
    # the step writes into these; what a scan returns may be a transposed view
    state.conv, state.ssm = state.conv.contiguous(), state.ssm.contiguous()
    token_step.mamba(
        x, norm, _array(layer.in_proj.weight), _array(layer.conv1d.weight)[:, 0], _array(layer.conv1d.bias),
        *_weights(layer.x_proj, layer.dt_layernorm, layer.b_layernorm, layer.c_layernorm, layer.dt_proj),
        *(_array(p) for p in (layer.dt_proj.bias, layer.A_log, layer.D, layer.out_proj.weight)),
        state.conv[0].numpy(), state.ssm[0].numpy(), eps,
    )  # fmt: skip


def _read_attention(x: Any, norm: Any, layer: Attention, state: AttentionState, eps: float) -> None:
    state.reserve(1)
    token_step.attention(
        x, norm, *_weights(layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj),
        state.keys[0].numpy(), state.values[0].numpy(), state.length, eps,
    )  # fmt: skip
    state.length += 1


def _weights(*layers: nn.Module) -> list[Any]:
    return [_array(layer.weight) for layer in layers]


def _array(parameter: Any) -> Any:
    return parameter.detach().numpy()

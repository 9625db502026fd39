"""The hybrid model once more, in numpy's 64-bit floating point and straight from its equations.

Knows nothing of nexus_tui.lm: the tensors of model.safetensors and the sizes in config.json are all it takes.
It returns what the analysis reports, unreduced, so that a test reduces it in its own way.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass
class Seen:
    """What one block did with windows [windows, length]."""

    before: Array
    """The residual stream before it: [windows, length, hidden]."""
    after: Array
    dt: Array = field(default_factory=lambda: np.empty(0))
    """[windows, length, channel]"""
    state: Array = field(default_factory=lambda: np.empty(0))
    """After the last token: [windows, channel, state]."""
    weights: Array = field(default_factory=lambda: np.empty(0))
    """Of attention: [windows, head, length, length]."""


def run(
    tensors: dict[str, Array], config: dict[str, Any], ids: np.ndarray[Any, Any]
) -> tuple[list[Seen], Array]:
    """Read token ids [windows, length] from a cold state; the blocks and the logits."""
    x = tensors["model.embed_tokens.weight"][ids]
    eps = config["rms_norm_eps"]
    seen = []
    for layer in range(config["num_hidden_layers"]):
        own = f"model.layers.{layer}."
        w = {name.removeprefix(own): tensor for name, tensor in tensors.items() if name.startswith(own)}
        normed = _rms(x, w["input_layernorm.weight"], eps)
        attends = layer % config["attn_layer_period"] == config["attn_layer_offset"]
        out, block = (_attention if attends else _mamba)(normed, w, config)
        block.before = x
        x = x + out
        normed = _rms(x, w["pre_ff_layernorm.weight"], eps)
        gate = normed @ w["feed_forward.gate_proj.weight"].T
        up = normed @ w["feed_forward.up_proj.weight"].T
        x = x + (_silu(gate) * up) @ w["feed_forward.down_proj.weight"].T
        block.after = x
        seen.append(block)
    x = _rms(x, tensors["model.final_layernorm.weight"], eps)
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    return seen, x @ head.T


def losses(logits: Array, targets: np.ndarray[Any, Any]) -> Array:
    """Cross entropy of every target in nats: [windows, length]."""
    top = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(-1)) + top[..., 0]
    return total - np.take_along_axis(logits, targets[..., None], -1)[..., 0]


def _rms(x: Array, weight: Array, eps: float) -> Array:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _mamba(x: Array, w: dict[str, Array], config: dict[str, Any]) -> tuple[Array, Seen]:
    w = {name.removeprefix("mamba."): tensor for name, tensor in w.items()}
    windows, length, _ = x.shape
    channels = w["D"].size
    both = x @ w["in_proj.weight"].T
    u, z = both[..., :channels], both[..., channels:]
    kernel = w["conv1d.weight"][:, 0]
    convolved = np.zeros_like(u)
    for t in range(length):
        for back in range(kernel.shape[1]):
            if t >= back:
                convolved[:, t] += kernel[:, kernel.shape[1] - 1 - back] * u[:, t - back]
    u = _silu(convolved + w["conv1d.bias"])
    rank, states = config["mamba_dt_rank"], config["mamba_d_state"]
    projected, eps = u @ w["x_proj.weight"].T, config["rms_norm_eps"]
    B = _rms(projected[..., rank : rank + states], w["b_layernorm.weight"], eps)
    C = _rms(projected[..., rank + states :], w["c_layernorm.weight"], eps)
    step = _rms(projected[..., :rank], w["dt_layernorm.weight"], eps)
    dt = np.log1p(np.exp(step @ w["dt_proj.weight"].T + w["dt_proj.bias"]))
    A = -np.exp(w["A_log"])
    h = np.zeros((windows, channels, states))
    y = np.zeros_like(u)
    for t in range(length):
        for state in range(states):
            h[:, :, state] *= np.exp(dt[:, t] * A[:, state])
            h[:, :, state] += dt[:, t] * u[:, t] * B[:, t, state, None]
            y[:, t] += h[:, :, state] * C[:, t, state, None]
    y = (y + w["D"] * u) * _silu(z)
    return y @ w["out_proj.weight"].T, Seen(x, x, dt=dt, state=h)


def _attention(x: Array, w: dict[str, Array], config: dict[str, Any]) -> tuple[Array, Seen]:
    windows, length, hidden = x.shape
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = hidden // heads
    q, k, v = (x @ w[f"self_attn.{name}_proj.weight"].T for name in "qkv")
    weights = np.zeros((windows, heads, length, length))
    out = np.zeros_like(x)
    for window in range(windows):
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            shared = head // (heads // kv_heads)
            its = slice(shared * size, (shared + 1) * size)
            for t in range(length):
                scores = np.array([q[window, t, own] @ k[window, s, its] for s in range(t + 1)])
                scores = np.exp((scores - scores.max()) / math.sqrt(size))
                weights[window, head, t, : t + 1] = scores / scores.sum()
                out[window, t, own] = weights[window, head, t, : t + 1] @ v[window, : t + 1, its]
    return out @ w["self_attn.o_proj.weight"].T, Seen(x, x, weights=weights)

"""Reading one token, compiled for the CPU: what sampling does once for every token that it draws.

A single token is matrices times vectors: the time is that of reading the weights once from memory. Torch runs
hundreds of small operations for it, many of which wake its thread pool; while that pool trains, a token then
waits for dozens of turns. Here a token is a few calls on the calling thread, without the interpreter lock.

The mathematics is that of `Mamba`, `Attention`, `FeedForward` and `RMSNorm`, which the tests compare. Every
function adds to the residual stream `x` [hidden] in place and advances the memory that it is given.
"""

import math
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np

# Sums may be taken in any order (vectors need that), but a number that is none must stay visible: no "nnan".
_OPTIONS: Any = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}


def _jit(function: Callable[..., Any]) -> Any:
    try:
        return nb.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder can be written: compile in every process
        return nb.njit(**_OPTIONS)(function)


_ONE = np.float32(1)
_LOG2E = np.float32(math.log2(math.e))


@_jit
def _exp(x: Any) -> Any:
    """e^x to 4e-6 relative, between e^-87 and e^87; plain enough for LLVM to make vectors of."""
    power = min(max(x * _LOG2E, np.float32(-126)), np.float32(126))
    whole = np.int32(power + np.float32(512.5)) - np.int32(512)  # truncation rounds a positive number
    f = power - np.float32(whole)
    # 2^f = e^(f ln 2), |f| <= 1/2: Taylor's series, whose next term is below 4e-7
    series = np.float32(math.log(2) ** 6 / 720)
    series = series * f + np.float32(math.log(2) ** 5 / 120)
    series = series * f + np.float32(math.log(2) ** 4 / 24)
    series = series * f + np.float32(math.log(2) ** 3 / 6)
    series = series * f + np.float32(math.log(2) ** 2 / 2)
    series = series * f + np.float32(math.log(2))
    series = series * f + _ONE
    return np.int32((whole + np.int32(127)) << np.int32(23)).view(np.float32) * series


@_jit
def _silu(x: Any) -> Any:
    return x / (_ONE + _exp(-x))


@_jit
def _softplus(x: Any) -> Any:
    return np.float32(math.log1p(math.exp(x))) if x < 20 else x


@_jit
def _times(weight: Any, x: Any) -> Any:
    """weight [out, in] · x [in]."""
    out = np.empty(weight.shape[0], np.float32)
    for i in range(weight.shape[0]):
        row = weight[i]
        total = np.float32(0)
        for j in range(weight.shape[1]):
            total += row[j] * x[j]
        out[i] = total
    return out


@_jit
def rms_norm(x: Any, weight: Any, eps: float) -> Any:
    """As `RMSNorm` on one vector [channel]."""
    square = np.float32(0)
    for i in range(len(x)):
        square += x[i] * x[i]
    scale = np.float32(1 / math.sqrt(square / len(x) + eps))
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = x[i] * scale * weight[i]
    return out


@_jit
def _add(x: Any, y: Any) -> None:
    for i in range(len(x)):
        x[i] += y[i]


@_jit
def feed_forward(x: Any, norm: Any, gate: Any, up: Any, down: Any, eps: float) -> None:
    """x += feed_forward(norm(x))."""
    normed = rms_norm(x, norm, eps)
    hidden, factor = _times(gate, normed), _times(up, normed)
    for i in range(len(hidden)):
        hidden[i] = _silu(hidden[i]) * factor[i]
    _add(x, _times(down, hidden))


@_jit
def _convolve(u: Any, weight: Any, bias: Any, history: Any) -> None:
    """u [channel] becomes silu of the filter's output; history [kernel - 1, channel] moves on by one."""
    before = history.shape[0]
    for c in range(len(u)):
        newest = u[c]
        total = bias[c] + weight[c, before] * newest
        for k in range(before):
            total += weight[c, k] * history[k, c]
        for k in range(before - 1):
            history[k, c] = history[k + 1, c]
        if before:
            history[before - 1, c] = newest
        u[c] = _silu(total)


@_jit
def _recur(u: Any, dt: Any, A_log: Any, B: Any, C: Any, D: Any, z: Any, state: Any) -> None:
    """u [channel] becomes the gated output of one step of the recurrence; state [channel, state] advances."""
    for c in range(len(u)):
        rates, h = A_log[c], state[c]
        step, drive, total = dt[c], dt[c] * u[c], np.float32(0)
        for n in range(len(B)):
            h[n] = _exp(-step * _exp(rates[n])) * h[n] + drive * B[n]
            total += h[n] * C[n]
        u[c] = (total + D[c] * u[c]) * _silu(z[c])


@_jit
def mamba(
    x: Any, norm: Any, in_proj: Any, filters: Any, filter_bias: Any, x_proj: Any, dt_norm: Any, b_norm: Any,
    c_norm: Any, dt_proj: Any, dt_bias: Any, A_log: Any, D: Any, out_proj: Any, history: Any, state: Any,
    eps: float,
) -> None:  # fmt: skip
    """x += mamba(norm(x)); `history` [kernel - 1, channel] and `state` [channel, state] advance."""
    channels, rank, states = len(D), dt_proj.shape[1], A_log.shape[1]
    both = _times(in_proj, rms_norm(x, norm, eps))
    u, z = both[:channels], both[channels:]
    _convolve(u, filters, filter_bias, history)
    selected = _times(x_proj, u)
    dt = _times(dt_proj, rms_norm(selected[:rank], dt_norm, eps))
    for c in range(channels):
        dt[c] = _softplus(dt[c] + dt_bias[c])
    B = rms_norm(selected[rank : rank + states], b_norm, eps)
    C = rms_norm(selected[rank + states :], c_norm, eps)
    _recur(u, dt, A_log, B, C, D, z, state)
    _add(x, _times(out_proj, u))


@_jit
def _attend(query: Any, keys: Any, values: Any, out: Any) -> None:
    """out [channel] = softmax(query · keys / sqrt(channels)) · values; keys, values [length, channel]."""
    length, channels = keys.shape
    weights = np.empty(length, np.float32)
    largest = np.float32(-np.inf)
    for i in range(length):
        key = keys[i]
        total = np.float32(0)
        for c in range(channels):
            total += query[c] * key[c]
        weights[i] = total * np.float32(1 / math.sqrt(channels))
        largest = max(largest, weights[i])
    out[:] = 0
    norm = np.float32(0)
    for i in range(length):
        weight = _exp(weights[i] - largest)
        norm += weight
        value = values[i]
        for c in range(channels):
            out[c] += weight * value[c]
    for c in range(channels):
        out[c] /= norm


@_jit
def attention(
    x: Any, norm: Any, q_proj: Any, k_proj: Any, v_proj: Any, o_proj: Any, keys: Any, values: Any,
    position: int, eps: float,
) -> None:  # fmt: skip
    """x += attention(norm(x)); row `position` of keys and values [kv_head, capacity, head_dim] is set."""
    kv_heads, _, channels = keys.shape
    normed = rms_norm(x, norm, eps)
    query, key, value = _times(q_proj, normed), _times(k_proj, normed), _times(v_proj, normed)
    group = len(query) // len(key)  # heads that share a key
    mixed = np.empty_like(query)
    for head in range(kv_heads):
        start = head * channels
        keys[head, position] = key[start : start + channels]
        values[head, position] = value[start : start + channels]
        for i in range(head * group, (head + 1) * group):
            part = slice(i * channels, (i + 1) * channels)
            _attend(query[part], keys[head, : position + 1], values[head, : position + 1], mixed[part])
    _add(x, _times(o_proj, mixed))


@_jit
def head(x: Any, norm: Any, weight: Any, eps: float) -> Any:
    """Logits [vocab] of the final hidden state."""
    return _times(weight, rms_norm(x, norm, eps))

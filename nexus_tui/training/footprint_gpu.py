"""How much of a GPU's memory a training needs, from its configuration, against what is free there.

An estimate, not calibrated on a GPU: what autograd keeps of each layer is counted by its test, in Triton's
interpreter; what comes and goes meanwhile is reckoned, and what torch and its libraries keep besides is
guessed. So it warns and refuses nothing. It need not refuse: what is too much for a GPU is refused there, in
one sentence and with what was saved kept, where Linux would kill the process.
"""

from __future__ import annotations

from nexus_tui.config import RunConfig
from nexus_tui.training.footprint import Need, parameters, size
from nexus_tui.training.launch import Launch
from nexus_tui.training.room import Room

_HEAP = 1.1
"""Bytes of the allocator's blocks for a byte that is in use."""
_TILE = 8
"""Tokens of which the scan keeps one state for its backward pass, in 32 bits."""
_TOKENS_SCORED = 4096
"""Tokens that an evaluation scores at once, at most, if a window is not longer."""


def need_on_gpu(config: RunConfig, windows: int, half: bool, launch: Launch = Launch()) -> Need:  # noqa: B008 (frozen)
    """What one process needs on its GPU with so many windows at once.

    With `half`, activations are bf16; weights, gradients, averages and the residual stream keep 32 bits.
    """
    weights, processes = parameters(config.model), launch.size if launch.shard else 1
    copies = 16.0 if launch.size == 1 or launch.shard else 20.0  # DDP sums gradients in buffers of its own
    copies += 2 if half else 0  # weights as the products take them
    scored = max(1, _TOKENS_SCORED // config.data.window) * config.data.window
    tokens = min(windows, -(-config.budget.batch // launch.size)) * config.data.window
    # The graphs of a step hold their memory while an evaluation, in 32 bits, takes its own.
    scoring = scored * _passing(config, half=False)
    activations = tokens * (_kept(config, half) + _passing(config, half)) + scoring
    batch = 16.0 * config.budget.batch * config.data.window  # token ids in 64 bits, inputs and targets
    return Need(data=batch, states=copies * weights / processes, activations=_HEAP * activations)


def _kept(config: RunConfig, half: bool) -> float:
    """Bytes of a token that a forward pass leaves for the backward pass."""
    model, each = config.model, 2 if half else 4
    hidden, inner, fed = model.hidden_size, model.mamba_channels, model.intermediate_size
    kv = model.num_key_value_heads * model.head_dim
    selection = model.mamba_dt_rank + 2 * model.mamba_d_state
    # Of a mixer: its input, and what each product, norm, convolution and scan gives.
    mamba = each * (hidden + 5 * inner + 2 * selection) + 4 * inner * model.mamba_d_state / _TILE
    attention = each * (4 * hidden + 2 * kv)
    dropout = 2 * hidden * each if config.regularization.dropout else 0
    feeding = each * (hidden + 3 * fed) + dropout
    norms = 2 * 4 * hidden  # their inputs are the residual stream
    kinds = model.layer_kinds
    mixers = kinds.count("mamba") * mamba + kinds.count("attention") * attention
    return mixers + len(kinds) * (feeding + norms) + (4 + each) * hidden


def _passing(config: RunConfig, half: bool) -> float:
    """Bytes of a token that come and go, when they are most: the logits, or the gradients of one layer."""
    model, each = config.model, 2 if half else 4
    inner, fed, hidden = model.mamba_channels, model.intermediate_size, model.hidden_size
    logits = (each + 3 * 4) * model.vocab_size
    scan = each * 4 * inner + 4 * inner * model.mamba_d_state / _TILE
    return float(max(logits, scan + 8 * hidden, each * 4 * fed + 8 * hidden))


def warning(config: RunConfig, windows: int, half: bool, launch: Launch, room: Room | None) -> str:
    """That a training may not fit on a GPU, and with how many windows at once it might; empty if it should.

    `room` is what the GPU leaves (`room.of_gpu`); nothing is said where that is not known.
    """
    asked = need_on_gpu(config, windows, half, launch)
    if room is None or asked.total + room.program <= room.free:
        return ""
    fits = _fitting(config, windows, half, launch, room)
    advice = "choose a smaller model or a smaller data.window"
    if fits:
        less = need_on_gpu(config, fits, half, launch).total + room.program
        advice = f"--micro-batch {fits} takes about {size(less)}"
    return (
        f"this may not fit: by an estimate it takes {size(asked.total + room.program)} on the GPU "
        f"({size(asked.states)} for weights, gradients and optimizer, {size(asked.activations)} for the "
        f"{windows * config.data.window:,} tokens of a micro-batch), and {room.of} leaves {size(room.free)}; "
        f"if memory runs out, {advice}"
    )


def _fitting(config: RunConfig, windows: int, half: bool, launch: Launch, room: Room) -> int:
    """The most windows at once that fit, below so many; 0 if none do."""
    low, high = 0, windows
    while high - low > 1:
        middle = (low + high) // 2
        fits = need_on_gpu(config, middle, half, launch).total + room.program <= room.free
        low, high = (middle, high) if fits else (low, middle)
    return low

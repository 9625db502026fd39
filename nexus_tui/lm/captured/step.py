"""A token of each of several texts, from its id to the next one's, on tensors that stay where they are."""

from __future__ import annotations

import math
from types import ModuleType
from typing import cast

import torch
from torch import Tensor

from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import AttentionState, MambaState
from nexus_tui.lm.captured import drawing
from nexus_tui.lm.captured.slots import Slots
from nexus_tui.lm.hybrid import AttentionBlock, HybridLM, MambaBlock
from nexus_tui.lm.layers import FeedForward
from nexus_tui.lm.mamba import Mamba
from nexus_tui.lm.swiglu import swiglu


@torch.inference_mode()
def step(model: HybridLM, fused: ModuleType | None, slots: Slots, count: int, room: int, order: bool) -> None:
    """Read the newest token of the first slots, so many, draw the next one of each, and tell it.

    Nothing here waits for the device, and no number but the arguments is the host's.

    Args:
        model: its weights are read where they are.
        fused: the module of that name, or None to have torch do everything.
        slots: their memories, and all else of them, become those after the token where they are active.
        count: of slots.
        room: more than any active text has read.
        order: as for `drawing.draw`.
    """
    logits = model.lm_head(_hidden(model, fused, slots, count, room))
    if fused and not order and fused.draws(logits.shape[1]):
        fused.draw(slots, logits)
        return
    active, length, newest = slots.active[:count], slots.length[:count], slots.newest[:count]
    seen = slots.seen[:count]
    chosen = drawing.draw(logits, slots.how[:count], length + 1, seen, order=order)
    slots.told[:count] = drawing.think(logits, chosen)
    torch.where(active, chosen, newest, out=newest)
    seen.scatter_(1, newest[:, None], True)
    length += active


def _hidden(model: HybridLM, fused: ModuleType | None, slots: Slots, count: int, room: int) -> Tensor:
    """What the head is given [slot, hidden] after the newest tokens; memories take them in."""
    stack, active = model.model, slots.active[:count]
    x = stack.embed_tokens(slots.newest[:count])
    for each, state in zip(stack.layers, slots.cache.layers, strict=True):
        layer = cast("MambaBlock | AttentionBlock", each)
        normed = layer.input_layernorm(x)
        if isinstance(layer, MambaBlock):
            _mamba(layer.mamba, fused, normed, cast("MambaState", state), active, x)
        else:
            _attention(layer.self_attn, normed, cast("AttentionState", state), slots.length[:count], room, x)
        _feed(layer.feed_forward, layer.pre_ff_layernorm(x), x)
    return stack.final_layernorm(x)  # type: ignore[no-any-return]


def _mamba(
    mixer: Mamba, fused: ModuleType | None, x: Tensor, memory: MambaState, active: Tensor, onto: Tensor
) -> None:
    """Add what the mixer makes of x [slot, hidden]; the memories of active slots become those after it."""
    if fused:
        onto.addmm_(fused.mix(mixer, x, memory, active), mixer.out_proj.weight.t())
        return
    conv, ssm = memory.conv[: len(x)], memory.ssm[: len(x)]
    state = MambaState(conv, ssm)
    onto += mixer.step(x, state)
    here = active[:, None, None]
    conv.copy_(torch.where(here, state.conv, conv))
    torch.where(here, state.ssm, ssm, out=ssm)


def _attention(
    mixer: Attention, x: Tensor, memory: AttentionState, length: Tensor, room: int, onto: Tensor
) -> None:
    """Add what the mixer makes of x [slot, hidden], whose keys and values go behind those of each text."""
    count, heads, size = len(x), mixer.kv_heads, mixer.head_dim
    place = length.view(-1, 1, 1, 1).expand(-1, heads, 1, size)
    memory.keys[:count].scatter_(2, place, mixer.k_proj(x).view(count, heads, 1, size))
    memory.values[:count].scatter_(2, place, mixer.v_proj(x).view(count, heads, 1, size))
    keys, values = memory.keys[:count, :, :room], memory.values[:count, :, :room]
    # The heads that share keys stand as its positions, as in `Attention`.
    query = mixer.q_proj(x).view(count, heads, -1, size) * size**-0.5
    read = torch.arange(room, device=x.device) <= length[:, None]
    scores = (query @ keys.transpose(-1, -2)).float().masked_fill_(~read[:, None, None], -math.inf)
    y = scores.softmax(-1).to(x.dtype) @ values
    onto.addmm_(y.reshape(count, -1), mixer.o_proj.weight.t())


def _feed(layer: FeedForward, x: Tensor, onto: Tensor) -> None:
    """Add what the feed-forward network makes of x [slot, hidden]."""
    onto.addmm_(swiglu(layer.gate_proj(x), layer.up_proj(x)), layer.down_proj.weight.t())

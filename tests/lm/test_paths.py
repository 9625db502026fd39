"""The compiled kernels against plain torch, where it matters: the losses of a training."""

import torch
from torch import Tensor, nn

from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM

STEPS, BATCH, LENGTH = 50, 4, 48


def losses(model: HybridLM, batches: Tensor) -> list[float]:
    """Nats per token before each of the steps of AdamW with clipped gradients."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.99), weight_decay=0.1)
    found = []
    for batch in batches:
        loss = model.loss(batch[:, :-1].contiguous(), batch[:, 1:].contiguous())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        found.append(loss.item())
    return found


def test_fifty_steps_of_the_kernels_have_the_losses_of_plain_torch_in_64_bits() -> None:
    config = JambaConfig(
        vocab_size=32,
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_layer_period=3,
        attn_layer_offset=1,
        mamba_d_state=8,
        mamba_dt_rank=4,
    )
    generator = torch.Generator().manual_seed(0)
    # Every token follows from the one before it, but for some noise: there is something to learn.
    successor = torch.randperm(32, generator=generator)
    batches = torch.randint(32, (STEPS, BATCH, LENGTH + 1), generator=generator)
    for t in range(1, LENGTH + 1):
        follows = torch.rand(STEPS, BATCH, generator=generator) < 0.9
        batches[..., t] = torch.where(follows, successor[batches[..., t - 1]], batches[..., t])
    compiled = losses(HybridLM(config, seed=1), batches)
    plain = losses(HybridLM(config, seed=1).double(), batches)  # 64 bits go through no kernel
    assert compiled[-1] < compiled[0] - 1  # so it has learned
    assert max(abs(a - b) for a, b in zip(compiled, plain, strict=True)) < 1e-4

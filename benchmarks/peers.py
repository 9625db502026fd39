"""A training step, 16 × 128 tokens, 6.74M parameters: ours, transformers' Jamba and mambapy's scan."""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from mambapy.pscan import pscan
from torch import Tensor, nn
from transformers import JambaConfig as TheirConfig
from transformers import JambaForCausalLM

from benchmarks.harness import in_turn, table
from nexus_tui.lm import mamba
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM

BATCH, WINDOW = 16, 128


def mambapy_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor,
    delta_bias: Tensor,
    initial_state: Tensor | None = None,  # noqa: ARG001
) -> tuple[Tensor, Tensor | None]:
    """Our scan's signature over mambapy's parallel scan, as mambapy's own Mamba block calls it."""
    dt = F.softplus(delta + delta_bias)
    decay = torch.exp(dt.unsqueeze(-1) * A)
    states = pscan(decay, dt.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1))
    y = (states @ C.unsqueeze(-1)).squeeze(3) + D * u
    return y * F.silu(z), None


def training_step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Forward, backward, clip and AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    config = JambaConfig()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (BATCH, WINDOW + 1), generator=generator)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    ours, with_mambapy = HybridLM(config), HybridLM(config)
    fields = config.to_hugging_face()
    theirs = JambaForCausalLM(TheirConfig(**fields))
    theirs.load_state_dict(ours.state_dict())
    our_scan = mamba.selective_scan

    def mambapy_loss() -> Tensor:
        mamba.selective_scan = mambapy_scan  # type: ignore[assignment]
        try:
            return with_mambapy.loss(inputs, targets)
        finally:
            mamba.selective_scan = our_scan

    def their_loss() -> Tensor:
        logits = theirs(inputs).logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    with torch.no_grad():
        losses = [float(ours.loss(inputs, targets)), float(mambapy_loss()), float(their_loss())]
    print(f"loss before the first step (must agree): {losses[0]:.6f}  {losses[1]:.6f}  {losses[2]:.6f}\n")
    step = training_step(ours, lambda: ours.loss(inputs, targets))
    contenders = {
        "nexus-tui": step,
        "nexus-tui with mambapy's scan": training_step(with_mambapy, mambapy_loss),
        "transformers' Jamba": training_step(theirs, their_loss),
    }
    print(table(in_turn(contenders, repetitions), "tokens", BATCH * WINDOW))


if __name__ == "__main__":
    main()

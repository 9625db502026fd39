"""The same training step by what else there is: transformers' Jamba, and this model with mambapy's scan.

Forward, backward, clip and AdamW of 6.74M parameters, 16 × 128 tokens, all cores. All three start from one
set of weights and must agree in their loss. In every round the fast ones run several times.
"""

import argparse
import math
import statistics

import torch
import torch.nn.functional as F
from mambapy.pscan import pscan
from torch import Tensor
from transformers import JambaConfig as TheirConfig
from transformers import JambaForCausalLM

from benchmarks.harness import goal, in_turn, table
from benchmarks.step import BATCH, WINDOW, training_step
from nexus_tui.lm import mamba
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM

OFTEN = {"nexus-tui": 8, "nexus-tui with mambapy's scan": 2}
"""Runs in a round, of which transformers' Jamba takes one and a half minutes."""


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
    our_scan, calls = mamba.selective_scan, 0

    def counted(*operands: Tensor) -> tuple[Tensor, Tensor | None]:
        nonlocal calls
        calls += 1
        return mambapy_scan(*operands)

    def mambapy_loss() -> Tensor:
        mamba.selective_scan = counted  # type: ignore[assignment]
        try:
            return with_mambapy.loss(inputs, targets)
        finally:
            mamba.selective_scan = our_scan

    def their_loss() -> Tensor:
        logits = theirs(inputs).logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    with torch.no_grad():
        losses = [float(ours.loss(inputs, targets)), float(mambapy_loss()), float(their_loss())]
    assert calls == config.layer_kinds.count("mamba"), "the model does not scan with mambapy's"
    assert all(math.isclose(loss, losses[0], rel_tol=1e-5) for loss in losses), losses
    print(f"Losses before the first step: {', '.join(f'{loss:.6f}' for loss in losses)}.\n", flush=True)
    step = training_step(ours, lambda: ours.loss(inputs, targets))
    step()
    contenders = {
        "nexus-tui": step,
        "nexus-tui with mambapy's scan": training_step(with_mambapy, mambapy_loss),
        "transformers' Jamba": training_step(theirs, their_loss),
    }
    timings = in_turn(contenders, repetitions, warm_up=0, often=OFTEN)
    print(table(timings, "tokens", BATCH * WINDOW), "\n", sep="\n")
    own, *others = timings.values()
    goals = {"this with mambapy's scan": 6, "transformers' Jamba": 100}
    for (name, wanted), timing in zip(goals.items(), others, strict=True):
        ratio = statistics.median(timing.over(own))
        print(goal("a training step is", wanted, ratio, "×", f"as fast as that of {name}", least=True))


if __name__ == "__main__":
    main()

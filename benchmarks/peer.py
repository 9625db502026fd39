"""One of the contenders of `benchmarks.peers`, in a process of its own; run as a script.

    python benchmarks/peer.py KIND WEIGHTS [--keep-freed]

prints the loss of the model in the folder WEIGHTS; then, for every number that it reads, does so many
training steps and prints a line. Nothing of ours is imported for transformers' Jamba: its process is as its
users have it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH, WINDOW, VOCABULARY = 16, 128, 256


def tokens() -> tuple[Tensor, Tensor]:
    """Inputs and targets, int64 [batch, length] each, the same in every process."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (BATCH, WINDOW + 1), generator=generator)
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


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
    from mambapy.pscan import pscan

    dt = F.softplus(delta + delta_bias)
    decay = torch.exp(dt.unsqueeze(-1) * A)
    states = pscan(decay, dt.unsqueeze(-1) * B.unsqueeze(2) * u.unsqueeze(-1))
    y = (states @ C.unsqueeze(-1).to(states.dtype)).squeeze(3) + D * u
    return y * F.silu(z), None


def ours(weights: Path, *, mambapy: bool) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Our model and its loss, with our scan or with mambapy's."""
    from nexus_tui.lm import mamba
    from nexus_tui.lm.pretrained import load_model

    if mambapy:
        mamba.selective_scan = mambapy_scan  # type: ignore[assignment]
    model, (inputs, targets) = load_model(weights), tokens()
    return model, lambda: model.loss(inputs, targets)


def theirs(weights: Path) -> tuple[nn.Module, Callable[[], Tensor]]:
    """transformers' model and its loss."""
    from transformers import JambaForCausalLM

    model, (inputs, targets) = JambaForCausalLM.from_pretrained(weights, dtype=torch.float32), tokens()
    model.train()
    return model, lambda: F.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())


def main() -> None:
    """Load, print the loss, and step as often as the standard input says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("nexus-tui", "mambapy", "transformers"))
    parser.add_argument("weights", type=Path)
    parser.add_argument("--keep-freed", action="store_true", help="freed memory stays, as in our trainer")
    arguments = parser.parse_args()
    if arguments.keep_freed:
        from nexus_tui.training.memory import keep_freed_memory

        keep_freed_memory()
    if arguments.kind == "transformers":
        model, loss = theirs(arguments.weights)
    else:
        model, loss = ours(arguments.weights, mambapy=arguments.kind == "mambapy")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    with torch.no_grad():
        print(f"{float(loss()):.6f}", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            loss().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        print("done", flush=True)


if __name__ == "__main__":
    main()

"""One of the contenders of `benchmarks.gpu_peers`, in a process of its own; run as a script.

    python benchmarks/gpu_peer.py KIND WEIGHTS --device cuda --batch 16 --window 128

prints the loss of the model in the folder WEIGHTS; then, for every number that it reads, does so many
training steps and prints a line when the device has done them. With bf16 autocast on a GPU, in 32 bits on a
CPU.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.gpu_case import Place, Stepping, configuration, corpus_of
from benchmarks.peer import mambapy_scan
from nexus_tui.config import RunConfig
from nexus_tui.lm import mamba
from nexus_tui.lm.pretrained import load_model

Contender = tuple[Callable[[], Tensor], Callable[[int], object]]
"""A loss over the first batch, and what does so many steps."""
SEED = 1
"""Of the weights that all begin with."""


def recipe(batch: int, window: int) -> RunConfig:
    """What all train: the reference recipe, without dropout."""
    settings = {"budget.batch": batch, "budget.micro_batch": batch, "data.window": window, "run.seed": SEED}
    return configuration("nexus-byte", settings)


def tokens(where: Place, config: RunConfig) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the first step, int64 [batch, length] each."""
    drawn = corpus_of(config).batch(config.data.window, config.budget.batch, SEED, 1)
    inputs, targets = (torch.from_numpy(each).to(where.device) for each in drawn)
    return inputs, targets


def ours(where: Place, weights: Path, config: RunConfig) -> Contender:
    """Our model's loss, and a training's steps, which draw batches and keep a record of losses."""
    inputs, targets = tokens(where, config)
    model = load_model(weights).to(where.device)
    return lambda: model.loss(inputs, targets), Stepping(where, config, corpus_of(config))


def theirs(where: Place, weights: Path, config: RunConfig) -> Contender:
    """transformers' model and its loss, and steps over one batch, which is on the device already."""
    from transformers import JambaForCausalLM

    inputs, targets = tokens(where, config)
    model = JambaForCausalLM.from_pretrained(weights, dtype=torch.float32).to(where.device)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def loss() -> Tensor:
        return F.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())

    def steps(count: int) -> None:
        for _ in range(count):
            with torch.autocast(where.device.type, torch.bfloat16, enabled=where.gpu):
                now = loss()
            now.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return loss, steps


def main() -> None:
    """Load, print the loss, and step as often as the standard input says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("nexus-tui", "mambapy", "transformers"))
    parser.add_argument("weights", type=Path)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--window", type=int, default=128)
    said = parser.parse_args()
    where, config = Place(said.device, False, 0), recipe(said.batch, said.window)
    if said.kind == "mambapy":
        mamba.selective_scan = mambapy_scan  # type: ignore[assignment]
    loss, steps = (theirs if said.kind == "transformers" else ours)(where, said.weights, config)
    with torch.no_grad(), torch.autocast(where.device.type, torch.bfloat16, enabled=where.gpu):
        print(f"{float(loss()):.6f}", flush=True)
    for line in sys.stdin:
        steps(int(line))
        where.synchronise()
        print("done", flush=True)


if __name__ == "__main__":
    main()

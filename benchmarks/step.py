"""The training step that benchmarks measure."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nexus_tui.training.memory import keep_freed_memory

BATCH, WINDOW = 16, 128


def training_step(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Forward, backward, clip and AdamW, in memory that is kept as in a training."""
    keep_freed_memory()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step

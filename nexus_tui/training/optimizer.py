"""AdamW over a model's parameters, and its state as plain tensors."""

import torch
from torch import Tensor

from nexus_tui.config import OptimizerConfig
from nexus_tui.lm.hybrid import HybridLM, no_decay


def adamw(model: HybridLM, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW; no weight decay on A_log, D, norms, biases and embeddings, as in Mamba."""
    decayed = [p for name, p in model.named_parameters() if not no_decay(name, p)]
    undecayed = [p for name, p in model.named_parameters() if no_decay(name, p)]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)


def state_tensors(model: HybridLM, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimizer's state by parameter name, `exp_avg.model.layers.0…`, as safetensors holds it."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def load_state_tensors(model: HybridLM, optimizer: torch.optim.AdamW, tensors: dict[str, Tensor]) -> None:
    """Put back what `state_tensors` gave. Raises KeyError for a tensor that is missing."""
    for name, parameter in model.named_parameters():
        optimizer.state[parameter] = {
            key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
        }

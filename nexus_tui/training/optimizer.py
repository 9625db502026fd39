"""AdamW over a model's parameters, and its state as plain tensors."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nexus_tui.config import OptimizerConfig
from nexus_tui.lm.hybrid import HybridLM, no_decay
from nexus_tui.untrusted_files import open_regular


class AdamW:
    """AdamW (arXiv 1711.05101), to the bit what `torch.optim.AdamW(fused=True)` computes, by the same kernel.

    Torch's class imports its compiler before the first step, for a second, and we never ask for that.
    Each of `param_groups` has `params`, `lr` (a number, or a tensor of one there) and `weight_decay`,
    read anew at every step. What is updated of a parameter is what this process holds of it.
    """

    def __init__(
        self, groups: list[dict[str, Any]], lr: float, betas: tuple[float, float], eps: float = 1e-8
    ) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, **group} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        """Of every parameter that has had a gradient: `step`, `exp_avg` and `exp_avg_sq`."""
        self._betas, self._eps = betas, eps

    @torch.no_grad()
    def step(self, unless: Tensor | None = None) -> None:
        """Update every parameter that has a gradient, `unless` a number on their device is 1 and not 0."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            states = [self.state.get(p) or self._begin(p) for p in parameters]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                [local(p) for p in parameters],
                [local(p.grad) for p in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=self._betas[0],
                beta2=self._betas[1],
                weight_decay=group["weight_decay"],
                eps=self._eps,
                amsgrad=False,
                maximize=False,
                found_inf=unless,
            )
            if unless is not None:
                torch._foreach_sub_(steps, [unless] * len(steps))

    def zero_grad(self) -> None:
        """Forget the gradients; the next backward pass makes new ones."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def begin(self) -> None:
        """Make the state of every parameter, which otherwise comes with its first gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                self._begin(parameter)

    def _begin(self, parameter: Tensor) -> dict[str, Tensor]:
        averages = {key: torch.zeros_like(local(parameter)) for key in ("exp_avg", "exp_avg_sq")}
        self.state[parameter] = {"step": torch.zeros((), device=parameter.device), **averages}
        return self.state[parameter]


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all of it, unless it is a part of a sharded one (a DTensor)."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def own(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Of a whole tensor, the part that this process holds of a parameter."""
    mesh = getattr(parameter, "device_mesh", None)
    if mesh is None:
        return tensor
    parts = tensor.chunk(mesh.size())  # as fully_shard divides rows; there may be fewer parts than processes
    return parts[mesh.get_local_rank()].clone() if mesh.get_local_rank() < len(parts) else tensor[:0]


def adamw(model: HybridLM, config: OptimizerConfig) -> AdamW:
    """AdamW; no weight decay on A_log, D, norms, biases and embeddings, as in Mamba."""
    decayed = [p for name, p in model.named_parameters() if not no_decay(name, p)]
    undecayed = [p for name, p in model.named_parameters() if no_decay(name, p)]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": undecayed, "weight_decay": 0.0},
    ]
    return AdamW(groups, config.lr, config.betas)


def state_tensors(model: HybridLM, optimizer: AdamW) -> dict[str, Tensor]:
    """The optimizer's state by parameter name, `exp_avg.model.layers.0…`, as safetensors holds it."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def read_state_tensors(model: HybridLM, path: Path) -> dict[str, Tensor]:
    """What `state_tensors` gave, from the file that holds it.

    Raises ValueError, naming the file, for one that is damaged or of another model.
    """
    try:
        with open_regular(path):
            tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    for name, parameter in model.named_parameters():
        shapes = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
        for key, shape in shapes.items():
            found = tensors.get(f"{key}.{name}")
            if found is None or found.shape != shape or found.dtype != parameter.dtype:
                raise ValueError(f"{path} is of another model: {key}.{name} is missing, or of another shape")
    return tensors


def load_state_tensors(model: HybridLM, optimizer: AdamW, tensors: dict[str, Tensor]) -> None:
    """Put back what `state_tensors` gave. Raises KeyError for a tensor that is missing."""
    for name, parameter in model.named_parameters():
        averages = {key: own(tensors[f"{key}.{name}"], parameter) for key in ("exp_avg", "exp_avg_sq")}
        state = {"step": tensors[f"step.{name}"], **averages}
        optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in state.items()}


@torch.no_grad()
def load_parameters(model: HybridLM, loaded: HybridLM) -> None:
    """Take over the weights of another model of the same architecture, what this process holds of them."""
    others = dict(loaded.named_parameters())
    for name, parameter in model.named_parameters():
        local(parameter).copy_(own(others[name], parameter))

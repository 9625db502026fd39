"""Who trains: this process alone, or one of several that act as one.

`Alone` says what the learner and the trainer ask for. `Ranks` answers the same with torch.distributed: each
process takes its rows of every batch, and what is summed over a batch is summed over the processes.
"""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Drop
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.training.evaluation import Validation
from nexus_tui.training.optimizer import AdamW, state_tensors

Losses = npt.NDArray[np.float32]


class Alone:
    """One process that trains."""

    size = 1
    """Processes."""

    def join(self, config: RunConfig, dataset: Dataset, checkpoint: Checkpoint | None) -> None:
        """Tell the others what is trained, and from where on; wait until they are ready."""

    def rows(self, batch: int) -> range:
        """Which rows of a batch are this process'."""
        return range(batch)

    def take(self, model: HybridLM, precision: torch.dtype = torch.float32) -> None:
        """Make a model the one that is trained. Its parameters may be other objects after that.

        `precision` is that of its products; it has no effect on the weights.
        """
        self._model = model
        self._precision = precision
        self._device = next(model.parameters()).device

    def loaded(self) -> None:
        """This process has loaded its checkpoint; wait until the others have."""

    def advance(self, rate_scale: float, total: int) -> None:
        """A step begins, with what was wished for."""

    def learn(
        self,
        ids: Tensor,
        targets: Tensor,
        share: float,
        dropout: Drop | None,
        *,
        last: bool,  # noqa: ARG002 (it matters to several)
    ) -> Tensor:
        """Add the gradients of a micro-batch, `share` of the batch, whose `last` it may be.

        Returns its part of the batch's mean loss in nats per token, on the device.
        """
        with self._products():
            loss = self._model.loss(ids, targets, dropout=dropout) * share
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _products(self) -> AbstractContextManager[object]:
        """Within, products are as exact as was asked for (Micikevicius et al., arXiv 1710.03740)."""
        if self._precision == torch.float32:
            return nullcontext()
        # Weights that were cast are not kept: a graph that is captured would keep them as they were.
        return torch.autocast(self._device.type, self._precision, cache_enabled=False)

    def total(self, value: float) -> float:
        """The sum over all processes."""
        return value

    def norm(self) -> Tensor:
        """The norm of all gradients."""
        return torch.nn.utils.get_total_norm([p.grad for p in self._model.parameters() if p.grad is not None])

    def clip(self, most: float, norm: Tensor) -> None:
        """Scale the gradients, whose norm is known, so that it is at most so much."""
        torch.nn.utils.clip_grads_with_norm_(self._model.parameters(), most, norm)

    def window_losses(self, validation: Validation) -> Losses:
        """The mean loss of every validation window, nats per token: [windows]."""
        return np.concatenate(list(validation.losses(self._model)))

    def whole(self) -> HybridLM:
        """The model with all its weights, of this process only."""
        return self._model

    def whole_state(self, optimizer: AdamW) -> dict[str, Tensor]:
        """All of the optimizer's state, as `state_tensors`."""
        return state_tensors(self._model, optimizer)

    def end(self) -> None:
        """Let the others go."""

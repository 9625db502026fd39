"""Training on one GPU: the step as CUDA graphs, and nothing in it that waits for the host.

The host queues a step, and reads the figures of the step before while the GPU computes. So a number that is
not finite is seen by the GPU first: it leaves out that update, and every later one, until the host has seen
it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.training.health import DivergedError
from nexus_tui.training.learner import Kept, Learner, Stepped
from nexus_tui.training.optimizer import state_tensors
from nexus_tui.training.ranks import Alone
from nexus_tui.training.schedule import learning_rate

_WARM_UP = 2
"""Times that a piece of the step is done before it is captured: libraries get their workspaces."""


@dataclass(frozen=True)
class _Queued:
    """A step that the GPU has been given."""

    step: int
    rate: float
    figures: Tensor
    """[loss, norm of the gradient], in the host's memory once it is done."""
    done: torch.cuda.Event | None


class GpuLearner(Learner):
    """A learner of one process whose steps follow each other on a GPU without a pause.

    `captured=False` does the same piece by piece, on any device.
    """

    aside = True

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        device: torch.device,
        ranks: Alone | None = None,
        *,
        captured: bool = True,
    ) -> None:
        super().__init__(config, dataset, ranks, device)
        self._captured = captured
        window, batch = config.data.window, config.budget.batch
        # Two of them: the GPU may still be reading the last step's when the host fills in the next's.
        self._staged = [
            torch.empty(2, batch, window, dtype=torch.int64, pin_memory=captured) for _ in range(2)
        ]
        self._read = [torch.zeros(2, pin_memory=captured) for _ in range(2)]
        self._windows = {
            len(part): torch.zeros(2, len(part), window, dtype=torch.int64, device=device)
            for part, _ in self._parts(batch)
        }
        self._place = torch.zeros(2, dtype=torch.int64, device=device)
        """The step, and the first row of the micro-batch: what dropout depends on."""
        self._figures = torch.zeros(2, device=device)
        self._harm = torch.zeros((), device=device)
        """1 from a step on whose figures are not finite."""
        self._rate = torch.zeros((), device=device)
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        """By how many windows it learns from; 0 updates."""
        self._queued: _Queued | None = None
        self._copies: tuple[HybridLM, dict[str, Tensor]] | None = None
        """Of weights and averages, in the host's memory: those of the last checkpoint."""
        self._known = time.perf_counter()
        self.optimizer.begin()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        self._hold_gradients()

    def advance(self) -> list[Stepped]:
        """As `Learner.advance`: the step before is known then, and this one is on its way."""
        if self._captured and not self._graphs:
            self._capture()
        step, before = self.step + 1, self._queued
        if before is None:
            self._known = time.perf_counter()
        rate = learning_rate(self.config, step, self.total) * self.rate_scale
        self._rate.fill_(rate)
        self._figures.zero_()
        self._learn(step)
        self._do(0)
        figures = self._read[step % 2]
        figures.copy_(self._figures, non_blocking=True)
        self.step, self._queued = step, _Queued(step, rate, figures, self._event())
        return [self._stepped(before)] if before else []

    def settle(self) -> list[Stepped]:
        """As `Learner.settle`."""
        queued, self._queued = self._queued, None
        return [self._stepped(queued)] if queued else []

    def kept(self) -> Kept:
        """As `Learner.kept`, in the host's memory: copies that are on their way, which `write` waits for."""
        if self._copies is None:
            self._copies = (HybridLM(self.config.model), {})
        model, tensors = self._copies
        with torch.no_grad():
            for ours, copy in zip(self.model.parameters(), model.parameters(), strict=True):
                if self._captured and not copy.is_pinned():
                    copy.data = copy.data.pin_memory()
                copy.copy_(ours, non_blocking=True)
        for name, tensor in state_tensors(self.model, self.optimizer).items():
            if name not in tensors:
                tensors[name] = torch.empty(tensor.shape, pin_memory=self._captured)
            tensors[name].copy_(tensor, non_blocking=True)
        done = self._event()
        return Kept(model, tensors, self._state(), self.dataset.tokenizer, done.synchronize if done else None)

    def _event(self) -> torch.cuda.Event | None:
        """What tells that all that was queued so far is done."""
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def load(self, checkpoint: Checkpoint) -> None:
        """As `Learner.load`."""
        super().load(checkpoint)
        self._graphs = {}  # the optimizer's state is in other places now

    def _stepped(self, queued: _Queued) -> Stepped:
        """Wait for a step. Raises DivergedError if it did nothing, and the one after it neither."""
        if queued.done:
            queued.done.synchronize()
        now = time.perf_counter()
        seconds, self._known = now - self._known, now
        loss, norm = queued.figures.tolist()
        try:
            spike = self._checked(queued.step, loss, norm)
        except DivergedError:
            self.step, self._queued, self._graphs = queued.step - 1, None, {}
            self._harm.zero_()
            self._hold_gradients()
            raise
        return Stepped(queued.step, loss, queued.rate, norm, seconds, spike)

    def _hold_gradients(self) -> None:
        """Give gradients the places that they have from now on."""
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    def _learn(self, step: int) -> None:
        """Queue forward and backward passes over the batch of a step."""
        staged = self._staged[step % 2]
        for tokens, place in zip(self._batch(step), staged, strict=True):
            place.copy_(torch.from_numpy(tokens))
        self._place[0].fill_(step)
        for part, _ in self._parts(staged.shape[1]):
            self._place[1].fill_(part.start)
            for windows, tokens in zip(self._windows[len(part)], staged, strict=True):
                windows.copy_(tokens[part.start : part.stop], non_blocking=True)
            self._do(len(part))

    def _do(self, windows: int) -> None:
        """Queue learning from so many windows, or with 0 the update."""
        if self._captured:
            self._graphs[windows].replay()
        elif windows:
            self._micro_batch(windows)
        else:
            self._update()

    def _micro_batch(self, windows: int) -> None:
        """Add the gradients of so many windows, and their part of the loss."""
        ids, targets = self._windows[windows]
        dropout = self._dropout_at(self._place, range(windows))
        share = windows / self.config.budget.batch
        self._figures[0] += self.ranks.learn(ids, targets, share, dropout, last=True)

    def _update(self) -> None:
        """Clip and update, unless that would do harm; then forget the gradients."""
        norm = self.ranks.norm()
        self._figures[1] = norm
        self._harm.copy_(torch.maximum(self._harm, 1 - self._figures.isfinite().all().float()))
        self.ranks.clip(self.config.optimizer.clip, norm)
        self.optimizer.step(unless=self._harm)
        torch._foreach_zero_([p.grad for p in self.model.parameters() if p.grad is not None])

    def _capture(self) -> None:
        """Capture every piece of a step, in the order of a step. The weights stay as they are."""
        from nexus_tui.lm.captured.graphs import CAPTURING

        self._harm.fill_(1)
        pool = torch.cuda.graph_pool_handle()
        for windows in (*self._windows, 0):
            do = partial(self._micro_batch, windows) if windows else self._update
            # On a stream of its own first, as capturing asks for: libraries get their workspaces.
            side = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    do()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Another thread may be sampling: what it asks of the GPU does not disturb this.
            with CAPTURING, torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
                do()
            self._graphs[windows] = graph
        self._harm.zero_()


def learner_for(config: RunConfig, dataset: Dataset, ranks: Alone, device: torch.device) -> Learner:
    """What trains best here.

    To stop at a spike before its update, and to train with other processes, the host must know every step's
    loss before it goes on.
    """
    if device.type == "cuda" and ranks.size == 1 and config.spike.action != "stop":
        return GpuLearner(config, dataset, device, ranks)
    return Learner(config, dataset, ranks, device)

"""Several processes that train one run as one would: torch.distributed over gloo or NCCL, by torchrun.

Process 0 leads. It alone has the run's lock, journal and socket, and tells the others before each step what
it is to be; so all do the same, whoever steers it. Gradients are summed by DDP (Li et al., arXiv 2006.15704),
or weights, gradients and optimizer are divided by FSDP2 (`fully_shard`; Zhao et al., arXiv 2304.11277).
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from enum import IntEnum
from typing import Any

import msgspec
import torch
import torch.distributed as dist
from torch import Tensor, nn

from nexus_tui import __version__
from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Drop
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.training.device import CPU
from nexus_tui.training.evaluation import Validation
from nexus_tui.training.launch import Launch
from nexus_tui.training.optimizer import AdamW, local, state_tensors
from nexus_tui.training.ranks import Alone, Losses

SILENT = timedelta(minutes=10)
"""How long a process waits for the others within a step before it gives up."""
PATIENT = timedelta(days=365)
"""How long it waits for the next step: a pause may take a night, and one that dies is noticed at once."""
_ERROR = 600
"""Bytes of what one process has to say to the others before the first step."""


class RankError(Exception):
    """The processes cannot train together any more, or not at all; the message says why and what to do."""


class Order(IntEnum):
    """What process 0 tells the others to do next."""

    BEGIN = 0
    LOAD = 1
    ADVANCE = 2
    EVALUATE = 3
    GATHER = 4
    """Give process 0 all weights, or with a 1 the optimizer's state."""
    END = 5


class Ranks(Alone):
    """One of the processes. Raises RankError where the others have gone."""

    def __init__(self, launch: Launch, device: torch.device = CPU) -> None:
        self.launch, self.size, self.device = launch, launch.size, device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        with together():
            store, rank, size = next(dist.rendezvous("env://", timeout=SILENT))  # type: ignore[attr-defined]
            # The store may be the one of those that were killed, with the addresses of the dead in it.
            store = dist.PrefixStore(f"start-{launch.restarts}", store)  # type: ignore[attr-defined]
            # Orders and losses are on the processor always; gradients are where the model is.
            backend = "gloo" if device.type == "cpu" else "cpu:gloo,cuda:nccl"
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=SILENT)
            self._orders = dist.new_group(backend="gloo", timeout=PATIENT)

    def order(self, order: Order, *values: float) -> None:
        """Tell the others what to do: up to two numbers go with it. Only process 0 does."""
        if self.launch.leads:
            words = torch.tensor([order, *values, *[0.0] * (2 - len(values))], dtype=torch.float64)
            with together():
                dist.broadcast(words, 0, group=self._orders)

    def next_order(self) -> tuple[Order, float, float]:
        """Wait for what process 0 tells."""
        words = torch.zeros(3, dtype=torch.float64)
        with together():
            dist.broadcast(words, 0, group=self._orders)
        order, first, second = words.tolist()
        return Order(int(order)), first, second

    def join(self, config: RunConfig, dataset: Dataset, checkpoint: Checkpoint | None) -> None:
        """Process 0: tell the others what is trained, and hear whether all can."""
        text = msgspec.json.encode(brief(config, dataset, checkpoint, self.device))
        self.order(Order.BEGIN, len(text))
        with together():
            dist.broadcast(torch.frombuffer(bytearray(text), dtype=torch.uint8), 0)
        self.agree("")

    def told(self, length: int) -> dict[str, Any]:
        """The others: what process 0 says is trained."""
        text = torch.zeros(length, dtype=torch.uint8)
        with together():
            dist.broadcast(text, 0)
        told: dict[str, Any] = msgspec.json.decode(text.numpy().tobytes())
        return told

    def agree(self, error: str) -> None:
        """Say why this process cannot take part, if so. Raises RankError in all of them if one cannot."""
        said = torch.zeros(_ERROR, dtype=torch.uint8)
        words = error.encode()[:_ERROR]
        said[: len(words)] = torch.tensor(list(words), dtype=torch.uint8)
        everybody = [torch.zeros_like(said) for _ in range(self.size)]
        with together():
            dist.all_gather(everybody, said)
        for rank, each in enumerate(everybody):
            if text := each.numpy().tobytes().rstrip(b"\0").decode(errors="replace"):
                raise RankError(f"process {rank} of {self.size} cannot take part: {text}")

    def rows(self, batch: int) -> range:
        """Every process has its part of each batch, in their order."""
        rank = self.launch.rank
        return range(batch * rank // self.size, batch * (rank + 1) // self.size)

    def take(self, model: HybridLM, precision: torch.dtype = torch.float32) -> None:
        """Divide the model, or let gradients be summed while they are computed."""
        super().take(model, precision)
        with together():
            self._ddp = None if self.launch.shard else nn.parallel.DistributedDataParallel(_Loss(model))
            if self.launch.shard:
                shard(model, self.size)

    def loaded(self) -> None:
        """Process 0 has loaded a checkpoint: so do the others. Raises RankError in all if one cannot."""
        self.order(Order.LOAD)
        self.agree("")

    def advance(self, rate_scale: float, total: int) -> None:
        """Process 0 tells the others."""
        self.order(Order.ADVANCE, rate_scale, total)

    def learn(
        self, ids: Tensor, targets: Tensor, share: float, dropout: Drop | None, *, last: bool
    ) -> Tensor:
        """As alone; with the last micro-batch the gradients become those of the whole batch."""
        with together(), self._syncing(last):
            with self._products():
                loss = (self._ddp or self._model.loss)(ids, targets, dropout=dropout) * share
            (loss * self.size).backward()  # the gradients' mean over processes is taken: undo that
        if last and self.launch.shard:
            self._sum_undivided()
        return loss.detach()

    def _syncing(self, last: bool) -> Any:
        if self._ddp is not None:
            return nullcontext() if last else self._ddp.no_sync()
        self._model.set_requires_gradient_sync(last)  # type: ignore[operator]
        return nullcontext()

    def _sum_undivided(self) -> None:
        """Sum the gradients of the parameters that every process has: sharding leaves them to us."""
        gradients = [p.grad for p in self._model.parameters() if p.grad is not None and undivided(p)]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with together():
            dist.all_reduce(flat)
        flat /= self.size
        begin = 0
        for gradient in gradients:
            part = flat[begin : begin + gradient.numel()]
            gradient.copy_(part.view_as(gradient))
            begin += gradient.numel()

    def total(self, value: float) -> float:
        """The sum over all processes."""
        summed = torch.tensor(value, dtype=torch.float64)
        with together():
            dist.all_reduce(summed)
        return float(summed)

    def norm(self) -> Tensor:
        """Over all processes."""
        if not self.launch.shard:
            return super().norm()  # each has all gradients
        norms: dict[bool, list[Tensor]] = {True: [], False: []}
        for parameter in self._model.parameters():
            if parameter.grad is not None:
                norms[undivided(parameter)].append(local(parameter.grad).norm().double() ** 2)
        divided = self.total(float(sum(norms[False])))
        return torch.tensor(math.sqrt(divided + float(sum(norms[True]))), dtype=torch.float64)

    def clip(self, most: float, norm: Tensor) -> None:
        """What this process holds of them."""
        if not self.launch.shard:
            super().clip(most, norm)
            return
        gradients = [local(p.grad) for p in self._model.parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, min(1.0, most / (float(norm) + 1e-6)))

    def window_losses(self, validation: Validation) -> Losses:
        """Each process scores every so manieth part of the windows; the same parts as one process alone."""
        self.order(Order.EVALUATE)
        parts = validation.parts
        losses = torch.zeros(len(validation.inputs))
        for first in range(0, len(parts), self.size):
            number = first + self.launch.rank
            if number < len(parts):
                part = parts[number]
                losses[part] = torch.from_numpy(validation.part_losses(self._model, part))
            elif self.launch.shard:  # nobody can score a part without the others' weights
                validation.part_losses(self._model, parts[-1])
        with together():
            dist.all_reduce(losses)
        return losses.numpy()

    def whole(self) -> HybridLM:
        """Sharded, it is put together in process 0: a model of its own, until nobody needs it."""
        if not self.launch.shard:
            return self._model
        self.order(Order.GATHER)
        model = HybridLM(self._model.config) if self.launch.leads else None
        places = dict(model.named_parameters()) if model else {}
        with together(), torch.no_grad():
            for name, parameter in self._model.named_parameters():
                full = _full(parameter, parameter)
                if model:
                    places[name].copy_(full)
        return model or self._model

    def whole_state(self, optimizer: AdamW) -> dict[str, Tensor]:
        """Sharded, it is put together in process 0; the others get nothing."""
        if not self.launch.shard:
            return super().whole_state(optimizer)
        self.order(Order.GATHER, 1)
        parameters = dict(self._model.named_parameters())
        found = {}
        with together(), torch.no_grad():
            for name, tensor in state_tensors(self._model, optimizer).items():
                key, _, of = name.partition(".")
                full = tensor if key == "step" else _full(tensor, parameters[of])
                if self.launch.leads:
                    found[name] = full
        return found

    def end(self) -> None:
        """Process 0 lets the others go; each leaves."""
        try:
            self.order(Order.END)
        except RankError:
            pass  # they have gone already
        finally:
            dist.destroy_process_group()


def brief(
    config: RunConfig, dataset: Dataset, checkpoint: Checkpoint | None, device: torch.device = CPU
) -> dict[str, Any]:
    """What the others are told: what the run is, and from which checkpoint it goes on."""
    return {
        "made_by": made_by(device),
        "config": config.model_dump(),
        "corpus": dataset.corpus.sha256,
        "tokenizer": dataset.tokenizer.to_str(),
        "shuffle": dataset.shuffle,
        "checkpoint": str(checkpoint.path.resolve()) if checkpoint else "",
    }


def made_by(device: torch.device = CPU) -> str:
    """The program, its torch and where it trains: other ones round differently, or have other messages."""
    on = "" if device.type == "cpu" else " on a GPU"
    return f"nexus-tui {__version__} with torch {torch.__version__}{on}"


class _Loss(nn.Module):
    """The model's loss as a forward pass, which is what DDP looks after."""

    def __init__(self, model: HybridLM) -> None:
        super().__init__()
        self._model = model

    def forward(self, ids: Tensor, targets: Tensor, dropout: Drop | None) -> Tensor:
        return self._model.loss(ids, targets, dropout=dropout)


def shard(model: HybridLM, size: int) -> None:
    """Divide the matrices of a model among processes, a layer at a time.

    What is no matrix stays whole in each: our kernels take its memory as an array, which torch then cannot
    free between forward and backward, and it is not a hundredth of a model.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(next(model.parameters()).device.type, (size,))
    whole = {parameter for parameter in model.parameters() if parameter.ndim != 2}
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, ignored_params=whole)
    fully_shard(model, mesh=mesh, ignored_params=whole)
    register_fsdp_forward_method(model, "loss")


def undivided(parameter: Tensor) -> bool:
    """Whether every process has all of a parameter."""
    return not hasattr(parameter, "device_mesh")


def _full(part: Tensor, parameter: Tensor) -> Tensor:
    """The whole of what each process has a part of, as of a parameter. All processes must ask at once."""
    if undivided(parameter):
        return part
    from torch.distributed.tensor import DTensor

    assert isinstance(parameter, DTensor)
    divided = DTensor.from_local(
        local(part),
        parameter.device_mesh,
        parameter.placements,
        shape=parameter.shape,
        stride=parameter.stride(),
    )
    full: Tensor = divided.full_tensor()
    return full


@contextmanager
def together() -> Iterator[None]:
    """Within, a process that has gone is said in one sentence."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not isinstance(error, dist.DistError) and "gloo" not in text and "NCCL" not in text:
            raise
        reason = re.sub(r"\[/?\w[^] ]*/[^]]*\] ", "", text.partition("\n")[0]).partition(". ")[0]
        raise RankError(
            f"another process of this training has gone or does not answer ({reason}); what was saved is "
            "whole: start them again with --resume."
        ) from error

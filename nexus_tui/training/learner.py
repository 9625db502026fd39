"""The learner: weights, optimizer and batches; what one optimizer step does, and how it is kept on disk."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.data.windows import Windows
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Drop
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.checkpoints import OPTIMIZER, STATE, Checkpoint, CheckpointError
from nexus_tui.training.device import CPU
from nexus_tui.training.health import DivergedError, Spike, SpikeWatch, unsound
from nexus_tui.training.masks import RowDropout, Stream
from nexus_tui.training.optimizer import adamw, load_parameters, load_state_tensors, local, read_state_tensors
from nexus_tui.training.ranks import Alone
from nexus_tui.training.schedule import learning_rate
from nexus_tui.untrusted_files import read_file

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Stepped:
    """What one optimizer step was: nats per token, and seconds."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    spike: Spike | None = None
    """Where its loss begins one."""


class State(msgspec.Struct, frozen=True):
    """What state.json says; what else is in it is not needed to go on."""

    step: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    rate_scale: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    planned_steps: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None


def read_state(path: Path) -> State:
    """A checkpoint's state.json. Raises ValueError, naming the file."""
    try:
        return msgspec.json.decode(read_file(path), type=State)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise ValueError(f"{path} is damaged ({error})") from None


_AT_ONCE = 32_768
"""Tokens of a micro-batch on a GPU, if the configuration does not say how many windows: it is to be full."""


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds: a Hugging Face model folder and what resuming needs."""

    model: HybridLM
    averages: dict[str, Tensor]
    state: dict[str, float]
    tokenizer: Tokenizer
    come: Callable[[], None] | None = None
    """Waits until all of it is there."""

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder.

        Raises DivergedError if a weight, or a number of the optimizer's state, is not finite. A step tells
        that of all that it reads, but it reads nothing of a token that does not occur.
        """
        if self.come:
            self.come()
        weights = ((f"the weight {name}", parameter) for name, parameter in self.model.named_parameters())
        numbers = ((f"the optimizer's {name}", tensor) for name, tensor in self.averages.items())
        if found := unsound(weights) or unsound(numbers):
            step = int(self.state["step"])
            raise DivergedError(step, f"after step {step:,}, {found}")
        save_model(self.model, folder)
        self.tokenizer.save(str(folder / TOKENIZER))
        save_file(self.averages, folder / OPTIMIZER)
        (folder / STATE).write_text(json.dumps(self.state) + "\n")


class Learner:
    """A model in training at some step, on some device."""

    aside = False
    """Whether what is `kept` stays as it is while training goes on."""

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        ranks: Alone | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.config = config
        self.ranks = ranks or Alone()
        self.device = device
        self.dataset = dataset
        self.step = 0
        self.total = config.budget.steps
        """Steps that are planned: the configuration's, unless somebody has wished for others."""
        self.rate_scale = 1.0
        self.spikes = SpikeWatch(config.spike)
        """Knows the losses of this process' steps; of a resumed run, give it those before."""
        self.at_once = config.windows_at_once if device == CPU else config.windows_within(_AT_ONCE)
        """Windows of a micro-batch."""
        self.model = HybridLM(config.model, seed=config.run.seed).to(device)
        self.ranks.take(self.model, precision(config, device))
        self.optimizer = adamw(self.model, config.optimizer)

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.tokens_of(self.step)

    def tokens_of(self, step: int) -> int:
        """Tokens trained on by the end of a step."""
        return step * self.config.budget.batch * self.config.data.window

    def advance(self) -> list[Stepped]:
        """Forward, backward, clip, update. Returns the steps that are known by now: this one at the latest by
        the next `advance` or `settle`.

        Raises DivergedError instead of an update that would do harm; the weights are then those before.
        """
        started = time.perf_counter()
        config, step = self.config, self.step + 1
        self.ranks.advance(self.rate_scale, self.total)
        rate = learning_rate(config, step, self.total) * self.rate_scale
        loss = self._backward(step)
        norm = self.ranks.norm()
        spike = self._checked(step, loss, float(norm))
        self.ranks.clip(config.optimizer.clip, norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step = step
        return [Stepped(step, loss, rate, float(norm), time.perf_counter() - started, spike)]

    def settle(self) -> list[Stepped]:
        """Wait until all that was begun is done. Returns the steps that were not known yet.

        Raises as `advance`.
        """
        return []

    def _checked(self, step: int, loss: float, norm: float) -> Spike | None:
        """Whether a spike begins with this loss. Raises DivergedError for what would harm the weights."""
        cause, spike = "", None
        if not (math.isfinite(loss) and math.isfinite(norm)):
            what = f"the loss of step {step:,} is {loss:g}"
            if math.isfinite(loss):
                what = f"the gradient of step {step:,} is not finite (its loss is {loss:.4g})"
            cause = "; ".join(filter(None, (what, self._unsound())))
        elif self.config.spike.action != "ignore":
            spike = self.spikes.see(step, loss)
            if spike and self.config.spike.action == "stop":
                cause = f"the loss of step {step:,} is a spike, {spike}"
        if cause:
            self.optimizer.zero_grad()
            raise DivergedError(step, cause, loss, norm, spike)
        return spike

    def _unsound(self) -> str:
        """The first weight, else gradient, of this process with numbers that are not finite, in words."""
        weights = [(name, parameter) for name, parameter in self.model.named_parameters()]
        gradients = [(f"the gradient of {name}", p.grad) for name, p in weights if p.grad is not None]
        named = [(f"the weight {name}", parameter) for name, parameter in weights] + gradients
        return unsound((name, local(tensor)) for name, tensor in named)

    @torch.no_grad()
    def window_losses(self, step: int) -> list[float]:
        """What each window of the batch of `step` costs under the weights of now, in nats per token.

        Without dropout: [batch].
        """
        inputs, targets = self._batch(step)
        found: list[float] = []
        for start in range(0, len(inputs), self.at_once):
            part = slice(start, start + self.at_once)
            ids, wanted = (torch.from_numpy(each[part]).to(self.device) for each in (inputs, targets))
            found += self.model.loss(ids, wanted, reduction="none").mean(-1).tolist()
        return found

    def _batch(self, step: int) -> tuple[Windows, Windows]:
        config = self.config
        return self.dataset.batch(config.data.window, config.budget.batch, config.run.seed, step)

    def _backward(self, step: int) -> float:
        """Gradients of the mean loss over the batch of `step`, in micro-batches. Returns that mean."""
        inputs, targets = self._batch(step)
        size, total = len(inputs), 0.0
        for part, last in self._parts(size):
            ids, wanted = (
                torch.from_numpy(each[part.start : part.stop]).to(self.device) for each in (inputs, targets)
            )
            total += self.ranks.learn(
                ids, wanted, len(part) / size, self._dropout(step, part), last=last
            ).item()
        return self.ranks.total(total)

    def _parts(self, size: int) -> Iterator[tuple[range, bool]]:
        """The micro-batches of this process' rows of a batch, and whether each is the last."""
        rows = self.ranks.rows(size)
        for start in range(rows.start, rows.stop, self.at_once):
            part = range(start, min(start + self.at_once, rows.stop))
            yield part, part.stop == rows.stop

    def _dropout(self, step: int, rows: range) -> Drop | None:
        """What is left out of some rows of the batch: the same, whoever holds them."""
        place = torch.tensor([step, rows.start])
        return self._dropout_at(place.to(self.device), rows)

    def _dropout_at(self, place: Tensor, rows: range) -> Drop | None:
        """The same, for a place [step, first row] that a GPU reads when it gets there."""
        config, rate = self.config, self.config.regularization.dropout
        if not rate:
            return None
        if self.device.type == "cuda":
            from nexus_tui.lm.dropout_cuda import DeviceDropout

            return DeviceDropout(rate, config.run.seed, place)
        step, first = place.tolist()
        calls = 2 * config.model.num_hidden_layers
        stream = Stream(config.run.seed, step, calls, config.budget.batch, self.at_once)
        return RowDropout(rate, stream, range(first, first + len(rows)))

    def kept(self) -> "Kept":
        """What a checkpoint of now holds. Unless `aside`, it is the learner's own, and changes with it."""
        model, tensors = self.ranks.whole(), self.ranks.whole_state(self.optimizer)
        return Kept(model, tensors, self._state(), self.dataset.tokenizer)

    def _state(self) -> dict[str, float]:
        return {
            "step": self.step,
            "tokens": self.tokens,
            "rate_scale": self.rate_scale,
            "planned_steps": self.total,
        }

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; from weights alone, with an optimizer that has seen nothing yet.

        Raises CheckpointError if it is damaged or not of this configuration.
        """
        if not (checkpoint.resumable or checkpoint.weights_alone):
            raise CheckpointError(f"{checkpoint.path} has no {OPTIMIZER}; resume from another checkpoint.")
        checkpoint.verify()
        try:
            loaded = load_model(checkpoint.path)
            if loaded.config != self.config.model:
                raise ValueError("its architecture is not the run's")
            if found := unsound(loaded.named_parameters()):
                raise ValueError(f"its {found}; resume from an earlier checkpoint")
            load_parameters(self.model, loaded)
            if checkpoint.weights_alone:
                self.step = checkpoint.step
            else:
                self._load_state(checkpoint)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{checkpoint.path} cannot be resumed from: {error}") from error
        self.ranks.loaded()

    def _load_state(self, checkpoint: Checkpoint) -> None:
        state = read_state(checkpoint.path / STATE)
        tensors = read_state_tensors(self.model, checkpoint.path / OPTIMIZER)
        if found := unsound(tensors.items()):
            raise ValueError(f"its optimizer's {found}; resume from an earlier checkpoint")
        load_state_tensors(self.model, self.optimizer, tensors)
        self.step, self.rate_scale = state.step, state.rate_scale
        self.total = state.planned_steps or self.total


def precision(config: RunConfig, device: torch.device) -> torch.dtype:
    """Of the products of a training: 32 bits on the processor, bf16 on a GPU unless 32 are wished for."""
    return torch.float32 if device == CPU or config.budget.precision == "fp32" else torch.bfloat16

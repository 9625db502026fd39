"""The learner: weights, optimizer and batches; what one optimizer step does, and how it is kept on disk."""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import torch
from safetensors.torch import save_file

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.data.windows import Windows
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Dropout
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.checkpoints import OPTIMIZER, STATE, Checkpoint, CheckpointError
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


class Learner:
    """A model in training at some step."""

    def __init__(self, config: RunConfig, dataset: Dataset, ranks: Alone | None = None) -> None:
        self.config = config
        self.ranks = ranks or Alone()
        self.dataset = dataset
        self.step = 0
        self.total = config.budget.steps
        """Steps that are planned: the configuration's, unless somebody has wished for others."""
        self.rate_scale = 1.0
        self.spikes = SpikeWatch(config.spike)
        """Knows the losses of this process' steps; of a resumed run, give it those before."""
        self.model = HybridLM(config.model, seed=config.run.seed)
        self.ranks.take(self.model)
        self.optimizer = adamw(self.model, config.optimizer)

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.step * self.config.budget.batch * self.config.data.window

    def advance(self) -> Stepped:
        """Forward, backward, clip, update.

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
        return Stepped(loss, rate, float(norm), time.perf_counter() - started, spike)

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
        for start in range(0, len(inputs), self.config.windows_at_once):
            part = slice(start, start + self.config.windows_at_once)
            ids, wanted = torch.from_numpy(inputs[part]), torch.from_numpy(targets[part])
            found += self.model.loss(ids, wanted, reduction="none").mean(-1).tolist()
        return found

    def _batch(self, step: int) -> tuple[Windows, Windows]:
        config = self.config
        return self.dataset.batch(config.data.window, config.budget.batch, config.run.seed, step)

    def _backward(self, step: int) -> float:
        """Gradients of the mean loss over the batch of `step`, in micro-batches. Returns that mean."""
        inputs, targets = self._batch(step)
        size, at_once = len(inputs), self.config.windows_at_once
        rows, total = self.ranks.rows(size), 0.0
        for start in range(rows.start, rows.stop, at_once):
            part = range(start, min(start + at_once, rows.stop))
            ids, wanted = (torch.from_numpy(each[part.start : part.stop]) for each in (inputs, targets))
            last = part.stop == rows.stop
            total += self.ranks.learn(ids, wanted, len(part) / size, self._dropout(step, part), last=last)
        return self.ranks.total(total)

    def _dropout(self, step: int, rows: range) -> Dropout | None:
        """What is left out of some rows of the batch: the same, whoever holds them."""
        config, rate = self.config, self.config.regularization.dropout
        if not rate:
            return None
        calls, at_once = 2 * config.model.num_hidden_layers, config.windows_at_once
        return RowDropout(rate, Stream(config.run.seed, step, calls, config.budget.batch, at_once), rows)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder: a Hugging Face model folder and what resuming needs.

        Raises DivergedError if a weight, or a number of the optimizer's state, is not finite. A step tells
        that of all that it reads, but it reads nothing of a token that does not occur.
        """
        model, tensors = self.ranks.whole(), self.ranks.whole_state(self.optimizer)
        weights = ((f"the weight {name}", parameter) for name, parameter in model.named_parameters())
        numbers = ((f"the optimizer's {name}", tensor) for name, tensor in tensors.items())
        if found := unsound(weights) or unsound(numbers):
            raise DivergedError(self.step, f"after step {self.step:,}, {found}")
        save_model(model, folder)
        self.dataset.tokenizer.save(str(folder / TOKENIZER))
        save_file(tensors, folder / OPTIMIZER)
        state = {
            "step": self.step,
            "tokens": self.tokens,
            "rate_scale": self.rate_scale,
            "planned_steps": self.total,
        }
        (folder / STATE).write_text(json.dumps(state) + "\n")

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

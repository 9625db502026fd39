"""The learner: weights, optimizer and batches; what one optimizer step does, and how it is kept on disk."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.data.windows import batch
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Dropout
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.checkpoints import OPTIMIZER, Checkpoint, CheckpointError
from nexus_tui.training.masks import RowDropout, Stream
from nexus_tui.training.optimizer import adamw, load_parameters, load_state_tensors
from nexus_tui.training.ranks import Alone
from nexus_tui.training.schedule import learning_rate

STATE = "state.json"
TOKENIZER = "tokenizer.json"
_TOKENS_AT_ONCE = 4096
"""Of a micro-batch at most. Part of what makes losses reproducible: rounding depends on it."""


class DivergedError(Exception):
    """Loss or gradient is no finite number; the weights are those before the step."""


@dataclass(frozen=True)
class Stepped:
    """What one optimizer step was: nats per token, and seconds."""

    loss: float
    lr: float
    grad_norm: float
    seconds: float


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
        self.model = HybridLM(config.model, seed=config.run.seed)
        self.ranks.take(self.model)
        self.optimizer = adamw(self.model, config.optimizer)

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.step * self.config.budget.batch * self.config.data.window

    def advance(self) -> Stepped:
        """Forward, backward, clip, update. Raises DivergedError before a harmful update."""
        started = time.perf_counter()
        config, step = self.config, self.step + 1
        self.ranks.advance(self.rate_scale, self.total)
        rate = learning_rate(config, step, self.total) * self.rate_scale
        loss = self._backward(step)
        norm = self.ranks.clip(config.optimizer.clip)
        if not (torch.isfinite(torch.tensor([loss, norm])).all()):
            self.optimizer.zero_grad()
            raise DivergedError(f"loss {loss:.4g} and gradient norm {norm:.4g} at step {step}")
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step = step
        return Stepped(loss, rate, norm, time.perf_counter() - started)

    def _backward(self, step: int) -> float:
        """Gradients of the mean loss over the batch of `step`, in micro-batches. Returns that mean."""
        size, window = self.config.budget.batch, self.config.data.window
        inputs, targets = batch(self.dataset.train, window, size, self.config.run.seed, step)
        rows, at_once = self.ranks.rows(size), max(1, _TOKENS_AT_ONCE // window)
        total = 0.0
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
        at_once = max(1, _TOKENS_AT_ONCE // config.data.window)
        calls = 2 * config.model.num_hidden_layers
        return RowDropout(rate, Stream(config.run.seed, step, calls, config.budget.batch, at_once), rows)

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder: a Hugging Face model folder and what resuming needs."""
        save_model(self.ranks.whole(), folder)
        self.dataset.tokenizer.save(str(folder / TOKENIZER))
        save_file(self.ranks.whole_state(self.optimizer), folder / OPTIMIZER)
        state = {
            "step": self.step,
            "tokens": self.tokens,
            "rate_scale": self.rate_scale,
            "planned_steps": self.total,
        }
        (folder / STATE).write_text(json.dumps(state) + "\n")

    def load(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint. Raises CheckpointError if it is damaged or not of this configuration."""
        if not checkpoint.resumable:
            raise CheckpointError(f"{checkpoint.path} has no {OPTIMIZER}; resume from another checkpoint.")
        checkpoint.verify()
        try:
            state: dict[str, Any] = json.loads((checkpoint.path / STATE).read_bytes())
            loaded = load_model(checkpoint.path)
            if loaded.config != self.config.model:
                raise ValueError("its architecture is not the run's")
            load_parameters(self.model, loaded)
            load_state_tensors(self.model, self.optimizer, load_file(checkpoint.path / OPTIMIZER))
            self.step, self.rate_scale = int(state["step"]), float(state["rate_scale"])
            self.total = int(state.get("planned_steps", self.total))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise CheckpointError(f"{checkpoint.path} cannot be resumed from: {error}") from error
        self.ranks.loaded()

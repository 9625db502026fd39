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
from nexus_tui.data.random import generator
from nexus_tui.data.windows import batch
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.layers import Dropout
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs.checkpoints import OPTIMIZER, Checkpoint, CheckpointError
from nexus_tui.training.optimizer import adamw, load_state_tensors, state_tensors
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

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset
        self.step = 0
        self.total = config.budget.steps
        """Steps that are planned: the configuration's, unless somebody has wished for others."""
        self.rate_scale = 1.0
        self.model = HybridLM(config.model, seed=config.run.seed)
        self.optimizer = adamw(self.model, config.optimizer)

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.step * self.config.budget.batch * self.config.data.window

    def advance(self) -> Stepped:
        """Forward, backward, clip, update. Raises DivergedError before a harmful update."""
        started = time.perf_counter()
        config, step = self.config, self.step + 1
        rate = learning_rate(config, step, self.total) * self.rate_scale
        loss = self._backward(step)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip))
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
        at_once = max(1, _TOKENS_AT_ONCE // window)
        rate = self.config.regularization.dropout
        dropout = Dropout(rate, generator(self.config.run.seed, "dropout", step)) if rate else None
        total = 0.0
        for start in range(0, size, at_once):
            part = slice(start, start + at_once)
            share = len(inputs[part]) / size
            ids, wanted = torch.from_numpy(inputs[part]), torch.from_numpy(targets[part])
            loss = self.model.loss(ids, wanted, dropout=dropout) * share
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total

    def write(self, folder: Path) -> None:
        """Fill a checkpoint folder: a Hugging Face model folder and what resuming needs."""
        save_model(self.model, folder)
        self.dataset.tokenizer.save(str(folder / TOKENIZER))
        save_file(state_tensors(self.model, self.optimizer), folder / OPTIMIZER)
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
            self.model.load_state_dict(loaded.state_dict())
            load_state_tensors(self.model, self.optimizer, load_file(checkpoint.path / OPTIMIZER))
            self.step, self.rate_scale = int(state["step"]), float(state["rate_scale"])
            self.total = int(state.get("planned_steps", self.total))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise CheckpointError(f"{checkpoint.path} cannot be resumed from: {error}") from error

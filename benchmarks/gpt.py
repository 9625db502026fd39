"""A plain GPT of the reference model's size, and its training on the same windows, kept as a run.

`python -m benchmarks.gpt RUNS` trains it and writes RUNS/gpt: a journal that the app and `benchmarks.budget`
read like any other. It has no checkpoints.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.data.random import generator
from nexus_tui.data.windows import batch
from nexus_tui.lm.layers import Dropout
from nexus_tui.runs import journal as j
from nexus_tui.training.evaluation import Validation, summary, validation
from nexus_tui.training.learner import Stepped
from nexus_tui.training.schedule import learning_rate


class Block(nn.Module):
    """A block of a GPT: norm, attention, norm, feed-forward network."""

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(channels, bias=False) for _ in range(2))
        self.qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)
        self.up = nn.Linear(channels, hidden, bias=False)
        self.down = nn.Linear(hidden, channels, bias=False)

    def forward(self, x: Tensor, dropout: Dropout | None = None) -> Tensor:
        """[batch, length, channel] -> [batch, length, channel]."""
        batch, length, channels = x.shape
        split = (batch, length, self.heads, channels // self.heads)
        q, k, v = (part.view(split).transpose(1, 2) for part in self.qkv(self.norms[0](x)).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed = self.out(mixed.transpose(1, 2).reshape(batch, length, channels))
        x = x + (dropout(mixed) if dropout else mixed)
        fed = self.down(F.gelu(self.up(self.norms[1](x))))
        return x + (dropout(fed) if dropout else fed)


class GPT(nn.Module):
    """A GPT over bytes in plain torch (Radford et al., 2019), of the reference model's parameter count.

    GPT-2's initialisation: normal of 0.02, the projections back into the residual stream scaled by
    1/sqrt(2 · layers). The head is the embedding.
    """

    def __init__(
        self, channels: int = 256, layers: int = 8, heads: int = 8, hidden: int = 1104, window: int = 128
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(256, channels)
        self.positions = nn.Embedding(window, channels)
        self.blocks = nn.ModuleList(Block(channels, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(channels, bias=False)
        drawn = torch.Generator().manual_seed(1)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                deviation = 0.02 / math.sqrt(2 * layers) if residual else 0.02
                nn.init.normal_(parameter, 0, deviation, generator=drawn)

    def loss(
        self, ids: Tensor, targets: Tensor, reduction: str = "mean", dropout: Dropout | None = None
    ) -> Tensor:
        """Cross entropy in nats per token; ids and targets [batch, length]. See `HybridLM.loss`."""
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, dropout)
        logits = F.linear(self.norm(x), self.tokens.weight)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)
        return loss if reduction == "mean" else loss.view_as(targets)


class GPTLearner:
    """A GPT in training by the recipe of a configuration, whose model is not looked at; as `Learner` is."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self.dataset = dataset
        self.step = 0
        self.model = GPT(window=config.data.window)
        matrices, vectors = ([p for p in self.model.parameters() if p.ndim == n] for n in (2, 1))
        groups = [
            {"params": matrices, "weight_decay": config.optimizer.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=config.optimizer.betas, fused=True)

    def advance(self) -> Stepped:
        """Forward, backward, clip, update."""
        started = time.perf_counter()
        self.step += 1
        config, step, seed = self.config, self.step, self.config.run.seed
        rate = learning_rate(config, step)
        share = config.regularization.dropout
        dropout = Dropout(share, generator(seed, "dropout", step)) if share else None
        inputs, targets = batch(self.dataset.train, config.data.window, config.budget.batch, seed, step)
        loss = self.model.loss(torch.from_numpy(inputs), torch.from_numpy(targets), dropout=dropout)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), config.optimizer.clip))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return Stepped(loss.item(), rate, norm, time.perf_counter() - started)


def train(learner: GPTLearner, scored: Validation, journal: j.Journal) -> None:
    """Train to the end of the budget, putting every step and evaluation on record."""
    config = learner.config
    while learner.step < config.budget.steps:
        done, step = learner.advance(), learner.step
        journal.append(
            j.StepEvent(
                step=step,
                loss=done.loss,
                lr=done.lr,
                grad_norm=done.grad_norm,
                tokens=step * config.budget.batch * config.data.window,
                seconds=round(done.seconds, 6),
            )
        )
        if step % config.evaluation.every == 0 or step == config.budget.steps:
            loss, stderr = summary(np.concatenate(list(scored.losses(learner.model))))  # type: ignore[arg-type]
            journal.append(
                j.EvaluatedEvent(
                    step=step,
                    checkpoint="",
                    loss=loss,
                    stderr=stderr,
                    bits_per_byte=scored.bits_per_byte(loss),
                    windows=len(scored.inputs),
                    protocol=scored.protocol,
                )
            )


def main() -> None:
    """Train it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("--name", default="gpt")
    parser.add_argument("--model", default="nexus-byte", help="the preset whose recipe is followed")
    parser.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    arguments = parser.parse_args()
    config = RunConfig.load(arguments.model, arguments.set)
    data = config.data
    dataset = prepare(load_corpus(data.corpus), "byte", 256, data.validation, holdout=data.holdout)
    folder = arguments.runs / arguments.name
    folder.mkdir(parents=True)
    (folder / "run.toml").write_text(config.to_toml())
    journal = j.Journal(folder / "journal.jsonl")
    learner = GPTLearner(config, dataset)
    journal.append(
        j.StartedEvent(
            kind="gpt",
            parameters=sum(parameter.numel() for parameter in learner.model.parameters()),
            train_tokens=len(dataset.train),
            validation_tokens=len(dataset.validation),
            validation_bytes=dataset.validation_bytes,
        )
    )
    train(learner, validation(dataset, data.window), journal)
    journal.append(j.EndedEvent(step=config.budget.steps, reason="finished"))


if __name__ == "__main__":
    main()

"""A plain GPT of the reference model's size, and a step of its training by the recipe of a configuration."""

import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.config import RunConfig
from nexus_tui.data.dataset import Dataset
from nexus_tui.data.random import generator
from nexus_tui.data.windows import batch
from nexus_tui.lm.layers import Dropout
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
        return Stepped(step, loss.item(), rate, norm, time.perf_counter() - started)

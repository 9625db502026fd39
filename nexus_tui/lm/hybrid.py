"""The hybrid language model: embeddings, a stack of Mamba and attention blocks, the head.

Parameter names, shapes and mathematics are those of `JambaForCausalLM` in Hugging Face transformers with one
expert a layer, so a state dict of either loads into the other.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nexus_tui.lm.attention import Attention
from nexus_tui.lm.cache import AttentionState, Cache, MambaState
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.layers import Drop, FeedForward, RMSNorm
from nexus_tui.lm.mamba import Mamba

# dt starts log-uniform between these, arXiv 2312.00752 section 3.6
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 0.1, 1e-4


class AttentionBlock(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.feed_forward = FeedForward(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.pre_ff_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, state: AttentionState | None = None, dropout: Drop | None = None) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]; dropout falls on what is added."""
        mixed = self.self_attn(self.input_layernorm(x), state)
        x = x + (dropout(mixed) if dropout else mixed)
        fed = self.feed_forward(self.pre_ff_layernorm(x))
        return x + (dropout(fed) if dropout else fed)


class MambaBlock(nn.Module):
    """x + mamba(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        self.mamba = Mamba(config)
        self.feed_forward = FeedForward(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.pre_ff_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, state: MambaState | None = None, dropout: Drop | None = None) -> Tensor:
        """[batch, length, hidden] -> [batch, length, hidden]; dropout falls on what is added."""
        mixed = self.mamba(self.input_layernorm(x), state)
        x = x + (dropout(mixed) if dropout else mixed)
        fed = self.feed_forward(self.pre_ff_layernorm(x))
        return x + (dropout(fed) if dropout else fed)


class Stack(nn.Module):
    """Token ids to the final hidden state: everything but the head."""

    def __init__(self, config: JambaConfig) -> None:
        super().__init__()
        # Given a table it draws none; drawing one without memory would import torch's compiler.
        table = torch.empty(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, _weight=table)
        self.layers = nn.ModuleList(
            AttentionBlock(config) if kind == "attention" else MambaBlock(config)
            for kind in config.layer_kinds
        )
        self.final_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, ids: Tensor, cache: Cache | None = None, dropout: Drop | None = None) -> Tensor:
        """Token ids [batch, length] -> hidden states [batch, length, hidden]."""
        x = self.embed_tokens(ids)
        for index, layer in enumerate(self.layers):
            x = layer(x, None if cache is None else cache.layers[index], dropout)
        if cache is not None:
            cache.length += ids.shape[1]
        return self.final_layernorm(x)  # type: ignore[no-any-return]


class HybridLM(nn.Module):
    """A causal language model of Mamba and attention blocks.

    `seed` (or a `torch.Generator`) alone decides the initial weights; the global generator is neither read
    nor advanced. Mamba's own initialisation, with the projections back into the residual stream scaled by
    1/sqrt(2 · layers) as in GPT-2.
    """

    def __init__(self, config: JambaConfig, seed: int | torch.Generator = 0) -> None:
        super().__init__()
        self.config = config
        with torch.device("meta"):  # the layers' own initialisation would draw from the global generator
            self.model = Stack(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        _allocate(self)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        self._initialise(generator)

    def forward(self, ids: Tensor, cache: Cache | None = None, last_only: bool = False) -> Tensor:
        """Logits of the token after each one.

        ids: int64 [batch, length]; with a cache they follow the tokens read into it, and it is advanced.
        Returns [batch, length, vocab], or with `last_only` [batch, 1, vocab]: what follows the last token.
        """
        hidden = self.model(ids, cache)
        if last_only:
            hidden = hidden[:, -1:]
        return self.lm_head(hidden)  # type: ignore[no-any-return]

    def loss(
        self,
        ids: Tensor,
        targets: Tensor,
        reduction: Literal["mean", "none"] = "mean",
        dropout: Drop | None = None,
    ) -> Tensor:
        """Cross entropy in nats per token of targets [batch, length] after ids [batch, length].

        `dropout` falls on what every layer adds to the residual stream. Returns the mean over all tokens, or
        with `reduction="none"` every token's [batch, length].
        """
        logits = self.lm_head(self.model(ids, dropout=dropout))
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction=reduction)
        return loss if reduction == "mean" else loss.view_as(targets)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        config = self.config
        residual = 1 / math.sqrt(2 * config.num_hidden_layers)
        for name, parameter in self.named_parameters():
            match name.split("."):
                case [*_, "A_log"]:
                    parameter.copy_(
                        torch.log(torch.arange(1.0, config.mamba_d_state + 1)).expand_as(parameter)
                    )
                case [*_, "D"]:
                    parameter.fill_(1)
                case [*_, "dt_proj", "weight"]:
                    bound = config.mamba_dt_rank**-0.5
                    parameter.uniform_(-bound, bound, generator=generator)
                case [*_, "dt_proj", "bias"]:
                    _initialise_dt(parameter, generator)
                case [*_, "conv1d", _]:
                    bound = config.mamba_d_conv**-0.5
                    parameter.uniform_(-bound, bound, generator=generator)
                case [*_, "out_proj" | "o_proj" | "down_proj", _]:
                    parameter.normal_(0, config.initializer_range * residual, generator=generator)
                case _ if parameter.ndim == 1:  # the norms
                    parameter.fill_(1)
                case _:
                    parameter.normal_(0, config.initializer_range, generator=generator)


def _allocate(model: nn.Module) -> None:
    """Put memory behind parameters that have none, as `Module.to_empty`, which imports sympy first."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(parameter.shape, device="cpu")))


def _initialise_dt(bias: Tensor, generator: torch.Generator) -> None:
    """Draw dt log-uniform between DT_MIN and DT_MAX and store its inverse softplus."""
    uniform = torch.rand(bias.shape, generator=generator)
    dt = torch.exp(uniform * math.log(DT_MAX / DT_MIN) + math.log(DT_MIN)).clamp(min=DT_FLOOR)
    bias.copy_(dt + torch.log(-torch.expm1(-dt)))


def no_decay(name: str, parameter: Tensor) -> bool:
    """Whether weight decay must leave a parameter alone: A_log, D, norms, biases and embeddings.

    The convolution and every other matrix decay, as in Mamba's own code.
    """
    return parameter.ndim < 2 or name.endswith(("A_log", "embed_tokens.weight"))


def parameter_count(model: nn.Module) -> int:
    """Trained numbers in a model; what is shared counts once."""
    return sum(parameter.numel() for parameter in model.parameters())

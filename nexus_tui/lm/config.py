"""The architecture of a model, in the words of Jamba's config.json."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class JambaConfig(BaseModel):
    """Architecture of a Jamba-type hybrid with one expert (dense) a layer.

    The fields are those of `JambaConfig` in Hugging Face transformers, so that `to_hugging_face` is a
    `config.json` and `from_hugging_face` reads one. Sizes count channels.

    Source: Lieber et al., Jamba, arXiv 2403.19887; Gu and Dao, Mamba, arXiv 2312.00752.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocab_size: int = Field(256, ge=2, le=1_000_000)
    hidden_size: int = Field(256, ge=1, le=65_536)
    intermediate_size: int = Field(896, ge=1, le=262_144)
    num_hidden_layers: int = Field(6, ge=1, le=512)
    num_attention_heads: int = Field(8, ge=1)
    num_key_value_heads: int = Field(2, ge=1)
    attn_layer_period: int = Field(6, ge=1)
    attn_layer_offset: int = Field(3, ge=0)
    mamba_d_state: int = Field(32, ge=1, le=256)
    mamba_d_conv: int = Field(4, ge=1, le=16)
    mamba_expand: int = Field(2, ge=1, le=8)
    mamba_dt_rank: int = Field(16, ge=1)
    rms_norm_eps: float = Field(1e-6, gt=0)
    initializer_range: float = Field(0.02, gt=0)
    tie_word_embeddings: bool = False

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )
        if self.attn_layer_offset >= self.attn_layer_period:
            raise ValueError(
                f"attn_layer_offset {self.attn_layer_offset} is not below "
                f"attn_layer_period {self.attn_layer_period}"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def mamba_channels(self) -> int:
        """Channels inside a Mamba mixer."""
        return self.mamba_expand * self.hidden_size

    @property
    def parameters(self) -> int:
        """How many numbers the weights are; those of a tied head count once."""
        hidden, inner, state, rank = (
            self.hidden_size,
            self.mamba_channels,
            self.mamba_d_state,
            self.mamba_dt_rank,
        )
        keys = self.num_key_value_heads * self.head_dim
        attention = 2 * hidden * (hidden + keys)
        mamba = inner * (
            3 * hidden + self.mamba_d_conv + 1 + (rank + 2 * state) + (rank + 1) + state + 1
        ) + rank + 2 * state  # fmt: skip
        mixers = sum(attention if kind == "attention" else mamba for kind in self.layer_kinds)
        block = 3 * hidden * self.intermediate_size + 2 * hidden
        tables = self.vocab_size * hidden * (1 if self.tie_word_embeddings else 2)
        return mixers + self.num_hidden_layers * block + hidden + tables

    @property
    def layer_kinds(self) -> list[Literal["attention", "mamba"]]:
        """The mixer of every layer, first to last."""
        return [
            "attention" if layer % self.attn_layer_period == self.attn_layer_offset else "mamba"
            for layer in range(self.num_hidden_layers)
        ]

    def to_hugging_face(self) -> dict[str, Any]:
        """The contents of `config.json` for transformers' `JambaForCausalLM`."""
        return {
            "architectures": ["JambaForCausalLM"],
            "model_type": "jamba",
            **self.model_dump(),
            "hidden_act": "silu",
            "attention_dropout": 0.0,
            "mamba_conv_bias": True,
            "mamba_proj_bias": False,
            "num_experts": 1,
            "num_experts_per_tok": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "output_router_logits": False,
            "use_cache": True,
            "pad_token_id": None,
            "bos_token_id": None,
            "eos_token_id": None,
            "dtype": "float32",
        }

    @classmethod
    def from_hugging_face(cls, config: dict[str, Any]) -> Self:
        """Read a `config.json`; what it leaves out is what transformers takes for it.

        Raises ValueError for what this model cannot represent.
        """
        said = _ABSENT | config
        if _experts(said) != 1:
            raise ValueError(f"num_experts is {_experts(said)!r}; only 1 can be loaded")
        for key, value in _REQUIRED.items():
            if said[key] != value:
                raise ValueError(f"{key} is {said[key]!r}; only {value!r} can be loaded")
        if said.get("quantization_config"):
            raise ValueError("its weights are quantised; load it with transformers and save it dequantised")
        if said["mamba_dt_rank"] == "auto" and isinstance(said["hidden_size"], int):
            said["mamba_dt_rank"] = -(said["hidden_size"] // -16)
        if said["num_key_value_heads"] is None:
            said["num_key_value_heads"] = said["num_attention_heads"]
        return cls(**{key: value for key, value in said.items() if key in cls.model_fields})


_REQUIRED = {"hidden_act": "silu", "mamba_conv_bias": True, "mamba_proj_bias": False}
"""What of a config.json is one way here."""
_ABSENT: dict[str, Any] = {
    **_REQUIRED,
    "vocab_size": 65_536,
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "attn_layer_period": 8,
    "attn_layer_offset": 4,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_dt_rank": "auto",
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
}
"""transformers' `JambaConfig`: what it takes for a key that is not there, where that differs from ours."""


def _experts(config: dict[str, Any]) -> Any:
    """The most experts that a layer has. A config.json may name more than any layer gets."""
    count = config.get("num_experts", config.get("num_local_experts", 16))
    period, offset, layers = (
        config[key] for key in ("expert_layer_period", "expert_layer_offset", "num_hidden_layers")
    )
    if not all(isinstance(each, int) for each in (count, period, offset, layers)) or period < 1:
        return count
    return count if any(layer % period == offset for layer in range(min(layers, 512))) else 1

"""Models small enough to test in an instant, and transformers' own to compare with."""

from collections.abc import Iterator

import pytest
import torch

from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM

SMALL = {
    "vocab_size": 50,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attn_layer_period": 3,
    "attn_layer_offset": 1,
    "mamba_d_state": 8,
    "mamba_dt_rank": 3,
}


def varied(model: HybridLM, seed: int = 7, by: float = 0.1) -> HybridLM:
    """The model with every parameter moved at random, so that norms of 1 or a D of 1 hide nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small work does not gain from threads, and waits for them on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_config() -> JambaConfig:
    return JambaConfig(**SMALL)


@pytest.fixture
def small_model(small_config: JambaConfig) -> HybridLM:
    return varied(HybridLM(small_config)).eval()

"""The compiled step of a token of several texts: torch's numbers, and for each text those it has alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nexus_tui.lm.cache import Cache
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.decoding import Compiled, Plain, decoder
from nexus_tui.lm.hybrid import HybridLM
from tests.lm.conftest import SMALL, varied


def random_ids(config: JambaConfig, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(config.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def read_into(model: HybridLM, ids: Tensor) -> Cache:
    cache = Cache(model.config, capacity=1)
    if len(ids):
        with torch.inference_mode():
            model(ids[None], cache)
    return cache


@settings(max_examples=40, deadline=None)
@given(
    kv_heads=st.sampled_from([1, 2, 3, 6]),
    sizes=st.tuples(*[st.integers(1, 40)] * 4),
    kernel=st.integers(1, 6),
    prompts=st.lists(st.integers(0, 80), min_size=1, max_size=7),
    seed=st.integers(0, 1000),
)
def test_it_is_torchs_step(kv_heads: int, sizes: tuple[int, ...], kernel: int, prompts: list[int], seed: int):
    """The same logits, whatever the sizes of the model and the lengths of the texts."""
    width, middle, states, rank = sizes
    config = JambaConfig(
        vocab_size=11, hidden_size=6 * width, intermediate_size=middle, num_hidden_layers=2,
        attn_layer_period=2, attn_layer_offset=1, num_attention_heads=6, num_key_value_heads=kv_heads,
        mamba_d_state=states, mamba_d_conv=kernel, mamba_dt_rank=rank,
    )  # fmt: skip
    model = varied(HybridLM(config), seed, by=0.3)
    compiled, plain = Compiled(model), Plain(model)
    ids = random_ids(config, len(prompts), 84, seed=seed)
    caches = [read_into(model, row[:length]) for row, length in zip(ids, prompts, strict=True)]
    ours = [compiled.remember(cache, 1) for cache in caches]
    theirs = [plain.remember(cache, 1) for cache in caches]
    for step in range(4):
        tokens = [int(row[length + step]) for row, length in zip(ids, prompts, strict=True)]
        logits = compiled.read(ours, tokens, 1)
        np.testing.assert_allclose(logits, plain.read(theirs, tokens, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [JambaConfig(**SMALL), JambaConfig()], ids=["small", "byte model"])
def test_a_text_beside_others_has_the_very_numbers_that_it_has_alone(config: JambaConfig):
    """Bit for bit, while texts of other lengths come and go, on one thread and on two."""
    torch.set_num_threads(2)  # set back by the fixture of all these tests
    model = varied(HybridLM(config, 1))
    compiled = Compiled(model)
    lengths = [1, 63, 5, 64, 20, 130, 2, 7, 33, 90, 3]
    ids = random_ids(config, len(lengths), 160)
    caches = [read_into(model, row[:length]) for row, length in zip(ids, lengths, strict=True)]
    beside = [compiled.remember(cache, 1) for cache in caches]
    alone = [compiled.remember(cache, 1000) for cache in caches]
    for step in range(24):
        here = [number for number in range(len(lengths)) if not number <= step % 12 < number + 3]
        tokens = [int(ids[number, lengths[number] + step]) for number in here]
        logits = compiled.read([beside[number] for number in here], tokens, 1 + step % 2)
        for row, number, token in zip(logits, here, tokens, strict=True):
            assert np.array_equal(row, compiled.read([alone[number]], [token], 1)[0])


def test_what_it_remembers_was_made_beforehand(small_model: HybridLM):
    """No array grows with a text: there is room for the keys and values of what is to come."""
    compiled = Compiled(small_model)
    text = compiled.remember(read_into(small_model, random_ids(small_model.config, 30)), 200)
    numbers, size = text.numbers, len(text.numbers)
    for token in random_ids(small_model.config, 170).tolist():
        compiled.read([text], [token], 1)
    assert text.numbers is numbers
    assert (text.length, len(text.numbers)) == (200, size)


def test_with_its_room_used_up_it_makes_twice_as_much(small_model: HybridLM):
    compiled = Compiled(small_model)
    cache = read_into(small_model, random_ids(small_model.config, 30))
    tight, wide = compiled.remember(cache, 1), compiled.remember(cache, 600)
    rooms = set()
    for token in random_ids(small_model.config, 300).tolist():
        logits = compiled.read([tight, wide], [token, token], 1)
        assert np.array_equal(*logits)
        rooms.add(tight.room / 64)
    assert rooms == {1, 2, 4, 8}


@pytest.mark.parametrize("name", dict(HybridLM(JambaConfig(**SMALL)).named_parameters()))
def test_it_hides_no_nan(small_model: HybridLM, name: str):
    """Wherever it sits; and only the texts that have met one are lost."""
    cache = read_into(small_model, torch.tensor([3, 4]))
    with torch.no_grad():
        weight = small_model.get_parameter(name)
        weight[3 if name == "model.embed_tokens.weight" else slice(None)] = math.nan
    compiled = Compiled(small_model)
    logits = compiled.read([compiled.remember(cache, 9) for _ in range(2)], [3, 4], 1)
    assert np.isnan(logits[0]).any()
    assert np.isnan(logits[1]).any() == (name != "model.embed_tokens.weight")


def test_what_cannot_be_compiled_is_decoded_by_torch(small_model: HybridLM):
    assert isinstance(decoder(small_model), Compiled)
    assert isinstance(decoder(small_model.double()), Plain)

"""The model is transformers' JambaForCausalLM: names, numbers, gradients; and starts as Mamba does."""

import copy
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from nexus_tui.lm.batch import new_cache, read_prompt
from nexus_tui.lm.cache import AttentionState, Cache
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.decoding import Compiled
from nexus_tui.lm.hybrid import HybridLM, no_decay, parameter_count
from nexus_tui.lm.layers import Dropout
from nexus_tui.lm.pace import FULL
from nexus_tui.lm.pretrained import load_model, save_model
from tests.lm.conftest import SMALL, varied

VARIANTS = {
    "small": {},
    "long filter, odd sizes": {"mamba_d_conv": 7, "mamba_d_state": 5, "mamba_expand": 3, "mamba_dt_rank": 1},
    "no filter, one state": {"mamba_d_conv": 1, "mamba_d_state": 1},
    "every head its own keys": {"num_key_value_heads": 4},
    "one head, one key": {"num_attention_heads": 1, "num_key_value_heads": 1},
    "attention alone": {"attn_layer_period": 1, "attn_layer_offset": 0},
    "tied": {"tie_word_embeddings": True},
}


def random_ids(config: JambaConfig, *shape: int, seed: int = 3) -> Tensor:
    return torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def peer_of(model: HybridLM, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """Transformers' model with the same weights, loaded strictly."""
    from transformers import AutoConfig, JambaForCausalLM

    peer = JambaForCausalLM(AutoConfig.for_model(**model.config.to_hugging_face())).to(dtype)
    peer.load_state_dict(model.state_dict(), strict=True)
    return peer.eval()


@pytest.mark.parametrize(("vocabulary", "count"), [(256, 6_739_088), (1000, 7_120_016)])
def test_parameter_count(vocabulary: int, count: int):
    assert parameter_count(HybridLM(JambaConfig(vocab_size=vocabulary))) == count


@torch.no_grad()
def test_the_byte_model_is_transformers_model(tmp_path: Path):
    """A saved folder opens with AutoModelForCausalLM: the same logits, at once and token by token."""
    from transformers import AutoModelForCausalLM

    model = varied(HybridLM(JambaConfig(), seed=1), by=0.03).eval()
    save_model(model, tmp_path)
    peer = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = random_ids(model.config, 2, 40)
    expected = peer(ids).logits
    assert expected.std() > 0.3  # or equality would say little
    torch.testing.assert_close(model(ids), expected, rtol=0, atol=1e-4)

    memory, both, single = None, Cache(model.config, batch=2), Cache(model.config)
    for position in range(12):
        token = ids[:, position : position + 1]
        output = peer(token, past_key_values=memory, use_cache=True)
        memory = output.past_key_values
        torch.testing.assert_close(output.logits[:, 0], expected[:, position], rtol=0, atol=1e-4)
        torch.testing.assert_close(model(token, both), output.logits, rtol=0, atol=1e-4)
        torch.testing.assert_close(model(token[:1], single), output.logits[:1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_weights_logits_and_decoding_of_every_shape_of_model(changes: dict[str, object]):
    config = JambaConfig(**SMALL | changes)
    model = varied(HybridLM(config)).eval()
    peer = peer_of(model)
    back = HybridLM(config, seed=9)
    back.load_state_dict(peer.state_dict(), strict=True)
    ids = random_ids(config, 3, 21)
    with torch.no_grad():
        expected = peer(ids).logits
        torch.testing.assert_close(back(ids), expected, rtol=0, atol=1e-4)
        cache = Cache(config, batch=3, capacity=1)
        pieces = [model(piece, cache) for piece in ids.split([1, 5, 2, 1, 1, 11], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), expected, rtol=0, atol=1e-4)
        assert cache.length == 21
        compiled = Compiled(model)
        texts = [compiled.remember(Cache(config), 1) for _ in ids]
        for position in range(21):
            logits = torch.from_numpy(compiled.read(texts, ids[:, position].tolist(), 1))
            torch.testing.assert_close(logits, expected[:, position], rtol=0, atol=1e-4)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_gradients_are_transformers_gradients(changes: dict[str, object]):
    model = varied(HybridLM(JambaConfig(**SMALL | changes)))
    peer = peer_of(model)
    ids, targets = random_ids(model.config, 2, 18), random_ids(model.config, 2, 18, seed=5)
    model.loss(ids, targets).backward()
    F.cross_entropy(peer(ids).logits.flatten(0, 1), targets.flatten()).backward()
    theirs = dict(peer.named_parameters())
    assert theirs.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        expected = theirs[name].grad
        assert (parameter.grad - expected).norm() < 1e-4 * expected.norm() + 1e-7, name


def test_loss_is_cross_entropy_in_nats(small_model: HybridLM):
    ids, targets = random_ids(small_model.config, 2, 9), random_ids(small_model.config, 2, 9, seed=5)
    logprobs = small_model(ids).double().log_softmax(-1)
    expected = -logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    each = small_model.loss(ids, targets, reduction="none")
    assert each.shape == (2, 9)
    torch.testing.assert_close(each.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(small_model.loss(ids, targets).double(), expected.mean(), rtol=1e-5, atol=1e-6)


def test_last_only_is_the_last_position(small_model: HybridLM):
    ids = random_ids(small_model.config, 2, 9)
    torch.testing.assert_close(small_model(ids, last_only=True), small_model(ids)[:, -1:])


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 33), max_size=6), seed=st.integers(0, 100))
def test_reading_in_pieces_is_reading_at_once(cuts: list[int], seed: int):
    model = varied(HybridLM(JambaConfig(**SMALL))).eval()
    ids = random_ids(model.config, 2, 33, seed=seed)
    bounds = sorted({0, 33, *cuts})
    cache = Cache(model.config, batch=2, capacity=2)
    with torch.no_grad():
        pieces = [model(ids[:, a:b], cache) for a, b in itertools.pairwise(bounds)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_cache_branches_and_forgets(small_model: HybridLM):
    ids = random_ids(small_model.config, 1, 12)
    cache = Cache(small_model.config, capacity=4)
    small_model(ids[:, :6], cache)
    branch = cache.clone()
    straight = small_model(ids[:, 6:7], cache)
    small_model(ids[:, 7:12], cache)
    assert (cache.length, branch.length) == (12, 6)
    torch.testing.assert_close(small_model(ids[:, 6:7], branch), straight)
    cache.reset()
    assert cache.length == 0
    torch.testing.assert_close(small_model(ids, cache), small_model(ids), rtol=1e-4, atol=1e-5)


def test_keys_and_values_grow_by_doubling():
    state = AttentionState(torch.empty(1, 2, 4, 3), torch.empty(1, 2, 4, 3))
    sizes = set()
    for position in range(33):
        token = torch.full((1, 2, 1, 3), float(position))
        keys, values = state.append(token, -token)
        sizes.add(state.keys.shape[2])
    assert sizes == {4, 8, 16, 32, 64}
    assert keys[0, 1, :, 2].tolist() == [float(position) for position in range(33)]
    torch.testing.assert_close(values, -keys)


def test_a_cache_needs_a_batch(small_config: JambaConfig):
    with pytest.raises(ValueError, match="batch of at least 1, not 0"):
        Cache(small_config, batch=0)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    x = torch.ones(64, 1024, dtype=torch.float64, requires_grad=True)
    y = Dropout(0.3, np.random.default_rng(1))(x)
    assert set(y.unique().tolist()) == {0.0, 1 / 0.7}
    share = float((y == 0).double().mean())
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / y.numel())
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())
    assert torch.equal(y, Dropout(0.3, np.random.default_rng(1))(x))


def test_dropout_falls_once_on_what_every_layer_adds(small_model: HybridLM):
    """With all of it left out but the scale, the logits are those of the embedding alone."""
    calls: list[torch.Size] = []

    def nothing(x: Tensor) -> Tensor:
        calls.append(x.shape)
        return torch.zeros_like(x)

    ids = random_ids(small_model.config, 2, 5)
    loss = small_model.loss(ids, ids, dropout=nothing)  # type: ignore[arg-type]
    stack = small_model.model
    logits = small_model.lm_head(stack.final_layernorm(stack.embed_tokens(ids)))
    expected = F.cross_entropy(logits.flatten(0, 1), ids.flatten())
    assert float(loss.detach()) == pytest.approx(float(expected.detach()))
    assert len(calls) == 2 * small_model.config.num_hidden_layers


def test_the_seed_alone_decides_the_weights(small_config: JambaConfig):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = HybridLM(small_config, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = HybridLM(small_config, seed=torch.Generator().manual_seed(5)).state_dict()
    other = HybridLM(small_config, seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])


def test_initial_weights_are_those_of_mamba():
    config = JambaConfig(num_hidden_layers=4, attn_layer_period=4)
    state = HybridLM(config, seed=3).state_dict()
    layer = {name.removeprefix("model.layers.0."): value for name, value in state.items()}

    dt = F.softplus(layer["mamba.dt_proj.bias"].double())
    assert dt.min() >= 1e-3 * 0.999 and dt.max() <= 0.1 * 1.001
    position = (dt / 1e-3).log() / math.log(100)  # uniform on [0, 1]
    assert abs(position.mean() - 0.5) < 0.05
    assert abs(position.var() - 1 / 12) < 0.015

    assert is_uniform(layer["mamba.dt_proj.weight"], config.mamba_dt_rank**-0.5)
    assert is_uniform(layer["mamba.conv1d.weight"], config.mamba_d_conv**-0.5)
    expected = torch.arange(1.0, 33).log().expand(config.mamba_channels, -1)
    assert torch.equal(layer["mamba.A_log"], expected)
    assert torch.equal(layer["mamba.D"], torch.ones(config.mamba_channels))

    residual = 0.02 / math.sqrt(2 * 4)
    for name, spread in {
        "model.embed_tokens.weight": 0.02,
        "lm_head.weight": 0.02,
        "model.layers.0.mamba.in_proj.weight": 0.02,
        "model.layers.0.mamba.x_proj.weight": 0.02,
        "model.layers.3.self_attn.q_proj.weight": 0.02,
        "model.layers.2.feed_forward.up_proj.weight": 0.02,
        "model.layers.0.mamba.out_proj.weight": residual,
        "model.layers.2.feed_forward.down_proj.weight": residual,
        "model.layers.3.self_attn.o_proj.weight": residual,
    }.items():
        assert abs(state[name].std() / spread - 1) < 0.03, name
    norms = [value for name, value in state.items() if "layernorm" in name]
    assert len(norms) == 4 * 2 + 3 * 3 + 1
    assert all(torch.equal(value, torch.ones_like(value)) for value in norms)


def is_uniform(x: Tensor, bound: float) -> bool:
    return bool(x.abs().max() <= bound and abs(x.std() * math.sqrt(3) / bound - 1) < 0.05)


def test_a_new_model_knows_nothing():
    """Its loss is that of guessing: the logarithm of the vocabulary."""
    model = HybridLM(JambaConfig(num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1))
    ids = random_ids(model.config, 4, 33)
    assert model.loss(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(math.log(256), abs=0.1)


def test_what_does_not_decay():
    kept = {
        re.sub(r"model\.layers\.\d+\.", "", name)
        for name, parameter in HybridLM(JambaConfig()).named_parameters()
        if no_decay(name, parameter)
    }
    assert kept == {
        "model.embed_tokens.weight", "model.final_layernorm.weight",
        "input_layernorm.weight", "pre_ff_layernorm.weight",
        "mamba.A_log", "mamba.D", "mamba.conv1d.bias", "mamba.dt_proj.bias",
        "mamba.dt_layernorm.weight", "mamba.b_layernorm.weight", "mamba.c_layernorm.weight",
    }  # fmt: skip


def test_one_step_of_descent_lowers_the_loss(small_config: JambaConfig):
    """Every parameter has a gradient that leads down."""
    model = varied(HybridLM(small_config))
    ids = random_ids(small_config, 4, 20)
    before = model.loss(ids[:, :-1], ids[:, 1:])
    before.backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and gradient.norm() > 0, name
        moved = copy.deepcopy(model)
        with torch.no_grad():
            moved.get_parameter(name).sub_(gradient * (1e-3 / gradient.norm()))
            slope = (moved.loss(ids[:, :-1], ids[:, 1:]) - before) / 1e-3
        assert slope.item() == pytest.approx(-gradient.norm().item(), rel=0.2, abs=2e-3), name


class TestFolder:
    """A model in a folder."""

    @pytest.fixture
    def folder(self, small_model: HybridLM, tmp_path: Path) -> Path:
        save_model(small_model, tmp_path / "model")
        return tmp_path / "model"

    @pytest.mark.parametrize("tied", [False, True])
    def test_round_trip(self, tied: bool, tmp_path: Path):
        model = varied(HybridLM(JambaConfig(**SMALL, tie_word_embeddings=tied)))
        save_model(model, tmp_path)
        assert ("lm_head.weight" in load_file(tmp_path / "model.safetensors")) is not tied
        loaded = load_model(tmp_path)
        # the loaded model does not lean on the file
        (tmp_path / "model.safetensors").write_bytes(b"")
        assert loaded.config == model.config
        expected = model.state_dict()
        assert loaded.state_dict().keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
        assert all(parameter.requires_grad for parameter in loaded.parameters())

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_missing_file(self, folder: Path, name: str):
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"{name} is missing"):
            load_model(folder)

    @pytest.mark.parametrize(
        "content", [b"", b"\x00" * 40, b"not a model at all, but long enough to be read"]
    )
    def test_damaged_weights(self, folder: Path, content: bytes):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
            load_model(folder)

    def test_cut_weights(self, folder: Path):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
            load_model(folder)

    def test_missing_extra_and_misshapen_tensors(self, folder: Path):
        path = folder / "model.safetensors"
        tensors = load_file(path)
        head = tensors.pop("lm_head.weight")
        save_file(tensors, path)
        with pytest.raises(ValueError, match=r"lacks lm_head\.weight"):
            load_model(folder)
        save_file(tensors | {"lm_head.weight": head, "lm_head.bias": torch.ones(50)}, path)
        with pytest.raises(ValueError, match=r"holds lm_head\.bias, which"):
            load_model(folder)
        save_file(tensors | {"lm_head.weight": head[1:].clone()}, path)
        with pytest.raises(ValueError, match=r"lm_head\.weight is \[49, 24\] and not \[50, 24\]"):
            load_model(folder)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"model_type": "llama"}, "describes a model of type 'llama'"),
            ({"num_experts": 16}, "num_experts is 16"),
            ({"hidden_size": -3}, "hidden_size"),
            ({"num_attention_heads": 7}, "not a multiple of num_attention_heads 7"),
        ],
    )
    def test_config_of_another_model(self, folder: Path, change: dict[str, object], reason: str):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        with pytest.raises(ValueError, match=reason) as error:
            load_model(folder)
        assert str(path) in str(error.value)

    @pytest.mark.parametrize("text", ["{", "[]", "\x80"])
    def test_config_that_is_none(self, folder: Path, text: str):
        (folder / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config\.json"):
            load_model(folder)


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any tensor made meanwhile has."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in pytree.tree_leaves(made):
            if isinstance(tensor, Tensor):
                self.size = max(self.size, tensor.numel())
        return made


def test_a_prompt_of_4096_tokens_is_read_by_the_training_kernels(small_model: HybridLM):
    """In chunks, without a mask of [length, length]; the logits are those of a token at a time."""
    ids = random_ids(small_model.config, 4096).tolist()
    lengths = []
    small_model.register_forward_pre_hook(lambda _, arguments: lengths.append(arguments[0].shape[1]))
    cache = new_cache(small_model, len(ids))
    with Largest() as largest:
        logits = read_prompt(small_model, ids, cache, FULL, None)
    assert lengths == [512] * 8
    assert cache.length == 4096
    assert largest.size < 4096 * 4096 / 8

    compiled = Compiled(small_model)
    text = compiled.remember(Cache(small_model.config), len(ids))
    for id in ids:
        one = compiled.read([text], [id], 1)[0]
    np.testing.assert_allclose(logits, one, rtol=0, atol=2e-5)


@torch.no_grad()
def test_a_long_past_is_seen_in_parts(small_model: HybridLM, monkeypatch: pytest.MonkeyPatch):
    ids = random_ids(small_model.config, 2, 300)
    cache = Cache(small_model.config, batch=2)
    monkeypatch.setattr("nexus_tui.lm.attention.MASK", 1)
    pieces = [small_model(piece, cache) for piece in ids.split([100, 200], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), small_model(ids), rtol=0, atol=2e-5)

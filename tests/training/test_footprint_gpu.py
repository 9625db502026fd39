"""What a training needs of a GPU, by what autograd keeps, and what is said where that may not fit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from nexus_tui.config import RunConfig
from nexus_tui.lm import causal_conv_cuda, hybrid, layers, mamba, rms_norm_cuda, swiglu_cuda
from nexus_tui.lm.selective_scan.cuda import TILE
from nexus_tui.training import footprint_gpu, memory
from nexus_tui.training.footprint import parameters
from nexus_tui.training.footprint_gpu import need_on_gpu, warning
from nexus_tui.training.launch import Launch
from nexus_tui.training.room import Room, of_gpu

GB = 1_000_000_000
DEVICE = torch.device("cuda", 0)


class Scan(torch.autograd.Function):
    """Keeps what the scan of a GPU keeps, which would take the interpreter too long."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, delta: Tensor, B: Tensor, C: Tensor, z: Tensor) -> Tensor:
        u, delta, B, C, z = (x.contiguous() for x in (u, delta, B, C, z))
        batch, length, channels = u.shape
        boundary = torch.zeros(batch, length // TILE, B.shape[-1], channels)
        ctx.save_for_backward(u, delta, B, C, z, boundary)
        return torch.zeros_like(u)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise NotImplementedError


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers go through what they go through on a GPU, by Triton's interpreter."""

    def scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *rest: Any) -> tuple[Tensor, None]:
        return Scan.apply(u, delta, B, C, rest[1]), None  # type: ignore[no-untyped-call]

    def convolution(u: Tensor, weight: Tensor, bias: Tensor, _: None) -> Tensor:
        before = u.new_zeros(u.shape[0], weight.shape[1] - 1, u.shape[2])
        return causal_conv_cuda.causal_conv_silu(u, weight, bias, before)

    monkeypatch.setattr(mamba, "selective_scan", scan)
    monkeypatch.setattr(mamba, "causal_conv_silu", convolution)
    monkeypatch.setattr(layers, "rms_norm", rms_norm_cuda.rms_norm)
    monkeypatch.setattr(layers, "swiglu", swiglu_cuda.swiglu)


def kept(config: RunConfig, windows: int, half: bool) -> int:
    """Bytes that autograd keeps of a forward pass, weights aside."""
    model, found = hybrid.HybridLM(config.model), {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage  # kept alive, so that no place is used twice
        return x

    ids = torch.zeros(windows, config.data.window, dtype=torch.int64)
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=half):
        model.loss(ids, ids)
    return sum(storage.nbytes() for storage in found.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs Triton's interpreter")
@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(
    ("half", "settings"),
    [
        (True, ["model.num_hidden_layers=2", "model.attn_layer_period=2", "model.attn_layer_offset=1"]),
        (False, ["model.num_hidden_layers=2", "model.attn_layer_period=2", "model.attn_layer_offset=1"]),
        (True, ["model.num_hidden_layers=1", "model.attn_layer_period=1", "model.attn_layer_offset=0"]),
        (True, ["model.num_hidden_layers=1", "model.mamba_expand=4", "model.mamba_d_state=32"]),
    ],
)
def test_what_is_counted_is_what_autograd_keeps(half: bool, settings: list[str]) -> None:
    config = RunConfig.load("nexus-tiny", ["data.window=32", *settings])
    token = (kept(config, 2, half) - kept(config, 1, half)) / 32
    logits = 4 * config.model.vocab_size  # counted among what comes and goes
    assert 0.94 < (token - logits) / footprint_gpu._kept(config, half) < 1.02


def test_states_have_32_bits_and_products_their_own_copy_of_the_weights() -> None:
    config = RunConfig.load("nexus-byte")
    weights = parameters(config.model)
    whole, half = (need_on_gpu(config, 16, half) for half in (False, True))
    assert (whole.states, half.states) == (16 * weights, 18 * weights)
    assert half.activations < whole.activations < 2 * half.activations, "the scan and the stream keep 32"


def test_several_gpus_share_a_batch_and_with_shard_the_states() -> None:
    config = RunConfig.load("nexus-byte", ["budget.batch=64"])
    alone, both, divided = (
        need_on_gpu(config, 64, True, launch) for launch in (Launch(), Launch(0, 2), Launch(0, 2, shard=True))
    )
    assert divided.states == alone.states / 2 < alone.states < both.states
    assert both.activations == divided.activations < 0.6 * alone.activations


def test_what_may_not_fit_is_said_with_what_might() -> None:
    config = RunConfig.load("nexus-byte", ["budget.batch=4096"])
    asked = need_on_gpu(config, 4096, True)
    assert warning(config, 4096, True, Launch(), Room(int(asked.total) + 1, 0, "this GPU")) == ""
    assert warning(config, 4096, True, Launch(), None) == "", "where CUDA does not say, nothing is said"
    room = Room(int(asked.total / 3), 100_000_000, "this GPU")
    said = warning(config, 4096, True, Launch(), room)
    assert said.startswith("this may not fit: by an estimate it takes ")
    assert "for the 524,288 tokens of a micro-batch), and this GPU leaves " in said
    fewer = int(said.partition("--micro-batch ")[2].split()[0])
    assert 1000 < fewer < 4096 / 3
    assert warning(config, fewer, True, Launch(), room) == ""
    assert warning(config, fewer + 1, True, Launch(), room)
    assert warning(config, 4096, True, Launch(), Room(GB // 100, 0, "this GPU")).endswith(
        "if memory runs out, choose a smaller model or a smaller data.window"
    )


def test_what_is_free_on_a_gpu_is_what_nobody_has_and_what_torch_keeps_to_use_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (60 * GB, 85 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 5 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * GB)
    room = of_gpu(DEVICE)
    assert room is not None and of_gpu(torch.device("cpu")) is None
    assert (room.free, room.of) == (63 * GB, "this GPU") and 0 < room.program < GB

    def fails(_: object) -> tuple[int, int]:
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(torch.cuda, "mem_get_info", fails)
    assert of_gpu(DEVICE) is None


@pytest.mark.parametrize("failure", [None, RuntimeError("CUDA error: an illegal memory access")])
def test_training_that_has_ended_gives_the_gpu_back(
    monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    asked: list[bool] = []

    def empty_cache() -> None:
        asked.append(True)
        if failure:
            raise failure

    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    memory.give_back_memory()
    assert not asked, "nobody has used a GPU"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    memory.give_back_memory()
    assert asked


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_real_step_takes_is_not_far_from_the_estimate() -> None:
    config = RunConfig.load("nexus-byte", ["budget.batch=256"])
    model = hybrid.HybridLM(config.model).to("cuda")
    ids = torch.zeros(256, config.data.window, dtype=torch.int64, device="cuda")
    moments = [torch.zeros_like(p) for p in model.parameters() for _ in range(2)]
    for _ in range(2):
        torch.cuda.reset_peak_memory_stats()
        with torch.autocast("cuda", torch.bfloat16):
            loss = model.loss(ids, ids)
        loss.backward()
    peak = torch.cuda.max_memory_allocated()
    print(f"peak {peak / 1e9:.3f} GB, computed {need_on_gpu(config, 256, half=True).total / 1e9:.3f} GB")
    assert 0.6 < peak / need_on_gpu(config, 256, half=True).total < 1.2
    assert moments

"""The GPU's norm, gate and convolution against torch's in 64 bits: interpreted where there is no GPU."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nexus_tui.lm import causal_conv_cuda, rms_norm_cuda, swiglu_cuda
from nexus_tui.lm.causal_conv import causal_conv_silu
from tests.lm import test_causal_conv

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def everything(f: Callable[..., Tensor], *operands: Tensor) -> list[Tensor]:
    """The result, and gradients of a weighted sum of it."""
    leaves = [x.detach().requires_grad_() for x in operands]
    y = f(*leaves)
    slope = torch.linspace(-1, 1, y.numel(), device=y.device).to(y.dtype).view(y.shape)
    return [x.cpu().double() for x in (y.detach(), *torch.autograd.grad((y * slope).sum(), leaves))]


def agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for ours, exact in zip(found, expected, strict=True):
        assert ours.shape == exact.shape
        assert (ours - exact).abs().max() <= tolerance * max(1.0, exact.abs().max().item())


def moved(dtype: torch.dtype, *operands: Tensor) -> list[Tensor]:
    return [x.to(DEVICE, dtype) for x in operands]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-6)])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 70, 16), (2, 3, 250)])
def test_the_norm(shape: tuple[int, ...], dtype: torch.dtype, tolerance: float) -> None:
    x, weight = drawn(*shape).to(dtype).double(), (drawn(shape[-1], seed=1).abs() + 0.5).float().double()

    def ours(x: Tensor, weight: Tensor) -> Tensor:
        return rms_norm_cuda.rms_norm(x, weight.float(), 1e-6)

    found = everything(ours, x.to(DEVICE, dtype), weight.to(DEVICE, torch.float32))
    agree(found, everything(lambda x, w: F.rms_norm(x, w.shape, w, 1e-6), x, weight), tolerance)


def test_the_norm_of_a_part_of_wider_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rms_norm_cuda, "PARTS", 2)  # of more groups than one each
    monkeypatch.setattr(rms_norm_cuda, "_NUMBERS", 16)
    wide, weight = drawn(3, 4, 20), drawn(7, seed=1)

    def part(norm: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, w: norm(x.split([6, 7, 7], dim=-1)[1], w)

    found = everything(
        part(lambda x, w: rms_norm_cuda.rms_norm(x, w, 0.5)), *moved(torch.float32, wide, weight)
    )
    agree(found, everything(part(lambda x, w: F.rms_norm(x, w.shape, w, 0.5)), wide, weight), 2e-6)


def test_the_norm_is_of_autocasts_type() -> None:
    x, weight = moved(torch.float32, drawn(2, 8), drawn(8))
    with torch.autocast(DEVICE, torch.bfloat16):
        assert rms_norm_cuda.rms_norm(x, weight, 1e-6).dtype == torch.bfloat16
    assert rms_norm_cuda.rms_norm(x, weight, 1e-6).dtype == torch.float32


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-7)])
def test_the_gate(dtype: torch.dtype, tolerance: float) -> None:
    gate, up = (drawn(3, 1100, seed=seed).to(dtype).double() for seed in range(2))
    found = everything(swiglu_cuda.swiglu, *moved(dtype, gate, up))
    agree(found, everything(lambda g, u: F.silu(g) * u, gate, up), tolerance)


@pytest.mark.parametrize(
    ("batch", "length", "channel", "taps", "continued"),
    [(1, 1, 1, 1, False), (2, 21, 5, 4, True), (1, 33, 70, 4, False), (2, 3, 8, 6, True)],
)
def test_the_convolution(
    batch: int, length: int, channel: int, taps: int, continued: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_conv_cuda, "PARTS", 2)
    wide, weight, bias, initial = test_causal_conv.operands(batch, length, channel, taps)
    before = initial if continued else torch.zeros_like(initial)
    expected = everything(
        lambda wide, w, b: causal_conv_silu(wide[..., channel:], w, b, before), wide, weight, bias
    )
    start = before.to(DEVICE, torch.float32)
    found = everything(
        lambda wide, w, b: causal_conv_cuda.causal_conv_silu(wide[..., channel:], w, b, start),
        *moved(torch.float32, wide, weight, bias),
    )
    agree(found, expected, 2e-6)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_models_shapes(dtype: torch.dtype) -> None:
    tolerance = 1e-5 if dtype == torch.float32 else 2**-6
    wide, weight, bias, initial = test_causal_conv.operands(16, 128, 512, 4)
    wide, zero = wide.to(dtype).double(), torch.zeros_like(initial)
    expected = everything(lambda x, w, b: causal_conv_silu(x[..., 512:], w, b, zero), wide, weight, bias)
    found = everything(
        lambda x, w, b: causal_conv_cuda.causal_conv_silu(x[..., 512:], w, b, zero.to(x)),
        wide.to(DEVICE, dtype), *moved(torch.float32, weight, bias),
    )  # fmt: skip
    agree(found, expected, tolerance)

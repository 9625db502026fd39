"""The compiled root-mean-square norm against torch's own in 64 bits."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nexus_tui.lm.rms_norm import rms_norm


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def everything(x: Tensor, weight: Tensor, eps: float = 1e-6) -> list[Tensor]:
    """The output, and gradients of a weighted sum of it."""
    leaves = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    y = rms_norm(*leaves, eps)
    slope = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad((y * slope).sum(), leaves)]


def operands(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """x and weight in 64 bits, exact in 32."""
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(shape, generator=generator), torch.rand(shape[-1], generator=generator) + 0.5
    return x.double(), weight.double()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.one_of(
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.sampled_from([1, 3, 8, 16, 17, 31, 64, 250])),
        st.tuples(st.integers(1, 600), st.sampled_from([16, 256])),
        st.tuples(st.sampled_from([16, 33])),
    ),
    eps=st.sampled_from([1e-6, 0.5]),
    seed=st.integers(0, 1000),
)
def test_the_kernel_agrees_with_torch_in_64_bits(shape: tuple[int, ...], eps: float, seed: int) -> None:
    x, weight = operands(*shape, seed=seed)
    found = everything(x.float(), weight.float(), eps)
    for name, ours, exact in zip(("y", "x", "weight"), found, everything(x, weight, eps), strict=True):
        assert ours.dtype == torch.float32
        assert ours.shape == exact.shape
        # Sums of numbers of size one may cancel: where they do, their own size is not the measure.
        assert (ours - exact).abs().max() <= 3e-6 * max(1.0, exact.abs().max().item()), name


def test_it_divides_by_the_root_of_the_mean_square() -> None:
    x, weight = operands(7, 40)
    expected = x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6) * weight
    torch.testing.assert_close(rms_norm(x, weight, 1e-6), expected)


def test_parts_of_a_wider_tensor() -> None:
    x, weight = (v.float() for v in operands(4, 5, 80))
    wide = x.requires_grad_()
    parts = wide.split([16, 32, 32], dim=-1)
    scales = weight.split([16, 32, 32])
    y = [rms_norm(part, scale, 1e-6) for part, scale in zip(parts, scales, strict=True)]
    (found,) = torch.autograd.grad((torch.cat(y, dim=-1) * weight).sum(), wide)
    for part, scale, whole, gradient in zip(parts, scales, y, found.split([16, 32, 32], dim=-1), strict=True):
        leaf = part.detach().clone().requires_grad_()
        alone = rms_norm(leaf, scale, 1e-6)
        assert torch.equal(alone, whole)
        assert torch.equal(torch.autograd.grad((alone * scale).sum(), leaf)[0], gradient)


def test_a_row_of_zeros_and_a_nan() -> None:
    x = torch.zeros(3, 32)
    x[1] = 1
    x[2, 5] = torch.nan
    y = rms_norm(x, torch.ones(32), 1e-6)
    assert torch.equal(y[0], torch.zeros(32))
    torch.testing.assert_close(y[1], torch.ones(32), rtol=0, atol=1e-6)
    assert y[2].isnan().all()


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    x, weight = (v.float() for v in operands(3, 700, 256))
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(everything(x, weight))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))

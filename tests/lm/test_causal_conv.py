"""The compiled causal convolution against torch's own in 64 bits."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nexus_tui.lm.causal_conv import causal_conv_silu


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def operands(batch: int, length: int, channel: int, kernel: int, seed: int = 0) -> tuple[Tensor, ...]:
    """x within a tensor twice as wide, weight, bias, initial."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch, length, 2 * channel), (channel, kernel), (channel,), (batch, kernel - 1, channel))
    wide, weight, bias, initial = (torch.randn(*shape, generator=generator).double() for shape in shapes)
    return wide, weight, bias, initial


def everything(wide: Tensor, weight: Tensor, bias: Tensor, initial: Tensor | None) -> list[Tensor]:
    """The output, and gradients of a weighted sum of it."""
    leaves = [x.clone().requires_grad_() for x in (wide, weight, bias)]
    y = causal_conv_silu(leaves[0][..., wide.shape[2] // 2 :], leaves[1], leaves[2], initial)
    slope = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad((y * slope).sum(), leaves)]


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 20),
    channel=st.sampled_from([1, 5, 8, 16, 31, 64, 530]),
    kernel=st.integers(1, 6),
    continued=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_kernel_agrees_with_torch_in_64_bits(
    batch: int, length: int, channel: int, kernel: int, continued: bool, seed: int
) -> None:
    wide, weight, bias, initial = operands(batch, length, channel, kernel, seed)
    expected = everything(wide, weight, bias, initial if continued else None)
    start = initial.float() if continued else None
    found = everything(wide.float(), weight.float(), bias.float(), start)
    for name, x, y in zip(("y", "x", "weight", "bias"), found, expected, strict=True):
        assert x.dtype == torch.float32
        # Sums of numbers of size one may cancel: where they do, their own size is not the measure.
        assert (x - y).abs().max() <= 2e-6 * max(1.0, y.abs().max().item()), name


def test_it_is_the_sum_over_the_present_and_the_past() -> None:
    x, weight, bias = torch.tensor([[[1.0], [2.0], [4.0]]]), torch.tensor([[10.0, 1.0]]), torch.tensor([0.5])
    for dtype in (torch.float32, torch.float64):
        y = causal_conv_silu(x.to(dtype), weight.to(dtype), bias.to(dtype))
        torch.testing.assert_close(y, F.silu(torch.tensor([[[1.5], [12.5], [24.5]]], dtype=dtype)))


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_in_two_parts_equals_one_pass(cut: int) -> None:
    wide, weight, bias, _ = (v.float() for v in operands(2, 9, 16, 4))
    x = wide[..., :16]
    seen = torch.cat((torch.zeros(2, 3, 16), x[:, :cut]), dim=1)[:, -3:]
    tail = causal_conv_silu(x[:, cut:], weight, bias, seen)
    assert torch.equal(tail, causal_conv_silu(x, weight, bias)[:, cut:])


def test_no_gradient_flows_into_the_initial_inputs() -> None:
    wide, weight, bias, initial = (v.float().requires_grad_() for v in operands(1, 3, 16, 4))
    causal_conv_silu(wide[..., :16], weight, bias, initial).sum().backward()
    assert initial.grad is None
    assert wide.grad is not None


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    wide, weight, bias, initial = (v.float() for v in operands(5, 40, 700, 4))
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(everything(wide, weight, bias, initial))
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other, strict=True))

"""SwiGLU's compiled gate against torch's own in 64 bits."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nexus_tui.lm.swiglu import swiglu


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def everything(gate: Tensor, up: Tensor) -> list[Tensor]:
    """The output, and gradients of a weighted sum of it."""
    leaves = [x.clone().requires_grad_() for x in (gate, up)]
    y = swiglu(*leaves)
    slope = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad((y * slope).sum(), leaves)]


def operands(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Numbers of size 3 in 64 bits, exact in 32."""
    generator = torch.Generator().manual_seed(seed)
    gate, up = (3 * torch.randn(2, *shape, generator=generator)).double()
    return gate, up


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 5),
    channels=st.sampled_from([1, 3, 7, 15, 16, 17, 31, 64, 100, 4096, 20_000]),
    seed=st.integers(0, 1000),
)
def test_the_kernel_agrees_with_torch_in_64_bits(rows: int, channels: int, seed: int) -> None:
    gate, up = operands(rows, channels, seed=seed)
    found = everything(gate.float(), up.float())
    for name, x, y in zip(("y", "gate", "up"), found, everything(gate, up), strict=True):
        assert x.dtype == torch.float32
        assert x.shape == y.shape
        assert (x - y).abs().max() <= 2e-6 * max(1.0, y.abs().max().item()), name


def test_it_is_silu_times_up() -> None:
    gate, up = operands(4, 40)
    torch.testing.assert_close(swiglu(gate, up), F.silu(gate) * up)


def test_parts_of_wider_tensors_and_expanded_gradients() -> None:
    gate, up = (x.float() for x in operands(6, 64))
    wide = torch.cat((gate, up), dim=-1).requires_grad_()
    left, right = wide.chunk(2, dim=-1)
    (found,) = torch.autograd.grad(swiglu(left, right).sum(), wide)
    leaves = [gate.requires_grad_(), up.requires_grad_()]
    gradients = torch.autograd.grad((swiglu(*leaves) * torch.ones(6, 64)).sum(), leaves)
    assert torch.equal(found, torch.cat(gradients, dim=-1))


def test_extremes() -> None:
    """Where the gate is shut or wide open nothing overflows, and a NaN is not lost."""
    gate = torch.tensor([[-1e4, -200.0, -0.0, 0.0, 200.0, 1e4] * 4], dtype=torch.float64)
    found = everything(gate.float(), torch.ones_like(gate).float())
    for x, y in zip(found, everything(gate, torch.ones_like(gate)), strict=True):
        torch.testing.assert_close(x.double(), y, rtol=2e-6, atol=1e-30)
    for broken in range(2):
        pair = [torch.ones(40), torch.ones(40)]
        pair[broken][39] = torch.nan
        assert swiglu(*pair).isnan().nonzero().tolist() == [[39]]


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    gate, up = (x.float() for x in operands(5, 20_001))
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(everything(gate, up))
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other, strict=True))

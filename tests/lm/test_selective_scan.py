"""The compiled selective scan against the definition in 64 bits; the definition against differences."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nexus_tui.lm.selective_scan import reference, selective_scan, warm_up

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    warm_up()


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def operands(batch: int, length: int, channel: int, state: int, seed: int = 0) -> list[Tensor]:
    """Numbers of the size they have in a model; in 64 bits, but exact in 32: their rounding is not judged."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    rows, columns = (batch, length, channel), (batch, length, state)
    u, delta, z, B, C = normal(*rows), normal(*rows), normal(*rows), normal(*columns), normal(*columns)
    A, D, bias = -torch.exp(normal(channel, state)), normal(channel), normal(channel) - 2
    return [x.double() for x in (u, delta, A, B, C, D, z, bias)]


def everything(scan: list[Tensor], weight: Tensor, start: Tensor | None = None) -> dict[str, Tensor]:
    """Outputs of the scan of these operands, and the gradients of their sum weighted."""
    leaves = [x.clone().requires_grad_() for x in scan]
    y, last = selective_scan(*leaves, start)
    gradients = torch.autograd.grad((y * weight.to(y.dtype)).sum(), leaves)
    return {"y": y.detach(), "last": last, **dict(zip(NAMES, gradients, strict=True))}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        # Sums of numbers of size one may cancel: where they do, their own size is not the measure.
        scale = max(1.0, value.abs().max().item())
        error = (found[name] - value).abs().max().item()
        assert error <= tolerance * scale, f"{name}: off by {error:.3g}, scale {scale:.3g}"


def as_float(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.float()


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 70),
    channel=st.sampled_from([1, 3, 8, 16, 17, 40, 64, 130, 144]),
    state=st.one_of(st.integers(1, 12), st.sampled_from([16, 31, 32, 64])),
    started=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_the_kernel_agrees_with_the_definition_in_64_bits(
    batch: int, length: int, channel: int, state: int, started: bool, seed: int
) -> None:
    scan = operands(batch, length, channel, state, seed)
    start = operands(batch, channel, state, 1, seed + 1)[0] if started else None
    weight = operands(batch, length, channel, 1, seed + 2)[0]
    found = everything([x.float() for x in scan], weight, as_float(start))
    assert found["y"].dtype == torch.float32
    assert_close(found, everything(scan, weight, start), 5e-6)


def test_the_definition_has_the_gradients_that_finite_differences_have() -> None:
    scan = [x.requires_grad_() for x in operands(2, 4, 3, 2)]
    start = operands(2, 3, 2, 1, seed=1)[0]
    assert torch.autograd.gradcheck(lambda *x: reference.selective_scan(*x, start)[0], scan)


def test_the_definition_is_the_recurrence_written_out() -> None:
    u, delta, A, B, C, D, z, bias = operands(1, 3, 1, 1)
    state, outputs = 0.0, []
    for t in range(3):
        dt = torch.log1p(torch.exp(delta[0, t, 0] + bias[0]))
        state = torch.exp(dt * A[0, 0]) * state + dt * u[0, t, 0] * B[0, t, 0]
        gate = z[0, t, 0] / (1 + torch.exp(-z[0, t, 0]))
        outputs.append((state * C[0, t, 0] + D[0] * u[0, t, 0]) * gate)
    y, last = reference.selective_scan(u, delta, A, B, C, D, z, bias)
    torch.testing.assert_close(y[0, :, 0], torch.stack(outputs))
    torch.testing.assert_close(last[0, 0, 0], torch.as_tensor(state))


def test_operands_may_be_parts_of_wider_tensors_and_gradients_expanded() -> None:
    batch, length, channel, state = 2, 21, 32, 8
    u, delta, A, B, C, D, z, bias = (x.float() for x in operands(batch, length, channel, state))
    wide = torch.cat((u, z), dim=-1)
    both = torch.cat((B, C), dim=-1)
    parts = [wide[..., :channel], delta.transpose(1, 2).contiguous().transpose(1, 2), A.t().contiguous().t()]
    parts += [*both.split(state, dim=-1), D.repeat_interleave(2)[::2], wide[..., channel:], bias]
    one = torch.ones(())  # its gradient reaches the kernel as an expanded scalar
    expected = everything([u, delta, A, B, C, D, z, bias], one)
    leaves = [x.detach().requires_grad_() for x in parts]
    y, last = selective_scan(*leaves)
    gradients = torch.autograd.grad(y.sum(), leaves)
    found = {"y": y.detach(), "last": last, **dict(zip(NAMES, gradients, strict=True))}
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@given(cut=st.integers(1, 39))
@settings(max_examples=10, deadline=None)
def test_a_scan_in_two_parts_equals_one_pass(cut: int) -> None:
    u, delta, A, B, C, D, z, bias = (x.float() for x in operands(2, 40, 24, 6))
    with torch.no_grad():
        y, last = selective_scan(u, delta, A, B, C, D, z, bias)
        head, state = selective_scan(
            *(u[:, :cut], delta[:, :cut], A, B[:, :cut], C[:, :cut], D, z[:, :cut], bias)
        )
        tail, end = selective_scan(
            *(u[:, cut:], delta[:, cut:], A, B[:, cut:], C[:, cut:], D, z[:, cut:], bias), state
        )
    assert torch.equal(torch.cat((head, tail), dim=1), y)
    assert torch.equal(end, last)


def test_saving_nothing_for_a_backward_pass_changes_nothing() -> None:
    scan = [x.float() for x in operands(2, 50, 48, 8)]
    recorded, _ = selective_scan(*[x.clone().requires_grad_() for x in scan])
    with torch.no_grad():
        y, _ = selective_scan(*scan)
    assert not y.requires_grad
    assert torch.equal(recorded, y)


def test_the_last_state_and_the_first_are_constants() -> None:
    scan = [x.float().requires_grad_() for x in operands(1, 5, 16, 4)]
    start = torch.ones(1, 16, 4, requires_grad=True)
    y, last = selective_scan(*scan, start)
    y.sum().backward()
    assert not last.requires_grad
    assert start.grad is None


def test_results_do_not_depend_on_the_number_of_threads(threads: None) -> None:
    scan = [x.float() for x in operands(5, 37, 300, 12)]
    weight = operands(5, 37, 300, 1, seed=1)[0]
    results = []
    for count in (1, 2, 3, 7, 1):
        torch.set_num_threads(count)
        results.append(everything(scan, weight))
    for other in results[1:]:
        for name, value in results[0].items():
            assert torch.equal(other[name], value), name


def test_two_threads_may_scan_at_the_same_time() -> None:
    scans = [[x.float() for x in operands(3, 33, 144, 8, seed)] for seed in range(4)]
    weight = operands(3, 33, 144, 1, seed=9)[0]
    expected = [everything(scan, weight) for scan in scans]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda scan: everything(scan, weight), scans * 5))
    for i, result in enumerate(found):
        for name, value in expected[i % 4].items():
            assert torch.equal(result[name], value), name


@pytest.mark.parametrize("name", NAMES)
def test_a_nan_is_not_lost(name: str) -> None:
    scan = [x.float() for x in operands(1, 6, 16, 4)]
    scan[NAMES.index(name)].view(-1)[0] = torch.nan
    y, _ = selective_scan(*scan)
    assert y.isnan().any()


def test_extreme_step_sizes_and_gates() -> None:
    scan = operands(1, 9, 16, 4)
    scan[1][0, :, 0], scan[1][0, :, 1], scan[1][0, :, 2] = 60.0, -60.0, 0.0
    scan[6][0, :, 3], scan[6][0, :, 4], scan[6][0, :, 5] = 200.0, -200.0, 0.0
    scan[2][6] = 0.05  # a state that grows is the definition's too
    scan[2][7] = -1e4
    weight = torch.ones(1, 9, 16)
    assert_close(everything([x.float() for x in scan], weight), everything(scan, weight), 5e-6)


def test_the_cache_folder_is_the_users_and_numba_waits_for_the_first_scan(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from nexus_tui.lm.selective_scan import selective_scan\n"
        "assert 'numba' not in sys.modules\n"
        "x, m, v = torch.ones(1, 2, 4), torch.ones(4, 2), torch.ones(4)\n"
        "b = torch.ones(1, 2, 2)\n"
        "selective_scan(x, x, -m, b, b, v, x, v)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list((tmp_path / "nexus-tui" / "numba").rglob("kernels.forward*.nbc"))

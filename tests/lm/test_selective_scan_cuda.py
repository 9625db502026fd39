"""The GPU's selective scan and dropout against their definitions: interpreted where there is no GPU.

`tests/conftest.py` has Triton interpret its kernels then, with numpy. On a GPU they are compiled.
"""

import pytest
import torch
from torch import Tensor

from nexus_tui.lm.selective_scan import cuda, reference
from tests.lm.test_selective_scan import NAMES, assert_close, operands

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few numbers make several tiles, blocks and chunks; and few are quickly interpreted."""
    if DEVICE == "cpu":
        monkeypatch.setattr(cuda, "TILE", 4)
        monkeypatch.setattr(cuda, "WIDE", 8)


def everything(scan: list[Tensor], weight: Tensor, start: Tensor | None = None) -> dict[str, Tensor]:
    """As in the tests of the CPU's kernel; operands in 64 bits go through the definition."""
    exact = scan[0].dtype == torch.float64
    leaves = [x.detach().requires_grad_() for x in scan]
    y, last = (reference if exact else cuda).selective_scan(*leaves, start)
    gradients = torch.autograd.grad((y * weight.to(y)).sum(), leaves)
    return {"y": y.detach(), "last": last, **dict(zip(NAMES, gradients, strict=True))}


def moved(tensors: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    return [x.to(DEVICE, dtype) for x in tensors]


def back(found: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.cpu().double() for name, value in found.items()}


@pytest.mark.parametrize(
    ("batch", "length", "channel", "state", "started", "chunks"),
    [(1, 1, 1, 1, False, 1), (2, 9, 11, 2, True, 3), (1, 8, 8, 3, False, 1), (1, 13, 3, 2, True, 1)],
)
def test_the_kernel_agrees_with_the_definition_in_64_bits(
    batch: int,
    length: int,
    channel: int,
    state: int,
    started: bool,
    chunks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if chunks > 1:
        monkeypatch.setattr(cuda, "LEAST", 1)
        monkeypatch.setattr(cuda, "FULL", 3 * batch * -(-channel // cuda.WIDE))
    scan = operands(batch, length, channel, state)
    start = operands(batch, channel, state, 1, seed=1)[0] if started else None
    weight = operands(batch, length, channel, 1, seed=2)[0]
    begun = None if start is None else start.float().to(DEVICE)
    found = everything(moved(scan, torch.float32), weight.to(DEVICE), begun)
    assert found["y"].dtype == torch.float32
    assert_close(back(found), everything(scan, weight, start), 5e-6)


def test_a_long_row_is_cut_and_a_wide_batch_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert cuda._Cut(torch.empty(4096, 128, 512, device="meta"), 16).chunks == 1
    assert cuda._Cut(torch.empty(1, 4096, 512, device="meta"), 16).chunks == 32


def test_operands_of_16_bits_are_computed_in_32() -> None:
    scan = operands(2, 9, 11, 3)
    weight = operands(2, 9, 11, 1, seed=2)[0].bfloat16().double()
    short = [name in ("u", "delta", "B", "C", "z") for name in NAMES]
    mixed = [x.bfloat16() if cut else x.float() for cut, x in zip(short, scan, strict=True)]
    found = everything([x.to(DEVICE) for x in mixed], weight.to(DEVICE))
    assert {name: found[name].dtype for name in ("y", "u", "B", "A", "last")} == {
        "y": torch.bfloat16,
        "u": torch.bfloat16,
        "B": torch.bfloat16,
        "A": torch.float32,
        "last": torch.float32,
    }
    # The operands are rounded for both: what is left is the result to 8 bits, which the interpreter cuts.
    expected = everything([x.double() for x in mixed], weight)
    assert_close(back(found), expected, 2**-7)
    assert_close({"last": found["last"].cpu().double()}, {"last": expected["last"]}, 5e-6)


def test_operands_may_be_parts_of_wider_tensors_and_gradients_expanded() -> None:
    u, delta, A, B, C, D, z, bias = moved(operands(2, 7, 8, 3), torch.float32)
    wide, both = torch.cat((u, z), dim=-1), torch.cat((B, C), dim=-1)
    parts = [wide[..., :8], delta.transpose(1, 2).contiguous().transpose(1, 2), A.t().contiguous().t()]
    parts += [*both.split(3, dim=-1), D.repeat_interleave(2)[::2], wide[..., 8:], bias]
    one = torch.ones((), device=DEVICE)
    assert_close(everything(parts, one), everything([u, delta, A, B, C, D, z, bias], one), 1e-6)


def test_a_decay_that_underflows_forgets_the_state() -> None:
    u, delta, A, B, C, D, z, bias = moved(operands(1, 6, 8, 2), torch.float32)
    A = torch.full_like(A, -float("inf"))
    found = everything([u, delta, A, B, C, D, z, bias], torch.ones((), device=DEVICE))
    assert all(found[name].isfinite().all() for name in ("y", "last", "u", "delta", "B", "C", "z"))


def test_states_go_on_where_they_were() -> None:
    scan = moved(operands(2, 11, 8, 3), torch.float32)
    whole, last = cuda.selective_scan(*scan)
    cut = [[x[:, :5], x[:, 5:]] if x.ndim == 3 else [x, x] for x in scan]
    first, between = cuda.selective_scan(*(x[0] for x in cut))
    second, end = cuda.selective_scan(*(x[1] for x in cut), between)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole)
    torch.testing.assert_close(end, last)


def test_nothing_as_large_as_all_states_is_in_memory() -> None:
    """Of [batch, length, channel, state] there is a part for every TILE-th position."""
    batch, length, channel, state = 2, 32, 8, 4
    scan = [x.requires_grad_() for x in moved(operands(batch, length, channel, state), torch.float32)]
    y, _ = cuda.selective_scan(*scan)
    kept = max(tensor.numel() for tensor in y.grad_fn.saved_tensors)
    assert kept == batch * (length // cuda.TILE + 1) * channel * state


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
@pytest.mark.parametrize("shape", [(16, 128, 512, 16), (2, 2048, 1536, 16), (1, 8192, 512, 16)])
def test_a_models_shapes_agree_with_the_processors_kernel(shape: tuple[int, int, int, int]) -> None:
    from nexus_tui.lm.selective_scan import selective_scan

    scan = [x.float() for x in operands(*shape)]
    weight = operands(*shape[:3], 1, seed=2)[0].float()
    leaves = [x.clone().requires_grad_() for x in scan]
    y, last = selective_scan(*leaves)
    gradients = torch.autograd.grad((y * weight).sum(), leaves)
    expected = {"y": y.detach(), "last": last, **dict(zip(NAMES, gradients, strict=True))}
    found = everything([x.cuda() for x in scan], weight.cuda())
    assert_close(back(found), {name: value.double() for name, value in expected.items()}, 2e-5)

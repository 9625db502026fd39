"""Dropout whose numbers a GPU counts: interpreted where there is none."""

import pytest
import torch

from nexus_tui.lm.dropout_cuda import DeviceDropout

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def place(step: int, row: int) -> torch.Tensor:
    return torch.tensor([step, row], device=DEVICE)


def dropped(step: int, row: int, rows: int, call: int = 1, seed: int = 1) -> torch.Tensor:
    dropout = DeviceDropout(0.25, seed, place(step, row))
    ones = torch.ones(rows, 40, 30, device=DEVICE)
    return [dropout(ones) for _ in range(call)][-1]


def test_so_many_are_left_out_and_the_others_make_up_for_them() -> None:
    found = dropped(3, 0, 8)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    # 9,600 draws: the share is within five standard deviations
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 9600) ** 0.5)


def test_a_row_loses_the_same_whoever_holds_it() -> None:
    whole = dropped(3, 0, 6)
    assert torch.equal(whole, torch.cat((dropped(3, 0, 2), dropped(3, 2, 4))))


@pytest.mark.parametrize("other", [{"step": 4}, {"row": 1}, {"call": 2}, {"seed": 2}])
def test_every_step_row_call_and_seed_draws_anew(other: dict[str, int]) -> None:
    usual = {"step": 3, "row": 0, "rows": 1, "call": 1, "seed": 1}
    alike = (dropped(**usual) == dropped(**(usual | other))).float().mean().item()
    assert alike == pytest.approx(
        0.75**2 + 0.25**2, abs=0.06
    )  # as two that have nothing to do with each other


def test_a_gradient_is_left_out_where_the_number_was() -> None:
    x = torch.randn(4, 10, 7, device=DEVICE, requires_grad=True)
    dropout = DeviceDropout(0.25, 1, place(5, 0))
    y = dropout(x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient == 0, y == 0)
    torch.testing.assert_close(gradient * x, y)


def test_the_place_is_read_when_it_is_needed() -> None:
    where, x = place(1, 0), torch.ones(2, 30, device=DEVICE)
    dropout = DeviceDropout(0.25, 1, where)
    where.copy_(place(2, 0))
    assert torch.equal(dropout(x), DeviceDropout(0.25, 1, place(2, 0))(x))

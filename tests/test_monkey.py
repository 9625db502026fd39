"""What the monkey of `make torture` does is a function of its seed, and every key is among it."""

from itertools import islice

import pytest

from nexus_tui.tui.keys import TABLE
from tools.torture.keyboard import KEYS, LEAVING, Monkey, written


def test_the_same_seed_does_the_same_again() -> None:
    first, again, other = (list(islice(Monkey(seed), 400)) for seed in (3, 3, 4))
    assert first == again != other


def test_every_key_of_the_table_is_pressed_and_is_what_a_terminal_sends() -> None:
    keys = {written(key) for row in TABLE for key in row.keys.split(",") if key}
    assert all(len(key.decode()) == 1 or key.startswith(b"\x1b") for key in keys)
    pressed = {part for act in islice(Monkey(0, leaves=True), 20_000) for part in act.parts}
    assert keys == set(KEYS) <= pressed


@pytest.mark.parametrize("seed", [0, 1])
def test_who_may_not_leave_presses_no_key_that_leaves(seed: int) -> None:
    assert not {part for act in islice(Monkey(seed), 5000) for part in act.parts} & LEAVING


def test_terminals_of_one_cell_and_of_300_columns_are_among_the_sizes() -> None:
    monkey = Monkey(0)
    sizes = {monkey.size() for _ in range(500)}
    assert {(1, 1), (300, 100)} <= sizes
    assert all(1 <= columns <= 300 and 1 <= rows <= 100 for columns, rows in sizes)

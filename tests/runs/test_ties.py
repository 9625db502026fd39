"""Ties: equal checkpoints are not told apart more often than they should, and different ones are."""

import numpy as np
import pytest

from nexus_tui.runs.ties import BLOCKS, blocks, critical_value, differences

WINDOWS = 871  # as the validation part of Tiny Shakespeare has, at 128 bytes


def equal_checkpoints(random: np.random.Generator, count: int, slow: float) -> dict[str, np.ndarray]:
    """Window losses of equally good checkpoints; `slow` of what differs goes with the text's scenes."""
    text = random.normal(1.5, 0.26, WINDOWS)
    own = random.normal(0, 1, (count, WINDOWS))
    keep = np.exp(-1 / 12)
    scenes = random.normal(0, np.sqrt(1 - keep**2), (count, WINDOWS))
    for window in range(1, WINDOWS):
        scenes[:, window] += keep * scenes[:, window - 1]
    losses = text + 0.035 * (np.sqrt(1 - slow) * own + np.sqrt(slow) * scenes)
    return {str(number): each for number, each in enumerate(losses)}


def false_separations(count: int, slow: float, runs: int) -> float:
    """In how many of such runs any checkpoint is told from the best."""
    random = np.random.default_rng([count, int(100 * slow)])
    found = 0
    for _ in range(runs):
        losses = equal_checkpoints(random, count, slow)
        best = min(losses, key=lambda name: losses[name].mean())
        found += any(not difference.tied for difference in differences(losses, best).values())
    return found / runs


@pytest.mark.parametrize(("count", "slow"), [(2, 0.0), (10, 0.0), (2, 0.08), (10, 0.08)])
def test_equal_checkpoints_are_told_apart_at_the_nominal_rate(count: int, slow: float) -> None:
    # 300 runs: standard error of the rate 0.013 at the nominal 0.05, so 0.09 is three of them above it.
    # Over 1500 runs: 0.063 (2 checkpoints, slow), 0.068 (10), 0.061 (20); 0.054 (10, independent).
    assert 0.005 <= false_separations(count, slow, runs=300) <= 0.09


def test_a_real_difference_is_found() -> None:
    losses = equal_checkpoints(np.random.default_rng(0), 10, 0.08)
    losses["0"] -= 0.02
    assert not any(difference.tied for difference in differences(losses, "0").values())


def test_the_clearly_worse_do_not_widen_the_interval_of_the_rest() -> None:
    losses = equal_checkpoints(np.random.default_rng(1), 3, 0.0)
    alone = differences(losses, "0")
    crowd = losses | {f"early {n}": losses["0"] + 0.5 + 0.01 * n for n in range(20)}
    together = differences(crowd, "0")
    assert {name: together[name] for name in alone} == alone


def test_an_interval_is_of_the_mean_over_all_windows() -> None:
    random = np.random.default_rng(2)
    best = random.normal(2, 0.3, 100)
    other = best + random.normal(0.01, 0.05, 100)
    (difference,) = differences({"a": best, "b": other}, "a").values()
    assert difference.mean == pytest.approx((other - best).mean())
    assert difference.high - difference.mean == pytest.approx(critical_value(2, BLOCKS) * difference.stderr)
    assert difference.low < difference.mean < difference.high


def test_identical_checkpoints_are_tied_and_a_constant_difference_is_none() -> None:
    losses = np.linspace(1, 2, 50)
    found = differences({"a": losses, "same": losses, "higher": losses + 0.5}, "a")
    assert (found["same"].tied, found["higher"].tied) == (True, False)


def test_other_windows_and_single_windows_are_not_compared() -> None:
    assert differences({"a": np.ones(10), "b": np.ones(9)}, "a") == {}
    assert differences({"a": np.ones(1), "b": np.ones(1)}, "a") == {}
    assert set(differences({"a": np.ones(2), "b": np.ones(2), "c": np.ones(3)}, "a")) == {"b"}


def test_blocks_cover_every_window_once() -> None:
    losses = np.arange(100.0)[None]
    means = blocks(losses)
    assert means.shape == (1, BLOCKS)
    sizes = np.diff(np.linspace(0, 100, BLOCKS + 1).astype(int))
    assert (means[0] * sizes).sum() == pytest.approx(losses.sum())
    assert blocks(np.ones((2, 5))).shape == (2, 5)


def test_the_critical_value_grows_with_the_choice() -> None:
    values = [critical_value(count, BLOCKS) for count in (2, 3, 10, 50)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(2.26, abs=0.08)  # Student's t with 9 degrees of freedom, 97.5 %

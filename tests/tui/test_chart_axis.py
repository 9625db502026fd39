"""Axes: readable at any size, and still while the data move little."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nexus_tui.tui.chart.axis import steady_x, x_axis, y_axis

finite = st.floats(-1e300, 1e300)


def number(label):
    """Value of a tick label."""
    text = label.replace(",", "")
    unit = text[-1] if text[-1] in "kMGTP" else ""
    return float(text.removesuffix(unit)) * 1000.0 ** ("kMGTP".index(unit) + 1 if unit else 0)


@settings(max_examples=120, deadline=None)
@given(a=finite, b=finite, rows=st.integers(2, 90))
def test_a_linear_axis_has_two_labels_that_are_true(a, b, rows):
    low, high = min(a, b), max(a, b)
    axis = y_axis(low, high, rows)
    assert axis.low <= low
    assert high <= axis.high
    assert len(axis.ticks) >= 2
    assert len({row for row, _ in axis.ticks}) == len(axis.ticks)
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)
    cell = axis.span / rows
    for row, label in axis.ticks:
        assert 0 <= row < rows
        middle = axis.high - (row + 0.5) * cell
        assert abs(number(label) - middle) <= 0.01 * cell + 1e-12 * max(abs(axis.low), abs(axis.high))


@settings(max_examples=120, deadline=None)
@given(a=st.floats(-12, 12), b=st.floats(-12, 12), rows=st.integers(2, 90))
def test_a_log_axis_has_two_labels_within_half_a_row(a, b, rows):
    low, high = min(a, b), max(a, b)
    axis = y_axis(low, high, rows, log=True)
    assert axis.low <= low
    assert high <= axis.high
    assert len({label for _, label in axis.ticks}) >= 2
    cell = axis.span / rows
    for row, label in axis.ticks:
        middle = axis.high - (row + 0.5) * cell
        assert abs(math.log10(number(label)) - middle) <= 0.51 * cell + 0.003


@settings(max_examples=120, deadline=None)
@given(
    low=st.floats(-1e9, 1e9),
    span=st.floats(1e-3, 1e10),
    width=st.integers(13, 300),
    kind=st.sampled_from(["step", "tokens", "time", "clock"]),
)
def test_an_x_axis_has_two_labels_that_do_not_touch(low, span, width, kind):
    assume(low + span / 1000 > low)
    axis = x_axis(low, low + span, width, kind)
    assert len(axis.ticks) >= 2
    for cell, start, label in axis.ticks:
        assert 0 <= cell < width
        assert start >= 0
        assert start + len(label) <= width
    for (_, start, label), (_, after, _) in itertools.pairwise(axis.ticks):
        assert start + len(label) < after


@settings(max_examples=100, deadline=None)
@given(high=st.integers(10, 5_000_000), width=st.integers(13, 300))
def test_planned_steps_have_round_labels_that_differ(high, width):
    axis = x_axis(0.0, float(high), width)
    labels = [label for _, _, label in axis.ticks]
    assert len(set(labels)) == len(labels) >= 2
    for cell, _, label in axis.ticks:
        assert abs(axis.cell(number(label)) - cell - 0.5) <= 1.0 + 0.01 * width


def test_familiar_axes_look_familiar():
    assert [label for _, _, label in x_axis(0, 2000, 80).ticks] == [
        "0",
        "400",
        "800",
        "1,200",
        "1,600",
        "2,000",
    ]
    assert [label for _, _, label in x_axis(0, 3600, 60, "time").ticks][:3] == ["0:00", "30:00", "1:00:00"]
    assert [label for _, _, label in x_axis(0, 8e6, 60, "tokens").ticks] == ["0", "2M", "4M", "6M", "8M"]
    assert {label for _, label in y_axis(0, 3e-4, 10).ticks} >= {"0", "1e-4", "2e-4", "3e-4"}


@pytest.mark.parametrize("log", [False, True])
def test_labels_stay_while_a_loss_falls_slowly(log):
    axis, moved = None, 0
    for high in np.linspace(2.8, 2.3, 200):
        low, top = (math.log10(1.2), math.log10(high)) if log else (1.2, high)
        fresh = y_axis(low, top, 16, log=log, previous=axis)
        moved += fresh is not axis
        axis = fresh
    assert moved <= 3


def test_a_range_that_outgrows_the_axis_moves_it():
    axis = y_axis(1.0, 2.0, 10)
    assert y_axis(1.0, 5.0, 10, previous=axis).high >= 5.0
    assert y_axis(1.40, 1.41, 10, previous=axis).span < 0.5 * axis.span


@settings(max_examples=50, deadline=None)
@given(first=st.floats(0.1, 1000))
def test_an_open_end_grows_by_leaps(first):
    view, moved = None, 0
    for high in first * np.linspace(1, 100, 2000):
        fresh = steady_x(0.0, float(high), view)
        assert fresh[0] <= 0
        assert fresh[1] >= high
        moved += fresh != view
        view = fresh
    assert moved <= 25

"""The reduction: nothing lost, nothing read twice, however the points come."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nexus_tui.tui.chart.series import CurveReader, Reduction, Smoother, Window

WINDOW = Window(0.0, 100.0, 40)
FIELDS = ("column", "enter", "first", "leave", "last", "low", "high", "linked")

values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 5.5]))


@st.composite
def curves(draw, steps_back=True):
    """x and y [n]; x mostly grows, and may jump back as after a resume."""
    count = draw(st.integers(1, 80))
    step = st.floats(0, 12)
    moves = draw(
        st.lists(st.one_of(step, st.floats(-60, 0)) if steps_back else step, min_size=count, max_size=count)
    )
    x = np.cumsum(moves) - 5.0
    y = draw(hnp.arrays(np.float64, count, elements=values))
    return x, y


def read(x, y, cuts, window=WINDOW):
    reduction = Reduction(window)
    for start, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        reduction.append(x[start:stop], y[start:stop])
    return reduction


@settings(max_examples=80, deadline=None)
@given(curve=curves(), data=st.data(), log=st.booleans())
def test_reading_in_pieces_is_reading_at_once(curve, data, log):
    x, y = curve
    cuts = sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=6)))
    window = Window(0.0, 100.0, 40, log)
    whole, pieces = read(x, y, [], window), read(x, y, cuts, window)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(whole, field), getattr(pieces, field), err_msg=field)
    np.testing.assert_array_equal(whole.bad, pieces.bad)


@settings(max_examples=80, deadline=None)
@given(curve=curves())
def test_every_column_keeps_its_extremes_and_ends(curve):
    x, y = curve
    reduction = read(x, y, [])
    usable = np.isfinite(y)
    column = WINDOW.column(WINDOW.position(x))
    for place in range(WINDOW.pixels):
        mine = y[usable & (column == place)]
        records = reduction.column == place
        assert mine.size > 0 or not records.any()
        if mine.size:
            assert reduction.high[records].max() == mine.max()
            assert reduction.low[records].min() == mine.min()
            assert reduction.first[records][0] == mine[0]
            assert reduction.last[records][-1] == mine[-1]
    assert reduction.bad.sum() == np.unique(column[~usable & (column >= 0) & (column < WINDOW.pixels)]).size


@settings(max_examples=80, deadline=None)
@given(curve=curves())
def test_strokes_never_run_backwards_nor_over_gaps(curve):
    x, y = curve
    reduction = read(x, y, [])
    joined = np.flatnonzero(reduction.linked)
    assert (reduction.column[joined] > reduction.column[joined - 1]).all()
    column = WINDOW.column(WINDOW.position(x))
    for index in np.flatnonzero(~np.isfinite(y)):
        before = np.flatnonzero(np.isfinite(y[:index]))
        after = np.flatnonzero(np.isfinite(y[index:]))
        if before.size and after.size and column[before[-1]] != column[index + after[0]]:
            # The record that begins after the gap is joined to nothing.
            begins = (reduction.enter == WINDOW.position(x[index + after[:1]])) & (
                reduction.first == y[index + after[0]]
            )
            assert begins.any()
            assert not reduction.linked[begins].all()


def bias_corrected(y, beta):
    """The average as it is defined, value by value."""
    total, weight, out = 0.0, 0.0, []
    for value in y:
        if np.isfinite(value):
            total = beta * total + (1 - beta) * value
            weight = beta * weight + (1 - beta)
        out.append(total / weight if np.isfinite(value) else np.nan)
    return np.array(out)


@settings(max_examples=60, deadline=None)
@given(
    y=hnp.arrays(np.float64, st.integers(1, 300), elements=values),
    beta=st.sampled_from([0.1, 0.5, 0.9, 0.99, 0.999]),
    cut=st.integers(0, 300),
)
def test_smoothing_is_the_bias_corrected_average_in_any_cutting(y, beta, cut):
    smoother = Smoother(beta)
    found = np.concatenate((smoother.extend(y[:cut]), smoother.extend(y[cut:])))
    np.testing.assert_allclose(found, bias_corrected(y, beta), rtol=1e-9, atol=1e-6)


def test_a_long_series_is_smoothed_like_a_short_one():
    y = np.random.default_rng(0).normal(2, 1, 50_000)
    np.testing.assert_allclose(Smoother(0.99).extend(y), bias_corrected(y, 0.99), rtol=1e-10)


def test_smoothing_after_a_resume_starts_from_where_it_resumes():
    x = np.concatenate((np.arange(1000), np.arange(400, 800))).astype(float)
    y = np.concatenate((np.full(400, 3.0), np.full(600, 1.0), np.full(400, 3.0)))
    reader = CurveReader()
    reader.update(x, y, WINDOW, 0.99)
    assert reader.breaks == [1000]
    # Had the abandoned branch been averaged in, this would be near 1.
    assert reader.smoothed[1000] == pytest.approx(3.0, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(curve=curves(), data=st.data(), beta=st.sampled_from([0.0, 0.9]))
def test_a_reader_fed_growing_columns_ends_where_a_fresh_one_does(curve, data, beta):
    x, y = curve
    grown, fresh = CurveReader(), CurveReader()
    for stop in sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=5))):
        grown.update(x[:stop], y[:stop], WINDOW, beta)
    grown.update(x, y, WINDOW, beta)
    fresh.update(x, y, WINDOW, beta)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(grown.raw, field), getattr(fresh.raw, field), err_msg=field)
    assert grown.breaks == fresh.breaks
    np.testing.assert_allclose(grown.smoothed, fresh.smoothed, rtol=1e-9, atol=1e-6)


def test_other_columns_are_read_anew():
    x, y = np.arange(50.0), np.linspace(3, 1, 50)
    reader = CurveReader()
    reader.update(x, y, WINDOW, 0.9)
    for other_x, other_y in ((x[:20], y[:20]), (x, y + 1), (x + 7, y)):
        reader.update(other_x, other_y, WINDOW, 0.9)
        expected = CurveReader()
        expected.update(other_x, other_y, WINDOW, 0.9)
        np.testing.assert_array_equal(reader.raw.high, expected.raw.high)
        np.testing.assert_array_equal(reader.smoothed, expected.smoothed)


def test_a_rewrite_in_the_middle_is_seen_by_its_version():
    x, y = np.arange(50.0), np.full(50, 2.0)
    reader = CurveReader()
    reader.update(x, y, WINDOW, 0.0, version=1)
    y[3] = 9.0
    reader.update(x, y, WINDOW, 0.0, version=2)
    assert reader.raw.high.max() == 9.0


def test_nearest_prefers_the_newest_stroke():
    x = np.array([0, 1, 2, 3, 4, 2, 3], dtype=float)
    reader = CurveReader()
    reader.update(x, np.arange(7.0), WINDOW, 0.0)
    assert reader.nearest(3.2) == 6
    assert reader.nearest(4.0) == 4
    assert reader.nearest(-9.0) == 0
    assert CurveReader().nearest(1.0) is None


def test_integer_columns_are_fine():
    reader = CurveReader()
    reader.update(np.arange(10), np.arange(10, dtype=np.float32), WINDOW, 0.5)
    assert reader.raw.high.max() == 9.0


def test_appending_costs_what_is_appended_and_memory_stays_small():
    total, more = 1_000_000, 2000
    x = np.arange(total + 11 * more, dtype=np.float64)
    y = np.random.default_rng(0).normal(2, 0.1, x.size)
    window = Window(0.0, 1.5e6, 300)
    reader = CurveReader()
    reader.update(x[:total], y[:total], window, 0.95)
    costs = []
    for k in range(1, 12):
        stop = total + k * more
        begin = time.thread_time()
        reader.update(x[:stop], y[:stop], window, 0.95)
        costs.append(time.thread_time() - begin)
    assert np.median(costs) < 0.005  # seconds; reading everything again takes twenty times as long
    beside = reader._smoothed.nbytes + reader.raw._table.nbytes + reader.smooth._table.nbytes
    assert 16 + beside / stop <= 40  # bytes a point, x and y included

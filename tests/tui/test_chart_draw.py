"""What is drawn: every spike, no invented strokes, marks for what is not shown, little change for little."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart import Band, Curve, Legend, Mark, raster
from nexus_tui.tui.chart.axis import y_axis
from nexus_tui.tui.chart.frame import Frame, Styles
from nexus_tui.tui.chart.legend import fit
from nexus_tui.tui.chart.plot import Plot, Request
from nexus_tui.tui.chart.series import Reduction, Window

STYLES = Styles(theme.DARK)


@pytest.fixture(autouse=True)
def unicode_glyphs():
    theme.use_ascii(False)
    yield
    theme.use_ascii(None)


def plot(*curves, **wishes):
    return Plot(Request(title="loss", format=fmt.loss, curves=curves, **wishes))


def training(steps=1412, seed=0):
    """A loss that falls from 5.5 to about 1.25, with noise."""
    step = np.arange(steps, dtype=float)
    noise = np.random.default_rng(seed).normal(0, 0.07, steps)
    return step, 1.22 + 4.3 * np.exp(-step / 22) + 1.15 * np.exp(-step / 300) + noise


def dots(codes):
    """Dots [4 × rows, 2 × width] of packed cells [rows, width]."""
    rows, width = codes.shape
    bits = np.zeros((4 * rows, 2 * width), bool)
    for bit, (y, x) in enumerate([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]):
        bits[y::4, x::2] = codes >> bit & 1
    return bits


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_packing_keeps_every_dot(rows, width, seed):
    bits = np.random.default_rng(seed).random((2 * width, 4 * rows)) < 0.3
    np.testing.assert_array_equal(dots(raster.pack(bits)).T, bits)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 3000),
    rows=st.integers(2, 40),
    width=st.integers(5, 120),
    spike=st.floats(5, 50),
)
def test_the_drawn_envelope_reaches_every_extreme(seed, count, rows, width, spike):
    random = np.random.default_rng(seed)
    y = random.normal(2, 0.1, count)
    at = int(random.integers(count))
    y[at] = spike
    window = Window(0.0, float(count - 1), 2 * width)
    reduction = Reduction(window)
    reduction.append(np.arange(count, dtype=float), y)
    axis = y_axis(y.min(), y.max(), rows)
    bits, above, below = raster.bitmap(reduction, axis)
    inked = np.flatnonzero(bits.any(0))
    assert inked[0] == axis.dot(np.array([spike]))[0]
    assert inked[-1] == axis.dot(np.array([y.min()]))[0]
    assert bits[int(window.column(window.position(np.array([float(at)])))[0]), inked[0]]
    assert not above.any()
    assert not below.any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 400), width=st.integers(3, 60))
def test_a_line_is_whole(seed, count, width):
    """Dots of neighbouring columns touch, whether points are many to a column or columns many to a point."""
    random = np.random.default_rng(seed)
    reduction = Reduction(Window(0.0, 1.0, 2 * width))
    x = np.concatenate(([0.0], np.sort(random.random(count)), [1.0]))
    y = np.cumsum(random.normal(0, 1, x.size))
    reduction.append(x, y)
    bits, _, _ = raster.bitmap(reduction, y_axis(y.min(), y.max(), 12))
    assert bits.any(1).all()
    for left, right in pairwise(bits):
        reach = left | np.roll(left, 1) | np.roll(left, -1)
        assert (reach & right).any()
        assert np.ptp(np.flatnonzero(left)) == left.sum() - 1  # one piece in each column


def test_a_resume_draws_no_stroke_back():
    x = np.concatenate((np.arange(1400.0), np.arange(800.0, 1200.0)))
    y = np.where(np.arange(x.size) < 1400, 1.0, 3.0)
    picture = plot(Curve("train", x, y), x_range=(0.0, 2000.0))
    frame = picture.draw(80, 20, STYLES)
    area = frame.glyphs[1:18, picture.left :]
    inked = np.flatnonzero((area >= 0x2800).any(1))
    assert len(inked) == 2  # two flat lines, nothing between them


def test_a_spike_beyond_the_frame_is_marked_where_it_is():
    step = np.arange(2000.0)
    loss = np.random.default_rng(0).normal(1.5, 0.02, 2000)
    loss[1000] = 900.0
    loss[500] = -900.0
    picture = plot(Curve("train", step, loss), x_range=(0.0, 2000.0))
    frame = picture.draw(80, 20, STYLES)
    assert picture.y.high < 3
    up, down = np.argwhere(frame.glyphs == ord("▲")), np.argwhere(frame.glyphs == ord("▼"))
    assert len(up) == len(down) == 1
    assert abs(picture.x.place(up[0][1] - picture.left) - 1000) < 40
    assert abs(picture.x.place(down[0][1] - picture.left) - 500) < 40


def test_the_fall_from_the_first_step_does_not_crush_the_rest():
    step, loss = training()
    picture = plot(Curve("train", step, loss), x_range=(0.0, 2000.0))
    frame = picture.draw(120, 30, STYLES)
    assert 2 < picture.y.high < 3.2
    assert (frame.glyphs[1] == ord("▲")).any()
    # What happens now has most of the rows.
    assert (np.quantile(loss[300:], 0.95) - loss.min()) / picture.y.span > 0.3  # 0.1 if all were shown


def test_few_points_are_shown_as_they_are():
    step, loss = training(12)
    picture = plot(Curve("train", step, loss), x_range=(0.0, 2000.0))
    frame = picture.draw(120, 30, STYLES)
    assert picture.y.low <= loss.min() <= loss.max() <= picture.y.high
    assert not (frame.glyphs == ord("▲")).any()


def test_newest_best_and_forecast_are_never_left_outside():
    step, loss = training()
    loss[-1] = 9.0
    best = Curve("best", np.array([1200.0]), np.array([0.4]), "best", "star")
    band = Band(np.array([1500.0, 2000.0]), np.array([0.2, 0.3]), np.array([1.0, 1.1]))
    picture = plot(Curve("train", step, loss), best, x_range=(0.0, 2000.0), band=band)
    picture.draw(120, 30, STYLES)
    assert picture.y.low <= 0.2
    assert picture.y.high >= 9.0


def test_unusable_values_are_gaps_with_a_mark_and_stretch_nothing():
    step = np.arange(1000.0)
    loss = np.full(1000, 2.0)
    loss[400:600] = np.nan
    loss[700] = np.inf
    loss[800] = -np.inf
    picture = plot(Curve("train", step, loss), x_range=(0.0, 1000.0))
    frame = picture.draw(100, 20, STYLES)
    assert picture.y.span < 0.1
    crosses = np.flatnonzero(frame.glyphs[18] == ord("×")) - picture.left
    places = picture.x.place(crosses)
    assert set(np.flatnonzero((places > 395) & (places < 605))) | set(
        np.flatnonzero((abs(places - 700) < 12) | (abs(places - 800) < 12))
    ) == set(range(len(places)))
    assert len(places) > 15
    gap = frame.glyphs[1:18, picture.left + int(picture.x.cell(500))]
    assert (gap == ord(" ")).all()


def test_on_a_log_axis_values_not_positive_are_gaps():
    step = np.arange(100.0)
    rate = np.where(step < 50, 0.0, 1e-4 * np.exp(-step / 10))
    picture = plot(Curve("lr", step, rate), x_range=(0.0, 100.0), log_y=True)
    frame = picture.draw(60, 16, STYLES)
    assert (frame.glyphs == ord("×")).sum() > 10
    assert -10 < picture.y.low < picture.y.high < -4


def test_one_more_point_changes_few_cells():
    step, loss = training(1500)
    picture = plot(smoothing=0.95, x_range=(0.0, 2000.0))
    old, changed, moves = None, [], 0
    for count in range(1000, 1500):
        picture.request.curves = (Curve("train", step[:count], loss[:count]),)
        axis = picture.y
        frame = picture.draw(100, 24, STYLES)
        if old is not None:
            cells = int(((frame.glyphs != old.glyphs) | (frame.looks != old.looks)).sum())
            assert sum(stop - start for _, start, stop in frame.changes(old)) >= cells
            moves += picture.y is not axis
            changed.append(cells)
        old = frame
    assert moves <= 2
    assert np.median(changed) <= 10  # digits of the title among them
    assert np.quantile(changed, 0.98) <= 20


def test_the_same_data_change_nothing():
    step, loss = training()
    picture = plot(Curve("train", step, loss), smoothing=0.9, x_range=(0.0, 2000.0))
    first = picture.draw(100, 24, STYLES)
    assert picture.draw(100, 24, STYLES).changes(first) == []


def test_changes_hold_every_changed_cell_and_little_else():
    old, new = Frame(20, 3, STYLES), Frame(20, 3, STYLES)
    new.glyphs[1, 4] = new.glyphs[1, 7] = ord("x")
    new.looks[2, 19] = 1
    assert new.changes(old) == [(1, 4, 8), (2, 19, 20)]
    assert len(new.changes(None)) == 3


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    count=st.integers(0, 300),
    log=st.booleans(),
    ascii_only=st.booleans(),
    crosshair=st.one_of(st.none(), st.floats(-10, 400)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_and_data_can_be_drawn(width, height, count, log, ascii_only, crosshair, seed):
    theme.use_ascii(ascii_only)
    random = np.random.default_rng(seed)
    x = np.cumsum(random.choice([1.0, 1.0, 1.0, -20.0], count))
    y = random.normal(0, 1, count) * 10.0 ** random.integers(-5, 6)
    y[random.random(count) < 0.1] = random.choice([np.nan, np.inf, -np.inf])
    picture = plot(
        Curve("train", x, y),
        Curve("val", x[::7], y[::7], "val", "dots"),
        Curve("best", x[:1], y[:1], "best", "star"),
        smoothing=0.9,
        log_y=log,
        crosshair=crosshair,
        marks=[Mark(3, "resumed", "resume"), Mark(5, "a note that is long", "note")],
        band=Band(np.array([200.0, 300.0]), np.array([-1.0, 1.0]), np.array([2.0, 3.0])),
    )
    frame = picture.draw(width, height, STYLES)
    assert frame.glyphs.shape == (height, width)
    for row in range(height):
        assert frame.strip(row).cell_length == width
    assert not ascii_only or frame.text().isascii()
    if width >= 18 and height >= 4:
        # The best may be NaN; ticks are there whenever something can be drawn.
        assert len(picture.y.ticks) >= 2
        assert len(picture.x.ticks) >= 2


def test_smoothing_keeps_the_raw_curve_dim_behind_a_line_of_its_own():
    step, loss = training()
    picture = plot(Curve("train", step, loss, "#112233"), smoothing=0.95, x_range=(0.0, 2000.0))
    frame = picture.draw(100, 24, STYLES)
    looks = [STYLES.looks[number] for number in np.unique(frame.looks)]
    assert any(look.role == "#112233" and look.dim for look in looks)
    assert any(look.role == "#112233" and not look.dim for look in looks)
    alone = plot(Curve("train", step, loss, "#112233"), smoothing=0.95, x_range=(0.0, 2000.0))
    alone.draw(100, 24, STYLES)
    (layer,) = alone._read(Window(0.0, 2000.0, 2 * alone.x.width))
    line = raster.stroke(layer.smooth, alone.y).codes
    shown = frame.glyphs[1:22, picture.left :]
    mine = (line != 0) & (shown != ord("▲"))
    assert (shown[mine] == raster.BRAILLE[line[mine]]).all()  # no raw dots among those of the line


def test_a_star_and_dots_lie_over_lines_and_dots_are_exact():
    step, loss = training()
    at, val = np.array([400.0, 800.0]), np.array([1.6, 1.4])
    picture = plot(
        Curve("train", step, loss),
        Curve("val", at, val, "val", "dots", joined=False),
        Curve("best", at[1:], val[1:], "best", "star"),
        smoothing=0.9,
        x_range=(0.0, 2000.0),
    )
    frame = picture.draw(100, 24, STYLES)
    _, star = np.argwhere(frame.glyphs == ord("★"))  # the first is in the title
    assert star[1] == picture.left + int(picture.x.cell(800))
    mine = frame.looks == STYLES.number(STYLES.looks[0]._replace(role="val"))
    bits = dots(np.where(mine, frame.glyphs - 0x2800, 0)[1:22].astype(np.uint8))
    rows = np.flatnonzero(bits.any(1))
    assert len(rows) == 2  # one square: that of the star is hidden beneath it
    middle = picture.y.high - (rows.mean() + 0.5) * picture.y.span / (4 * picture.y.rows)
    assert middle == pytest.approx(1.6, abs=0.51 * picture.y.span / (4 * picture.y.rows))


def test_the_forecast_is_a_shade_between_its_ends():
    step, loss = training()
    band = Band(np.array([1500.0, 2000.0]), np.array([1.4, 1.5]), np.array([1.7, 1.8]))
    picture = plot(Curve("train", step, loss), band=band, x_range=(0.0, 2000.0))
    frame = picture.draw(100, 24, STYLES)
    rows, columns = np.nonzero(frame.looks == STYLES.number(STYLES.looks[0]._replace(role="forecast")))
    assert picture.x.place(columns.min() - picture.left) >= 1480
    values = picture.y.high - (rows - 0.5) * picture.y.span / picture.y.rows
    assert values.min() > 1.3
    assert values.max() < 1.9


def test_the_crosshair_reads_the_columns():
    step, loss = training()
    at, val = np.array([400.0, 800.0]), np.array([1.6, 1.4])
    picture = plot(
        Curve("train", step, loss),
        Curve("val", at, val, "val", "dots"),
        smoothing=0.9,
        x_range=(0.0, 2000.0),
        crosshair=812.0,
    )
    title = picture.draw(120, 24, STYLES).text().splitlines()[0]
    train, evaluated = picture.readings()
    assert train.x == 812.0
    assert train.raw == loss[812]
    assert evaluated.raw == 1.4
    assert "@812" in title
    assert f"raw {loss[812]:.4f}" in title
    assert f"{train.smooth:.4f}" in title
    assert "1.4000 @800" in title


def test_marks_are_named_where_there_is_room():
    picture = plot(
        Curve("train", *training()),
        marks=[Mark(800, "resumed", "resume"), Mark(830, "x"), Mark(1700, "lr × 0.5")],
        x_range=(0.0, 2000.0),
    )
    first = picture.draw(100, 24, STYLES).text().splitlines()[1]
    assert "↻" in first
    assert "resumed" not in first  # no room before the next
    assert "◆ lr × 0.5" in first


def test_a_title_that_is_too_long_drops_its_parts_in_the_stated_order():
    entries = [
        Legend("line", "train", "1.4021", "train"),
        Legend("dots", "val", "1.5310", "val"),
        Legend("star", "best", "1.5288", "", "@1,200"),
    ]
    texts = []
    for width in range(80, 3, -1):
        text = "".join(piece for piece, _ in fit("loss", "nats/byte", "", entries, width))
        assert len(text) <= width
        if not texts or texts[-1] != text:
            texts.append(text)
    assert texts == [
        "loss nats/byte   ─ train 1.4021   ● val 1.5310   ★ 1.5288 @1,200",
        "loss   ─ train 1.4021   ● val 1.5310   ★ 1.5288 @1,200",
        "loss   ─ train 1.4021   ● val 1.5310   ★ 1.5288",
        "loss  ─ 1.4021  ● 1.5310  ★ 1.5288",
        "loss  ─ 1.4021  ● 1.5310",
        "loss  ─ 1.4021",
        "loss",
    ]


def test_a_forecast_is_never_told_without_its_step():
    entries = [
        Legend("dots", "val", "1.5310", "val"),
        Legend("star", "best", "1.5288", "best", "@1,200"),
        Legend("band", "forecast", "1.44 ± 0.02", "forecast", "@6,000", bound=True),
    ]
    told = {"".join(piece for piece, _ in fit("loss", "", "", entries, width)) for width in range(4, 121)}
    assert told == {
        "loss   ● val 1.5310   ★ best 1.5288 @1,200   ░ forecast 1.44 ± 0.02 @6,000",
        "loss   ● val 1.5310   ★ best 1.5288   ░ 1.44 ± 0.02 @6,000",
        "loss  ● 1.5310  ★ 1.5288  ░ 1.44 ± 0.02 @6,000",
        "loss  ● 1.5310  ★ 1.5288",
        "loss  ● 1.5310",
        "loss",
    }


def test_a_chart_without_values_says_so():
    text = plot(x_range=(0.0, 2000.0)).draw(60, 12, STYLES).text()
    assert "no values yet" in text
    assert "2,000" in text


def test_ascii_spells_what_it_lacks():
    theme.use_ascii(True)
    assert theme.spell("lr × 0.5 – ∞ 日") == "lr x 0.5 - inf ?"
    theme.use_ascii(False)
    assert theme.spell("lr × 0.5 – ∞ 日") == "lr × 0.5 – ∞ 日"


def test_blanks_join_what_is_before_them_unless_they_show():
    frame = Frame(12, 1, STYLES)
    faint, tinted = STYLES.looks[0]._replace(role="faint"), STYLES.looks[0]._replace(on="ghost")
    frame.write(0, 2, "│", faint)
    assert [segment.text for segment in frame.strip(0)] == ["  ", "│         "]
    frame.looks[0, 6] = STYLES.number(tinted)
    assert [segment.text for segment in frame.strip(0)] == ["  ", "│   ", " ", "     "]


def test_wide_characters_take_two_cells():
    frame = Frame(12, 1, STYLES)
    assert frame.write(0, 0, "日本 a", STYLES.looks[0]) == 6
    assert frame.strip(0).cell_length == 12
    assert frame.strip(0).text == "日本 a      "


def test_runs_overlaid_differ_in_sign_as_well_as_colour():
    step, loss = training(400)
    runs = [theme.series(theme.DARK, index) for index in range(8)]
    assert len({run.color for run in runs}) == len({run.sign for run in runs}) == 8
    curves = [Curve(f"run {i}", step, loss + 0.5 * i, run.color, sign=run.sign) for i, run in enumerate(runs)]
    text = plot(*curves, smoothing=0.9, x_range=(0.0, 500.0)).draw(140, 40, STYLES).text()
    body = "\n".join(text.splitlines()[1:])
    assert all(run.sign in body for run in runs)

"""Crosshair and window: from point to point, never past the ends, and along with what is new."""

import numpy as np
import pytest

from nexus_tui.tui.sight import FEWEST, Field, Sight

STEPS = np.arange(1.0, 1001.0)


def field(places=STEPS, view=(0.0, 2000.0), whole=(0.0, 2000.0), cells=100) -> Field:
    end = float(places[-1]) if len(places) else None
    return Field(places, view, whole, end, (view[1] - view[0]) / cells)


def test_it_begins_at_the_newest_point_that_is_seen_and_moves_a_cell() -> None:
    sight = Sight()
    sight.read(-1, field())
    assert sight.at == 1000
    sight.read(-1, field())
    assert sight.at == 980
    sight.read(20, field())
    assert sight.at == 1000, "the last point is the end"
    sight = Sight()
    sight.read(1, field(view=(100.0, 200.0)))
    assert sight.at == 200


def test_it_stands_at_points_even_where_they_are_rare() -> None:
    rare = np.array([1.0, 200.0, 500.0, 501.0])
    sight, seen = Sight(), []
    for _ in range(5):
        sight.read(-1, field(rare))
        seen.append(sight.at)
    assert seen == [501, 500, 200, 1, 1]
    sight.read(1, field(rare))
    assert sight.at == 200
    sight.snap(410.0, field(rare))
    assert sight.at == 500


def test_zoom_keeps_the_crosshair_where_it_is_and_ends_before_nothing_is_left() -> None:
    sight = Sight()
    sight.snap(500.0, field())
    sight.zoom(1, field())
    assert sight.window == (250, 1250)
    for _ in range(30):
        sight.zoom(1, field())
    assert sight.window is not None and sight.window[0] <= 500 <= sight.window[1]
    assert np.count_nonzero((sight.window[0] <= STEPS) & (sight.window[1] >= STEPS)) >= FEWEST
    for _ in range(30):
        sight.zoom(-1, field())
    assert sight.window is None and sight.at == 500


@pytest.mark.parametrize(
    ("distance", "window"), [(100.0, (350, 1350)), (-1e9, (0, 1000)), (1e9, (1000, 2000))]
)
def test_a_window_stays_within_the_axis(distance: float, window: tuple[float, float]) -> None:
    sight = Sight()
    sight.pan(distance, field())
    assert sight.window is None, "all of it has nowhere to go"
    sight.zoom(1, field(), around=500.0)
    sight.pan(distance, field())
    assert sight.window == window


def test_the_crosshair_takes_the_window_along() -> None:
    sight = Sight()
    sight.zoom(2, field(), around=900.0)
    assert sight.window == (675, 1175)
    sight.snap(676.0, field())
    sight.read(-1, field(view=(675.0, 1175.0)))
    assert sight.at == 671 and sight.window == (546, 1046)


def test_a_window_with_the_newest_point_follows_it_by_quarters() -> None:
    sight = Sight()
    sight.zoom(2, field(), around=1000.0)
    window = sight.window
    assert window == (750, 1250)
    sight.follow(1250.0)
    assert sight.window == window
    sight.follow(1251.0)
    assert sight.window == (875, 1375)
    sight.pan(-800.0, field())
    sight.follow(1900.0)
    assert sight.window == (75, 575), "who looks back is left there"


def test_another_axis_has_the_same_steps() -> None:
    sight = Sight()
    sight.snap(500.0, field())
    sight.zoom(1, field())
    sight.carry_over(lambda x: 128 * x)
    assert (sight.at, sight.window) == (64_000, (32_000, 160_000))
    sight.carry_over(lambda _: None)
    assert (sight.at, sight.window) == (None, None)


def test_without_points_nothing_happens() -> None:
    sight = Sight()
    sight.read(-1, field(np.empty(0)))
    sight.snap(3.0, field(np.empty(0)))
    assert sight.at is None

"""Where the charts of a board go."""

import itertools

import pytest
from textual.geometry import Region

from nexus_tui.tui.panes import SMALL_HEIGHT, SMALL_WIDTH, panes

SIZES = list(itertools.product((1, 18, 40, 58, 78, 96, 110, 150, 250, 299), (1, 4, 10, 16, 20, 32, 44, 86)))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_charts_fill_their_place_and_none_is_too_small(width: int, height: int) -> None:
    for count in (1, 2, 3, 5, 8, 9, 23, 200):
        regions = panes(width, height, count)
        assert 1 <= len(regions) <= count
        assert Region.from_union(regions) == Region(0, 0, width, height)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(regions, 2))
        if len(regions) > 1:
            least = max(18, min(SMALL_WIDTH, width))
            assert all(one.width >= least and one.height >= SMALL_HEIGHT for one in regions)
            assert regions[0].area == max(one.area for one in regions)


@pytest.mark.parametrize("count", [5, 9, 30])
def test_the_last_ones_go_first_and_come_back_as_they_were(count: int) -> None:
    widths, heights = range(40, 300, 7), range(6, 90, 3)
    for height in heights:
        rooms = [len(panes(width, height, count)) for width in widths]
        assert rooms == sorted(rooms), "a wider terminal never shows less"


@pytest.mark.parametrize(
    ("size", "count", "charts"),
    [
        ((58, 16), 8, 1),  # 60 × 20
        ((78, 19), 8, 1),  # 80 × 24
        ((77, 32), 8, 5),  # 120 × 36
        ((107, 44), 8, 7),  # 160 × 48
        ((247, 86), 8, 8),  # 300 × 90
        ((247, 16), 8, 4),  # 300 × 20
    ],
)
def test_how_many_there_are_at_the_usual_sizes(size: tuple[int, int], count: int, charts: int) -> None:
    assert len(panes(*size, count)) == charts

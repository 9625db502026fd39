"""What several processes would gain, on paper."""

import pytest

from benchmarks.ranks import on_paper

ROWS, PARAMETERS, LINK = (0.1, 0.05), 1e6, (1e9, 1e-4)


def test_a_step_on_paper_is_its_rows_and_what_goes_around_the_ring() -> None:
    assert on_paper(ROWS, PARAMETERS, LINK, 1, 16) == pytest.approx(0.9)
    assert on_paper(ROWS, PARAMETERS, LINK, 2, 16) == pytest.approx(0.1 + 0.4 + 4e-3 + 2e-4)
    assert on_paper(ROWS, PARAMETERS, LINK, 4, 64) == pytest.approx(0.9 + 6e-3 + 6e-4)

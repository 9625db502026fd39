"""Scaling at a tiny size: what is measured, how much memory that took, and how it is drawn."""

import multiprocessing
import sys
import xml.etree.ElementTree as ET
from concurrent.futures import ProcessPoolExecutor

import pytest

from benchmarks import scaling, scaling_case
from benchmarks.charts import Chart, Series, svg, terminal
from benchmarks.scaling_case import Case, Result, measure


@pytest.mark.skipif(sys.platform != "linux", reason="a process's peak of memory is read from /proc")
def test_a_layer_takes_less_memory_than_its_states_would() -> None:
    case = Case(batch=1, length=4096, hidden=64, alone=True)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        result = process.submit(measure, case).result()
    assert len(result.seconds) > 1
    assert all(seconds > 0 for seconds in result.seconds)
    assert case.states_bytes == 4 * 4096 * 128 * 32
    one = 4 * case.length * case.config.mamba_channels  # a tensor [batch, length, channel]
    assert 3 * one < result.peak < case.states_bytes


def test_a_case_is_the_reference_model_at_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    from nexus_tui.lm.config import JambaConfig

    assert Case(1, 8).config == JambaConfig()
    for width in scaling.WIDTHS:
        assert Case(1, 8, width).config.hidden_size == width
    monkeypatch.setattr(scaling_case, "MEASURED", 0.0)
    assert len(measure(Case(2, 8, 32)).seconds) >= 2


def results() -> scaling.Results:
    """As if each token took as long and as much memory as any other."""
    return {
        case: Result([case.batch * case.length / (1000 * case.threads)] * 3, 1000 * case.batch * case.length)
        for case in scaling.cases()
    }


def test_tables_and_pictures_have_every_case() -> None:
    told = results()
    table = scaling.table("model: length", scaling.LENGTHS, scaling.long, told)
    assert "| 8,192 | 1,000 (1,000 – 1,000, 3) |" in table
    charts = scaling.charts(told)
    picture = ET.fromstring(svg(charts))
    drawn = [text for element in picture.iter() if (text := element.text)]
    for chart in charts:
        assert chart.across in drawn
        assert any(chart.title in text for text in drawn)
        assert chart.title in terminal(chart)
    points = sum(len(line.points) for chart in charts for line in chart.lines if not line.dashed)
    assert len([e for e in picture.iter() if e.tag.endswith("circle")]) == points


def test_what_is_drawn_stays_inside() -> None:
    chart = Chart("a < b", "x", "y", [Series("one", [(1, 3.0), (2, 41.0)], "#000000")])
    logarithmic = Chart("c", "x", "y", [Series("one", [(1, 90.0), (2, 1100.0)], "#000000")], log=True)
    for element in ET.fromstring(svg([chart, logarithmic])).iter():
        if element.tag.endswith("circle"):
            assert 62 <= float(element.attrib["cy"]) <= 254
            assert 66 <= float(element.attrib["cx"]) <= 462
    assert "\x1b" not in terminal(chart)

"""The curves of several runs over each other, and the list beside them, without a screen."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.runs.run import Run
from nexus_tui.runs.settings import run_differences
from nexus_tui.tui import theme
from nexus_tui.tui.chart import Reading
from nexus_tui.tui.metrics import BY_ID, Metric
from nexus_tui.tui.overlay_curves import POINTS, VALIDATION, Member, OverlayCurves
from nexus_tui.tui.overlay_rows import At, differing, read, reading_columns
from tests.tui.fake_runs import START, FakeRun

LOSS, BITS, RATE = BY_ID["loss"], BY_ID["bits_per_byte"], BY_ID["lr"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Three runs that began on different days: `short`, `long`, and `bpe` with other tokens."""
    folder = tmp_path_factory.mktemp("runs")
    FakeRun(folder / "short", total=90, every=20, seconds=2.0).train(45).end("stopped")
    long = FakeRun(folder / "long", total=120, every=30, now=START + timedelta(days=1), seed=2).train(120)
    long.end()
    bpe = FakeRun(folder / "bpe", total=60, every=20, now=START + timedelta(days=2), seed=3).train(60)
    change(bpe.folder, '"byte"', '"bpe"')
    return {name: Run(folder / name) for name in ("short", "long", "bpe")}


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "run.toml"
    path.write_text(path.read_text().replace(old, new))


def members(runs: dict[str, Run], *names: str) -> list[Member]:
    return [Member(runs[name], theme.series(theme.DARK, place)) for place, name in enumerate(names)]


def test_a_run_has_one_colour_and_one_sign_in_all_its_curves(runs: dict[str, Run]) -> None:
    curves = OverlayCurves(members(runs, "short", "long"), "step", "short")
    drawn = curves.of(LOSS)
    assert [curve.name for curve in drawn] == [
        "short", f"short{POINTS}", "short ∙ best", "long", f"long{POINTS}", "long ∙ best",
    ]  # fmt: skip
    first, second = drawn[:3], drawn[3:]
    assert {curve.color for curve in first} != {curve.color for curve in second}
    assert [curve.sign for curve in drawn] == ["●", "●", None, "■", "■", None]
    assert [curve.marker for curve in first] == ["line", "dots", "star"]
    assert first[0].front and not second[0].front, "the one under the cursor is over the others"
    np.testing.assert_array_equal(first[0].y, runs["short"].steps["loss"])
    assert first[2].y[0] == min(evaluation.loss for evaluation in runs["short"].trained)
    assert [entry.label for entry in curves.legend(LOSS)] == ["short", "long"]
    assert curves.x_range() == (0.0, 120.0) and curves.end == 120
    assert curves.unit(LOSS) == "nats/byte" and curves.remark == ""
    assert [metric.id for metric in curves.metrics[:2]] == ["loss", "validation_loss"]
    assert [curve.joined for curve in curves.of(VALIDATION)[::2]] == [True, True]


def test_what_was_abandoned_is_left_out(tmp_path: Path) -> None:
    run = FakeRun(tmp_path / "resumed", total=90, every=20).train(50)
    run.resume(40)
    run.train(45)
    [line, *_] = OverlayCurves(members({"a": Run(run.folder)}, "a"), "step").of(LOSS)
    assert len(line.x) == 45 and np.all(np.diff(line.x) > 0)


def test_different_tokens_refuse_what_is_of_tokens_and_offer_bits_per_byte(runs: dict[str, Run]) -> None:
    curves = OverlayCurves(members(runs, "short", "bpe"), "step")
    titles = [metric.id for metric in curves.metrics]
    assert titles[0] == "bits_per_byte" and titles[-4:] == ["loss", "validation_loss", "perplexity", "gap"]
    for metric in curves.metrics[-4:]:
        assert "different tokens (byte, bpe)" in curves.refused(metric), metric.id
    assert curves.refused(BITS) == curves.refused(RATE) == ""
    assert [curve.marker for curve in curves.of(BITS)] == ["dots", "star"] * 2
    assert curves.of(BITS)[0].joined and "bits per byte" in curves.remark


def test_tokens_that_are_not_on_record_are_remarked_on(runs: dict[str, Run], tmp_path: Path) -> None:
    FakeRun(tmp_path / "other", total=60, every=20).train(20)
    change(tmp_path / "other", 'tokenizer = "byte"', "")
    unknown = {**runs, "other": Run(tmp_path / "other")}
    assert OverlayCurves(members(unknown, "short", "other"), "step").remark.startswith(
        "tokens are not on record"
    )
    assert not OverlayCurves(members(unknown, "other"), "step").remark


def test_different_texts_are_remarked_on(runs: dict[str, Run], tmp_path: Path) -> None:
    other = FakeRun(tmp_path / "other", total=40, every=20).train(20)
    change(other.folder, "tinyshakespeare", "novels")
    curves = OverlayCurves(members(runs | {"other": Run(other.folder)}, "short", "other"), "step")
    assert not curves.tokens and "different texts" in curves.remark


def test_on_the_clock_every_run_begins_at_nought(runs: dict[str, Run]) -> None:
    curves = OverlayCurves(members(runs, "short", "long"), "clock")
    assert curves.axes == ("step", "tokens", "time", "clock") and curves.x_kind == "time"
    short, long = curves.of(RATE)
    assert short.x[0] == pytest.approx(2.0) and long.x[0] == pytest.approx(1.055, abs=1e-3)
    assert curves.where(75.0) == ["1:15 since each began"]
    step = curves.step_at(float(long.x[70]))
    assert step == 71 and curves.place_of(step) == pytest.approx(float(long.x[70]))


def test_an_axis_that_one_run_knows_nothing_of_is_not_offered(runs: dict[str, Run], tmp_path: Path) -> None:
    undated = FakeRun(tmp_path / "undated", total=40, every=20, seconds=0.0).train(20)
    both = members(runs | {"undated": Run(undated.folder)}, "short", "undated")
    curves = OverlayCurves(both, "time")
    assert "time" not in curves.axes and curves.axis == "step"
    new = FakeRun(tmp_path / "new")
    curves = OverlayCurves(members(runs | {"new": Run(new.folder)}, "short", "new"), "time")
    assert curves.axis == "time", "one that has not begun takes no axis away"


def test_only_what_changed_is_worked_out_again(runs: dict[str, Run], tmp_path: Path) -> None:
    live = FakeRun(tmp_path / "live", total=40, every=20).train(10)
    every = runs | {"live": Run(live.folder)}
    before = OverlayCurves(members(every, "short", "live"), "step")
    live.train(12)
    every["live"].refresh()
    after = OverlayCurves(members(every, "short", "live"), "step", before=before)
    assert after.parts["short"] is before.parts["short"] and after.parts["live"] is not before.parts["live"]
    assert len(after.of(RATE)[1].x) == 12


def test_without_a_run_to_draw_it_says_so() -> None:
    curves = OverlayCurves([], "tokens")
    assert len(curves.metrics) == 1 and "hidden" in curves.refused(LOSS)
    assert (curves.axis, curves.end, curves.x_range(), curves.of(LOSS)) == ("step", None, None, [])
    assert np.isnan(curves.place_of(3)) and curves.step_at(3) is None


def at(metric: Metric, *readings: tuple[str, float, float | None]) -> At:
    return At(metric, 44.0, 5.0, [Reading(name, 40.0, raw, smooth) for name, raw, smooth in readings])


def test_at_the_crosshair_the_lowest_comes_first(runs: dict[str, Run]) -> None:
    here = members(runs, "short", "long", "bpe")
    said = at(LOSS, ("short", 1.9, 2.1), (f"short{POINTS}", 2.5, None), ("long", 2.2, 2.0))
    rows = read(here, {"bpe"}, said, lambda place: f"{place:g}")
    assert [row.id for row in rows] == ["long", "short", "bpe"]
    assert [rows[1].cells[key][0] for key in ("smooth", "raw", "val", "at")] == [
        "2.1000", "1.9000", "2.5000", "40",
    ]  # fmt: skip
    assert rows[2].cells["smooth"] == ("–", "faint")
    assert [column.title for column in reading_columns(said, "step")] == [
        " loss", "smoothed", "raw", "val", "at step",
    ]  # fmt: skip


def test_an_evaluation_of_another_place_stands_back(runs: dict[str, Run]) -> None:
    said = replace(at(LOSS, (f"short{POINTS}", 1.0, None), ("long", 2.2, None)), place=50.0)
    rows = read(members(runs, "short", "long"), (), said, lambda place: f"{place:g}")
    assert [row.id for row in rows] == ["long", "short"], "what has no line here has no rank"
    assert rows[1].cells["val"] == ("1.0000", "muted") and rows[1].cells["raw"][0] == "–"


def test_what_differs_is_told_with_the_signs_of_those_that_have_it(runs: dict[str, Run]) -> None:
    here = members(runs, "short", "long", "bpe")
    rows = run_differences([member.run for member in here])
    lines = differing(here, rows, 44, 20)
    texts = ["".join(text for text, _ in line) for line in lines]
    assert "data.tokenizer    ●■ byte  ◆ bpe" in texts
    assert all(len(text) <= 44 for text in texts)
    cut = differing(here, rows, 44, 3)
    assert len(cut) == 3 and cut[-1][0][0].startswith("… and ")
    assert differing(here[:1], rows, 44, 20) == []

"""The report: what is on record, the notes' rules, and that no text from outside can bend it."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from nexus_tui.cli import app
from nexus_tui.runs import journal as j
from nexus_tui.runs.report import facts, markdown, write_report
from nexus_tui.runs.report.facts import ROWS, chart_rows
from nexus_tui.runs.report.notes import RULES, observations
from nexus_tui.runs.report.text import code, escape, rate, table, visible
from nexus_tui.runs.report.trend import trend_chart
from nexus_tui.runs.run import Run

from .conftest import Writer

RENDER = MarkdownIt("commonmark").enable("table").render
HOSTILE = "a|b `c` ``d`` <script>alert(1)</script> [x](http://x) **bold**\n# head\x1b[2J ~~no~~ &amp; \\| end"


def notes(run: Run) -> list[tuple[int, str]]:
    return [
        (row["step"], note["rule"] or note["text"]) for row in facts(run)["progress"] for note in row["notes"]
    ]


def steps_of(w: Writer, losses: list[float], first: int = 1) -> None:
    for step, loss in enumerate(losses, first):
        w.step(step, loss)


# What it says ----------------------------------------------------------------------------------------


def test_a_run_as_values_and_as_markdown(reference_run: Writer) -> None:
    w = reference_run
    (w.folder / "run.toml").write_text('description = "a *first* try"\n[optimizer]\nlr = 1e-3\n')
    w.journal.append(j.EndedEvent(step=2000, reason="finished"))
    run = Run(w.folder)
    told = facts(run)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    by_step = {row["step"]: row for row in told["checkpoints"]}
    assert [step for step, row in by_step.items() if row["best"]] == [1400]
    assert [step for step, row in by_step.items() if row["new_best"]] == [600, 800, 1000, 1200, 1400]
    assert math.isclose(by_step[1400]["validation_perplexity"], math.exp(2.6312))
    assert by_step[1400]["weights"] == "here"
    assert told["gap"][-1]["step"] == 2000
    assert math.isclose(told["gap"][-1]["gap"], 0.3)
    assert (told["summary"]["best_step"], told["summary"]["final_step"]) == (1400, 2000)
    text = markdown(told)
    assert text.startswith("# Training report: reference\n\nFinished at step 2000.")
    assert "a \\*first\\* try" in text
    assert "| 1400 | 2.3312 | 10.29 | 2.6312 | 13.89 | 3.7960 | 1.00e-3 | ★ |" in text
    assert "Training on from step 1400 to 2000 did not lower the validation loss" in text
    assert text.count("\n## ") == 10


def test_a_run_of_which_nothing_is_on_record_has_a_report(writer: Callable[..., Writer]) -> None:
    run = Run(writer().folder)
    text = markdown(facts(run))
    assert "Nothing has been evaluated yet" in text
    assert json.dumps(facts(run), allow_nan=False)


def test_losses_that_are_no_number_are_left_out_of_every_figure(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((1, 2.0), (2, math.nan), (3, 1.9)):
        w.step(step, loss)
        w.save(step)
        w.journal.append(j.EvaluatedEvent(step=step, checkpoint=f"step_{step}", loss=loss))
    told = facts(Run(w.folder))
    assert json.dumps(told, allow_nan=False)
    assert [row["validation_loss"] for row in told["checkpoints"]] == [2.0, None, 1.9]
    assert told["summary"]["best_step"] == 3
    assert "nan" not in markdown(told).lower()


def test_an_abandoned_branch_is_shown_and_named(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((1, 2.0), (2, 1.5)):
        w.step(step, loss)
        w.save(step)
        w.evaluate(step, loss)
    w.resume(1)
    w.step(2, 1.8)
    w.save(2, "step_2.1")
    w.evaluate(2, 1.8, "step_2.1")
    told = facts(Run(w.folder))
    places = [(row["checkpoint"], row["best"], row["on_line"]) for row in told["checkpoints"]]
    assert places == [("step_1", False, True), ("step_2", True, False), ("step_2.1", False, True)]
    assert "★ abandoned branch 0" in markdown(told)
    assert [row["step"] for row in told["progress"]] == [1, 2]
    assert told["progress"][1]["train_loss"] == pytest.approx((2.0 + 1.8) / 2)


def test_weights_that_are_gone_are_not_recommended(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.step(1)
    w.evaluate(1, 2.0)
    assert "No evaluated checkpoint has its weights" in markdown(facts(Run(w.folder)))


def test_time_is_that_of_the_processes_that_trained(writer: Callable[..., Writer]) -> None:
    w, start = writer(), datetime(2030, 1, 1, tzinfo=UTC)
    (w.folder / "run.toml").write_text("[budget]\nbatch = 4\n[data]\nwindow = 8\n")
    for process in (0, 1):  # ten seconds each; the night between them does not count
        at = start + timedelta(hours=9 * process)
        w.journal.append(j.DeviceEvent(time=at, pid=1, host="h", device="cpu", threads=1))
        for step in range(1, 6):
            when = at + timedelta(seconds=2 * step)
            w.journal.append(j.StepEvent(time=when, step=5 * process + step, loss=1.0, lr=0.1))
    summary = facts(Run(w.folder))["summary"]
    assert summary["seconds"] == 20
    assert summary["tokens"] == 10 * 4 * 8
    assert summary["tokens_per_second"] == 10 * 4 * 8 / 20


def test_more_steps_are_advised_only_where_the_rate_has_not_come_to_its_end(
    writer: Callable[..., Writer],
) -> None:
    for name, last, advice in (("a", 0.0, "a run with more steps"), ("b", 5e-4, "may still be falling")):
        w = writer(name)
        for step, loss, lr in ((1, 2.0, 1e-3), (2, 1.8, last)):
            w.journal.append(j.StepEvent(step=step, loss=loss, lr=lr))
            w.save(step)
            w.evaluate(step, loss)
        assert advice in markdown(facts(Run(w.folder)))


# Notes -----------------------------------------------------------------------------------------------


def test_each_note_follows_its_rule(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in enumerate([5.0, 4.9, 3.9, 3.8, 3.85, 3.9, 3.88, 3.7], 1):
        w.journal.append(j.StepEvent(step=step * 20, loss=loss, lr=min(step, 3) * 1e-4))
    w.evaluate(40, 4.0)
    w.evaluate(100, 4.1)
    w.evaluate(160, 3.9)
    w.journal.append(j.NotedEvent(step=60, text="looks good"), j.SampledEvent(step=80, prompt="p", text="t"))
    run = Run(w.folder)
    assert notes(run) == [
        (40, "new best"),
        (60, "largest drop"),
        (60, "peak lr"),
        (60, "looks good"),
        (80, "first samples"),
        (140, "plateau"),
        (160, "new best"),
    ]
    told = facts(run)
    assert told["rules"] == {rule: RULES[rule] for _, rule in notes(run) if rule in RULES}
    assert "“looks good”" in markdown(told)


def test_a_spike_is_found_among_single_steps(writer: Callable[..., Writer]) -> None:
    w = writer()
    random = np.random.default_rng(0)
    losses = (2.0 + 0.05 * random.standard_normal(400)).tolist()
    losses[299] = 2.6
    steps_of(w, losses)
    assert [note for note in notes(Run(w.folder)) if note[1] == "spike"] == [(300, "spike")]


def test_a_rate_that_never_moves_has_no_peak_and_one_row_no_drop() -> None:
    class Bare:
        trained: list[object] = []  # noqa: RUF012
        samples: list[object] = []  # noqa: RUF012
        log: list[object] = []  # noqa: RUF012
        steps = {name: np.empty(0) for name in ("step", "loss")}  # noqa: RUF012

        def canonical(self) -> np.ndarray:
            return np.empty(0, bool)

    flat = observations(Bare(), np.arange(1, 5), np.array([4.0, 3.0, 2.5, 2.4]), np.full(4, 1e-3))  # type: ignore
    assert [note.rule for note in flat] == ["largest drop"]
    assert observations(Bare(), np.array([1]), np.array([4.0]), np.array([1e-3])) == []  # type: ignore


@given(st.integers(1, 30_000))
def test_a_chart_has_a_bounded_number_of_rows_and_always_the_last(steps: int) -> None:
    rows = chart_rows(np.arange(1, steps + 1))
    assert len(rows) <= ROWS + 1
    assert rows[-1] == steps - 1
    assert rows == sorted(set(rows))
    if steps > ROWS:
        assert len(rows) >= ROWS / 2.6


# Text from outside -----------------------------------------------------------------------------------


def test_text_from_outside_stays_text(writer: Callable[..., Writer]) -> None:
    w = writer()
    (w.folder / "run.toml").write_text(
        f"description = {json.dumps(HOSTILE)}\n[data]\ncorpus = {json.dumps(HOSTILE)}\n"
    )
    w.step(1)
    w.evaluate(1, 2.0)
    w.journal.append(
        j.SampledEvent(step=1, prompt=HOSTILE, text=HOSTILE),
        j.NotedEvent(step=1, text=HOSTILE),
        j.NotedEvent(step=1, text="<b>|x"),
        j.PredictedEvent(step=1, target=2, value=1.0, method=HOSTILE),
        j.FaultedEvent(step=1, message=HOSTILE),
        j.ClaimedEvent(name=HOSTILE, step=1),
    )
    text = markdown(facts(Run(w.folder)))
    assert all(c == "\n" or c.isprintable() for c in text)
    html = RENDER(text)
    assert "<script>" not in html
    assert "<a " not in html
    assert "<h1>head" not in html
    assert "<b>" not in html
    for title, columns in (
        ("Samples", 3),
        ("Predictions vs actual", 9),
        ("Progress", 5),
        ("Configuration", 2),
    ):
        part = html.split(f"<h2>{title}</h2>")[1].split("</table>")[0]
        assert all(row.count("<td") == columns for row in part.split("<tr>")[2:])


@given(st.text(min_size=1, max_size=40))
def test_a_code_span_holds_any_text_also_in_a_table(text: str) -> None:
    html = RENDER(table(("a", "b"), [(code(text), "x")]))
    assert html.count("<td") == 2
    shown = html.split("<code>")[1].split("</code>")[0]
    assert unescape(shown) == visible(text)
    assert "<td>x</td>" in html


@given(st.text(max_size=40))
def test_escaped_text_has_no_markup(text: str) -> None:
    html = RENDER(table(("a", "b"), [(f"x{escape(text)}", "y")]))
    inside = html.split("<td>")[1].split("</td>")[0]
    assert "<" not in inside
    assert html.count("<td") == 2


def test_the_trend_is_plain_text_with_the_best_marked() -> None:
    chart = trend_chart(np.array([200, 400, 600]), np.array([3.0, 2.5, 2.7]), 400)
    assert all(c == "\n" or c.isprintable() for c in chart)
    assert (chart.count("●"), chart.count("★")) == (2, 1)
    assert all(str(step) in chart for step in (200, 400, 600))
    assert trend_chart(np.array([200]), np.array([3.0]), 200) == ""


def test_rates_are_written_as_people_do() -> None:
    assert [rate(x) for x in (2.52e-4, 0.0, 0.1, None)] == ["2.52e-4", "0.00e0", "1.00e-1", "–"]


# On disk ---------------------------------------------------------------------------------------------


def test_it_is_written_whole_or_not_at_all(reference_run: Writer, tmp_path: Path) -> None:
    run = Run(reference_run.folder)
    path = write_report(run)
    assert path == run.folder / "report.md"
    assert path.read_text("utf-8") == markdown(facts(run))
    with pytest.raises(OSError, match="nowhere"):
        write_report(run, tmp_path / "nowhere" / "report.md")
    assert not list(run.folder.glob(".writing-*"))


def test_the_commands_print_it_and_write_it(reference_run: Writer, tmp_path: Path) -> None:
    run, call = Run(reference_run.folder), CliRunner().invoke
    printed = call(app, ["report", str(run.folder)])
    assert (printed.exit_code, printed.stdout) == (0, markdown(facts(run)))
    written = tmp_path / "r.json"
    assert call(app, ["report", str(run.folder), "--json", "-o", str(written)]).exit_code == 0
    assert json.loads(written.read_text("utf-8")) == facts(run)
    told = json.loads(call(app, ["forecast", str(run.folder), "--json"]).stdout)
    assert told == {key: facts(run)[key] for key in ("predictions", "forecast")}
    (made,) = told["forecast"]["predictions"]
    assert f"{made['value']:.4f}" in call(app, ["forecast", str(run.folder)]).stdout

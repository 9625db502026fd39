"""The recorded runs: they open like any run, and their report repeats the reference log cell by cell."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from nexus_tui.resources import resource
from nexus_tui.runs import journal as j
from nexus_tui.runs import predictions, report, truth
from nexus_tui.runs.audit import Verdict, audit
from nexus_tui.runs.run import Run

from . import reference_log as log


@pytest.fixture(scope="module")
def byte() -> Run:
    return Run.open(resource("assets", "runs", "shakespeare-byte"))


@pytest.fixture(scope="module")
def bpe() -> Run:
    return Run.open(resource("assets", "runs", "shakespeare-bpe"))


def sections(run: Run) -> dict[str, str]:
    """The report of a run by heading."""
    parts = re.split(r"^## (.*)$", report.markdown(report.facts(run)), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip(" *`") for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def same(ours: str, theirs: str) -> bool:
    """Whether our cell is theirs, in every digit that they print."""
    if theirs == "-":
        return ours == "–"
    wanted = theirs.replace(",", "").lstrip("~")
    try:
        digits = Decimal(1).scaleb(-len(wanted.partition(".")[2]))
        return Decimal(ours.replace(",", "")).quantize(digits, ROUND_HALF_UP) == Decimal(wanted)
    except ArithmeticError:
        return ours.replace(" s (", "s (") == theirs


def test_every_cell_of_the_logs_tables_is_in_the_reports_but_for_those_that_err(byte: Run, bpe: Run) -> None:
    missed = set()

    def compare(table: str, row: str, column: str, ours: str, theirs: str) -> None:
        if not (ours == theirs if "e-" in theirs else same(ours, theirs)):
            missed.add((table, row, column))

    told = sections(bpe)
    for theirs, ours in zip(log.rows(log.BPE_PROGRESS), cells(told["Progress"]), strict=True):
        for column, place in (("Step", 0), ("Train Loss", 1), ("Train PPL", 2), ("LR", 3)):
            compare("bpe", theirs["Step"], column, ours[place], theirs[column])
        if theirs["Step"] == "200":
            loss, perplexity, _ = theirs["Notes"].split(", ")
            found = re.search(r"validation (\S+), perplexity ([\d.]+): new best", ours[4])
            assert found
            compare("bpe", "200", "Val", found[1], loss)
            compare("bpe", "200", "PPL", found[2], perplexity)
        else:
            assert f"“{theirs['Notes']}”" in ours[4]

    told = sections(byte)
    for theirs, ours in zip(log.rows(log.BYTE_CHECKPOINTS), cells(told["Checkpoints"]), strict=True):
        order = ("Step", "Train Loss", "Train PPL", "Val Loss", "Val PPL", "", "LR")
        for place, column in enumerate(order):
            if column:
                compare("byte", theirs["Step"], column, ours[place], theirs[column])
        assert (ours[7] in ("★", "☆")) == (theirs["Best?"] == "⭐")
    for theirs, ours in zip(log.rows(log.PREDICTIONS), cells(told["Predictions vs actual"]), strict=True):
        order = ("", "Step", "Predicted Loss", "Predicted PPL", "", "Actual Loss", "Actual PPL")
        for place, column in enumerate(order):
            if column:
                compare("predictions", theirs["Step"], column, ours[place], theirs[column])
        for column in ("Loss mark", "PPL mark"):
            compare("predictions", theirs["Step"], column, ours[7], theirs[column])
    for theirs, ours in zip(log.rows(log.SUMMARY), cells(told["Summary"]), strict=True):
        assert ours[0].lower() == theirs["Metric"].lower()
        compare("summary", theirs["Metric"], "Value", ours[1], theirs["Value"])
    assert missed == set(log.NOT_REPRODUCIBLE)


def test_the_logs_lists_are_in_the_reports(byte: Run, bpe: Run) -> None:
    for run, wanted, samples in (
        (byte, log.BYTE_LISTS, log.BYTE_SAMPLES),
        (bpe, log.BPE_LISTS, log.BPE_SAMPLES),
    ):
        told = sections(run)
        for name, value in wanted.items():
            assert re.search(
                rf"{re.escape(name)}.*\*\*: {re.escape(value)}$", told["Architecture"], re.MULTILINE
            )
        written: dict[int, list[str]] = {}
        for sample in report.facts(run)["samples"]:
            written.setdefault(sample["step"], []).append(sample["prompt"] + sample["text"])
            assert f"`{sample['prompt']}` | " in told["Samples"]
        assert written == samples
    told = sections(byte)
    assert log.CONFIGURATION.items() <= dict(cells(told["Configuration"])).items()
    plain = told["Loss progression"].replace("*", "")
    for name, arrows in log.PROGRESSION.items():
        assert (f"gap: {arrows} at step 2000" if name == "Gap" else f"{name}: {arrows}\n") in plain
    for step in range(200, 2001, 200):
        assert f"- `step_{step}.bin`: step {step}" in told["Checkpoints saved"]
    assert "fully annealed" in told["Learning rate"]
    assert (
        "step 200 (2.99e-4, configured 2.98e-4), step 400 (2.83e-4, configured 2.82e-4)"
        in (told["Learning rate"])
    )


def test_why_the_log_counts_so_few_tokens() -> None:
    assert 600 * 4 * 127 == 304_800
    assert round(304_800 / 5227.2) == 58


def test_step_1400_is_the_best_and_best_bin_is_stale(byte: Run) -> None:
    best = truth.best(byte)
    assert best
    assert (best.evaluation.step, best.evaluation.loss) == (1400, 2.6312)
    (judged,) = audit(byte).judged
    assert (judged.claim.name, judged.claim.step, judged.verdict) == ("best.bin", 2000, Verdict.STALE)
    assert "resume at step 1400" in judged.cause
    assert "STALE" in sections(byte)["Checkpoints saved"]
    assert "Use `step_1400.bin`" in sections(byte)["Recommendation"]


def test_losses_print_as_the_logs_loss_and_perplexity_both(byte: Run, bpe: Run) -> None:
    """A loss with more digits than the log prints has those that its perplexity adds; a note declares it."""
    notes = " ".join(
        event.text for run in (byte, bpe) for event in run.log if isinstance(event, j.NotedEvent)
    )
    longer = [
        e for run in (byte, bpe) for e in run.evaluations if round(e.loss, 4) != e.loss or e.step == 200
    ]
    assert [(e.step, e.loss) for e in longer] == [(1200, 2.70972), (200, 6.082)]
    assert all(str(e.loss) in notes for e in longer)
    steps = bpe.steps
    refined = [
        s for s, x in zip(steps["step"].tolist(), steps["loss"].tolist(), strict=True) if round(x, 4) != x
    ]
    assert f"training losses of steps {', '.join(map(str, refined))} have" in notes


def test_only_what_the_log_says_is_on_record(byte: Run, bpe: Run) -> None:
    for run in (byte, bpe):
        assert run.kind == "recorded"
        assert run.config["kind"] == "recorded"
        assert not run.steps["tokens"].any()
        assert not run.steps["seconds"].any()
        assert all(math.isnan(norm) for norm in run.steps["grad_norm"])
        assert all(math.isnan(e.stderr) and not e.event.windows for e in run.evaluations)
        assert all(not event.sha256 and not event.bytes for event in run.saved.values())
        assert (run.steps["time"][1:] >= run.steps["time"][:-1]).all()
        assert any(isinstance(e, j.NotedEvent) and e.text.startswith("derived") for e in run.log)
    assert [branch.start for branch in byte.branches] == [0, 1400]
    assert byte.steps["step"][byte.canonical()].tolist() == list(range(200, 2001, 200))
    assert (byte.state, bpe.state) == ("finished", "stopped")
    assert predictions.predict(byte).predictions == []


def test_the_logs_own_predictions_are_worse_than_persistence(byte: Run) -> None:
    score = predictions.score(predictions.judged(byte))
    assert (score.decided, score.intervals) == (4, 0)
    assert f"{score.error:.4f} {score.persistence:.4f}" == "0.0696 0.0620"


def test_reading_a_recorded_run_leaves_its_folder_as_it_was(byte: Run) -> None:
    before = sorted(path.name for path in Path(byte.folder).iterdir())
    report.facts(Run.open(byte.folder))
    assert (
        sorted(path.name for path in Path(byte.folder).iterdir()) == before == ["journal.jsonl", "run.toml"]
    )

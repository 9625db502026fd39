"""Everything that a list, a screen, a report or a command asks of a run, asked once."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime

from nexus_tui import console
from nexus_tui.console_audit import print_audit
from nexus_tui.runs import truth
from nexus_tui.runs.audit import as_dict, audit
from nexus_tui.runs.comparison import compare
from nexus_tui.runs.filter import facts as filter_facts
from nexus_tui.runs.filter import parse, settings_of
from nexus_tui.runs.report import facts, markdown
from nexus_tui.runs.run import Run
from nexus_tui.runs.subject import Subject, names
from nexus_tui.tui import checkpoint_detail, checkpoint_rows, heading, run_row, story
from nexus_tui.tui.prompts import fixed_prompts, one_line
from nexus_tui.tui.run_points import RunPoints, axes_of
from nexus_tui.untrusted import visible

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FILTER = "model:byte lr>=1e-3 best<2.0 steps!=5 seed=1 -note:debug age<3d x"


def look(run: Run) -> None:
    """Ask everything. What is raised is a defect: whatever a file holds, these have an answer."""
    run.refresh()
    _as_listed(run)
    for metric in run.metrics:
        run.series(metric)
    for axis in axes_of(run):
        points = RunPoints(run, axis)
        _ = points.end, points.version
    table = checkpoint_rows.rows(run)
    checkpoint_rows.verdict(run, table)
    checkpoint_rows.false_claims(run, table)
    for row in table[:4]:
        checkpoint_detail.describe(run, row, None, None, 60)
    best = truth.best(run)
    for line in story.story(run, best.evaluation if best else None, 20, NOW):
        harmless("".join(text for text, _ in line))
    heading.status(run, None, 80)
    heading.progress(run, None, 80)
    heading.made_of(run)
    for event in run.log:
        visible(console.describe(event))
    for prompt in fixed_prompts(run):
        one_line(prompt, 40)
    _as_judged(run)


def _as_listed(run: Run) -> None:
    summary = run.summary
    run_row.cells(summary, run.state, run_row.age_of(summary, NOW.timestamp()))
    parse(FILTER)(filter_facts(run, NOW.timestamp()))
    list(settings_of([run.config]))
    json.dumps(console.run_row(run), allow_nan=False)


def _as_judged(run: Run) -> None:
    """The audit, the report and a comparison, as they are printed."""
    subjects = [Subject(run, name) for name in list(names(run))[:3]]
    said = io.StringIO()
    with redirect_stdout(said):
        console.print_runs([run])
        console.print_checkpoints(run)
        print_audit(audit(run, verify=True))
        if len(subjects) > 1:
            from nexus_tui.console_compare import print_comparison

            print_comparison(compare(subjects))
    told = facts(run)
    console_said = said.getvalue()
    harmless(console_said)
    harmless(markdown(told))
    json.dumps(told, allow_nan=False)
    json.dumps(as_dict(audit(run)))
    if len(subjects) > 1:
        json.dumps(compare(subjects).as_dict())


def harmless(text: str) -> None:
    """Raise AssertionError for text that could steer a terminal or hide a part of itself."""
    assert visible(text) == text, f"this reaches the terminal: {ascii(text)[:200]}"

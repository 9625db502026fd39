"""The worked examples of CONTRIBUTING.md work."""

import ast
import csv
import re
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.app import ComposeResult
from textual.widgets import Static

from nexus_tui.data import sources
from nexus_tui.data.corpus import CorpusError, load_corpus
from nexus_tui.interop.files import read_text
from nexus_tui.interop.snapshot import Snapshot
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run, RunError
from nexus_tui.tui import format as fmt
from nexus_tui.tui import metrics
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.keybar import KeyBar
from nexus_tui.tui.metrics import Metric, metrics_of
from nexus_tui.tui.safe import plain
from nexus_tui.tui.screen import ModeScreen
from tests.tui.conftest import ready
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import text

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
EVENTS = ("AnyEvent", "EvaluatedEvent", "MeasuredEvent", "NotedEvent", "StepEvent")
CLASSES = (KeyBar, Metric, ModeScreen, Path, RunError, Snapshot, Static)
NAMES: dict[str, Any] = {
    **{name: getattr(j, name) for name in EVENTS},
    **{each.__name__: each for each in CLASSES},
    **{
        "ComposeResult": ComposeResult,
        "fmt": fmt,
        "nan": nan,
        "plain": plain,
        "re": re,
        "read_text": read_text,
    },
}
"""What the examples' imports would bring."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```python {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def defined(kind: str) -> Any:
    """What the one block of a kind defines."""
    (block,) = blocks(kind)
    names = dict(NAMES)
    exec(block, names)
    return names[next(node.name for node in ast.parse(block).body if isinstance(node, ast.ClassDef))]


def test_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, titled = blocks("metric")
    run = FakeRun(tmp_path / "mine").train(3)
    for step in (1, 2, 3):
        exec(measured, {**NAMES, "journal": run.journal, "step": step})
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, eval(titled, NAMES)))
    monkeypatch.setattr(metrics, "BY_ID", {metric.id: metric for metric in metrics.METRICS})
    record = Run(tmp_path / "mine")
    assert np.allclose(record.columns("weight_norm")["weight_norm"], [12.49, 12.48, 12.47])
    assert metrics_of(record)[-1].title == "weight norm"


async def test_a_screen(make_app: Callable[..., NexusApp], folder: Path) -> None:
    run = FakeRun(folder / "mine").train(3)
    for words in ("first", "\x1b[31msecond"):
        run.append(lambda time, words=words: j.NotedEvent(time=time, step=3, text=words))  # type: ignore[misc]
    app = make_app(run, here=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await app.push_screen(defined("screen")())
        await pilot.pause()
        first, second = text(app).splitlines()[:2]
        assert first.startswith("      3  ") and first.endswith("[31msecond")
        assert second.split() == ["3", "first"]


def test_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("corpus")
    names = {**NAMES, "csv": csv, "Done": sources.Done, "Iterator": Iterator, "TextIOWrapper": TextIOWrapper}
    exec(block, {**names, "CorpusError": CorpusError, "no_field": sources.no_field}, names)
    monkeypatch.setitem(sources.KINDS, ".csv", "table")
    monkeypatch.setitem(sources._READERS, "table", names["_table"])
    table = tmp_path / "poems.csv"
    table.write_text('title,verse\nSonnet,"Shall I\ncompare thee"\nEmpty,\nOther,to a day\n')
    assert load_corpus(str(table), "verse").data == b"Shall I\ncompare thee\nto a day"
    with pytest.raises(CorpusError, match="no field 'text', but 'title', 'verse'"):
        load_corpus(str(table))


def test_a_foreign_format(tmp_path: Path) -> None:
    log = tmp_path / "log.out"
    log.write_text(
        "step 0: train loss 4.28, val loss 4.27\niter 0: loss 4.25, time 90ms\niter 10: loss 3.21, time 9ms\n"
        "step 10: train loss 3.1, val loss 3.3\n"
    )
    reader = defined("format")
    run = Run(log, reader(log))
    assert run.steps["loss"].tolist() == [4.25, 3.21]
    assert [each.loss for each in run.evaluations] == [4.27, 3.3]
    log.write_text("nothing")
    with pytest.raises(RunError, match="no such log"):
        reader(log)

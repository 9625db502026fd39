"""The list of runs as data: order, rows, the curve in a row, and a filter while it is written."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nexus_tui.runs.filter import Facts
from nexus_tui.runs.lock import Holder
from nexus_tui.runs.summary import Summary
from nexus_tui.tui import theme
from nexus_tui.tui.run_changes import Changes
from nexus_tui.tui.run_difference import lowest, results, written
from nexus_tui.tui.run_list import RunList, Wanted
from nexus_tui.tui.run_order import SORTED_BY, Listed, before, falling, ordered
from nexus_tui.tui.run_row import cells
from nexus_tui.tui.runs_screen import COLUMNS
from nexus_tui.tui.spark import spark
from nexus_tui.tui.theme import Series

NOW = 1_000_000.0


def listed(
    name: str, state: str = "finished", pinned: bool = False, shipped: bool = False, **of: Any
) -> Listed:
    run = SimpleNamespace(folder=Path("runs", name), name=name, revision=1, state=state)
    run.summary = Summary(name=name, **of)
    return Listed(cast(Any, run), Facts(run.summary, state, NOW, pinned), shipped)


RUNS = [
    listed("a", "crashed", last_active=1.0, best_loss=3.0, best_bits=2.0, step=10, preset="tiny"),
    listed("B", "stopped", last_active=2.0, best_loss=1.0, best_bits=3.0, step=30, preset="byte"),
    listed("c", last_active=3.0, step=20),
    listed("live", "training", last_active=1.5, best_loss=2.0, step=5),
    listed("pinned", pinned=True, last_active=0.5, best_loss=9.0, step=1),
    listed("shipped", "recorded", shipped=True, best_loss=0.1, step=99),
]


@pytest.mark.parametrize(
    ("column", "turned", "names"),
    [
        ("age", False, "pinned live c B a shipped"),
        ("age", True, "pinned live a B c shipped"),
        ("val", False, "pinned live B a c shipped"),
        ("val", True, "pinned live a B c shipped"),
        ("bits", False, "pinned live a B c shipped"),
        ("step", False, "pinned live B c a shipped"),
        ("step", True, "pinned live a c B shipped"),
        ("name", False, "pinned live a B c shipped"),
        ("model", False, "pinned live B a c shipped"),
        ("state", False, "pinned live c B a shipped"),
    ],
)
def test_pinned_then_trained_then_by_a_column(column: str, turned: bool, names: str) -> None:
    assert [each.name for each in ordered(RUNS, column, turned)] == names.split()


def test_every_column_of_figures_can_be_sorted_by() -> None:
    assert {column.key for column in COLUMNS} - set(SORTED_BY) == {"loss"}
    assert not falling("val", False) and falling("val", True) and falling("step", False)
    for column in SORTED_BY:
        assert len(ordered(RUNS, column)) == len(RUNS)


def test_the_run_before_is_the_one_that_was_active_last_before_it() -> None:
    assert [each.name for each in before(RUNS[1], RUNS)] == ["live", "B"]
    assert [each.name for each in before(RUNS[4], RUNS)] == ["pinned"], "there was none"


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ((), 8, ""),
        ((2.0,), 8, "▁"),
        ((8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0), 8, "█▇▆▅▃▂▁"),
        ((4.0, 3.0, 2.0, 1.0), 2, "█▁"),
        ((2.0, math.nan, 1.0, math.inf), 4, "█×▁×"),
        ((99.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0), 7, "███▁▁▁▁"),
        ((math.nan, math.nan), 8, "××"),
        ((1.0, 2.0), 0, ""),
    ],
)
def test_a_curve_in_a_row(values: tuple[float, ...], width: int, drawn: str) -> None:
    assert spark(values, width) == drawn


def test_a_curve_in_ascii() -> None:
    theme.use_ascii(True)
    assert spark((3.0, 2.0, math.nan, 1.0), 8) == "#=x_"


def test_a_mark_is_a_sign_and_a_colour_and_the_curve_has_the_colour() -> None:
    row = cells(RUNS[0].facts.summary, "crashed", "now", Series("#123456", "■"), pinned=True)
    assert row["margin"] == ("■", "#123456") and row["loss"][1] == "#123456"
    assert row["name"][0] == "a ▴"
    assert cells(RUNS[0].facts.summary, "crashed", "now")["margin"] == ("", "text")


def test_rows_that_read_as_before_are_the_same_objects() -> None:
    runs = RunList()
    own, shipped = [each.run for each in RUNS[:3]], [RUNS[5].run, listed("a", "recorded").run]
    shipped[1].folder = Path("elsewhere", "a")
    runs.gather(own, shipped, 1, ["B"])
    assert [(e.name, e.facts.pinned, e.shipped, e.hidden) for e in runs.all] == [
        ("a", False, False, False), ("B", True, False, False), ("c", False, False, False),
        ("shipped", False, True, False), ("a", False, True, True),
    ]  # fmt: skip
    first = runs.rows(runs.all, lambda _: None)
    own[2].revision += 1
    runs.gather(own, shipped, 1, ["B"])
    again = runs.rows(runs.all, lambda each: Series("red", "x") if each.name == "B" else None)
    assert [a is b for a, b in zip(first, again, strict=True)] == [True, False, False, True, True]
    assert (
        dict(first[2].cells) == dict(again[2].cells) and first[1].cells["margin"] != again[1].cells["margin"]
    )
    runs.gather(own, shipped, 2, ["B"])
    assert not any(a is b for a, b in zip(again, runs.rows(runs.all, lambda _: None), strict=True))


def test_a_filter_that_cannot_be_read_leaves_in_force_what_could_be() -> None:
    wanted = Wanted()
    names = []
    for text in ("be", "best", "best<", "best<2.", "best<2.0", "best<2.0 modl:", "best<2.0 model:byte"):
        wanted.write(text, ["optimizer.lr"])
        names.append("".join(each.name[0] for each in RUNS if wanted.filter(each.facts)))
    assert names == ["", "", "aBclps", "Bs", "Bs", "Bs", "B"]
    shown = [[each.name[0] for each in wanted.of(RUNS, writing)] for writing in (True, False)]
    assert shown == [["B"], ["B"]] and wanted.begun is None
    wanted.write("live bes", ["optimizer.lr"])
    assert [each.name for each in wanted.of(RUNS, True)] == ["live"] and wanted.of(RUNS, False) == []
    wanted.write("optim", ["optimizer.lr"])
    assert wanted.begun is None, "settings go by their last part"
    wanted.write("model:byte", [])
    wanted.write("model:bytes -", [])
    assert wanted.error and wanted.filter(RUNS[1].facts), "the last one that could be read"
    wanted.write("  ", [])
    assert wanted.error is None and wanted.text == ""


def test_what_came_of_two_runs() -> None:
    a, b = RUNS[:2]
    found = {title: (values, ranked) for title, values, ranked in results([a, b])}
    assert [text for text, _ in found["best val, nats"][0]] == ["3.0000", "1.0000"]
    assert lowest(found["best val, nats"][0]) == 1 and lowest(found["bits/byte"][0]) == 0
    summary = Summary(name="x", tokenizer="bpe", best_loss=0.5)
    other = replace(b, facts=replace(b.facts, summary=summary))
    ranked = {title: ranked for title, _, ranked in results([a, other])}
    assert not ranked["best val, nats"] and ranked["bits/byte"], "nats of other tokens are not ranked"
    assert lowest([("–", math.nan), ("1.0", 1.0)]) is None
    assert [written(v) for v in (None, 3e-4, [0.9, 0.95], True)] == ["–", "0.0003", "0.9, 0.95", "True"]


@pytest.mark.parametrize(
    ("of", "action", "reason"),
    [
        ({}, "delete", ""),
        ({}, "note", ""),
        ({"foreign": True, "kind": "transformers"}, "rename", "another tool's run (transformers)"),
        ({"shipped": True}, "delete", "comes with the program"),
        ({"holder": Holder(7, "there")}, "delete", "is being trained by process 7 on there; stop it first."),
        ({"holder": Holder(7, "there")}, "note", "Run is trained on there; steer it there."),
    ],
)
def test_what_cannot_be_changed_says_why(of: dict[str, Any], action: str, reason: str) -> None:
    usual = {"folder": Path("runs", "Run"), "name": "Run", "foreign": False, "kind": "run", "holder": None}
    run = SimpleNamespace(**(usual | of))
    one = Listed(cast(Any, run), Facts(Summary(name="Run"), "stopped", NOW), of.get("shipped", False))
    changes = Changes(cast(Any, SimpleNamespace(session=None, runs_folder=Path("runs"))))
    assert reason in changes.why_not(action, one) and bool(reason) == bool(changes.why_not(action, one))
    assert changes.why_no_undo() == "Nothing was deleted or renamed since the program began."

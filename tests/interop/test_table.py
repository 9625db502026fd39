"""Tables of steps and losses."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.interop.columns import guess
from nexus_tui.interop.opening import all_runs, open_run
from nexus_tui.interop.table import _cell, read_table
from nexus_tui.runs import journal as j
from nexus_tui.runs.audit import audit
from nexus_tui.runs.run import Run, RunError


def table(tmp_path: Path, name: str, text: str) -> Run:
    (tmp_path / name).write_text(text)
    return open_run(tmp_path / name)


def test_csv(tmp_path: Path) -> None:
    text = (
        "iter,train loss,val loss,lr,comment\n0,4.0,4.1,1e-3,start\n100,3.0,,9e-4,\n200,2.0,2.5,8e-4,good\n"
    )
    run = table(tmp_path, "log.csv", text)
    assert (run.kind, run.name) == ("table", "log")
    assert run.steps["step"].tolist() == [0, 100, 200]
    assert [(e.step, e.loss) for e in run.evaluations] == [(0, 4.1), (200, 2.5)]
    assert run.steps["lr"].tolist() == [1e-3, 9e-4, 8e-4]
    assert "comment" not in run.metrics
    (note,) = [e for e in run.log if isinstance(e, j.NotedEvent)]
    assert note.text.startswith("columns taken: step = 'iter', training loss = 'train loss'")
    assert (audit(run).best.step, audit(run).judged) == (200, [])


def test_keras_csv_logger_counts_epochs(tmp_path: Path) -> None:
    run = table(tmp_path, "training.csv", "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,1.0,0.4,1.2\n")
    assert run.steps["step"].tolist() == [0]
    assert run.evaluations[0].loss == 1.2
    assert run.series("val_accuracy").value.tolist() == [0.4]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (["step", "loss"], ["1", "2.5"], ["2", "2.4"]))
    assert table(tmp_path, "log.tsv", text).steps["loss"].tolist() == [2.5, 2.4]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,400", 1400),
        ("1,234,567.5", 1234567.5),
        ("2,5", 2.5),
        ("12,345,6", None),
        ("1_400", 1400),
        ("3,", 3),
    ],
)
def test_a_comma_groups_thousands_or_is_the_decimal_point(cell: str, value: float | None) -> None:
    assert _cell(cell) == value


def test_where_semicolons_divide_a_comma_is_the_decimal_point(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step;loss\n1;2,5\n2;2,125\n")
    rows, _, _ = read_table(path)
    assert [row.values["loss"] for row in rows] == [2.5, 2.125]


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": float("nan")},
        {"step": 2, "eval_loss": 2.5},
        {"step": 3, "loss": None},
        [1],
        "x",
    ]
    text = "\n".join(json.dumps(row) for row in rows) + "\n{half a li"
    run = table(tmp_path, "log.jsonl", text)
    assert run.steps["step"].tolist() == [1, 2]
    assert [(e.step, e.loss) for e in run.evaluations] == [(2, 2.5)]


def test_markdown_as_people_write_it(tmp_path: Path) -> None:
    text = """# Log
| Setting | Value |
|---|---|
| lr | 3e-4 |

| Step | Train Loss | Val Loss | Notes |
|-----:|:----------:|----------|-------|
| 1,000 | ~2.45 | **2.83** | ⭐ |
| 2,000 | 2.36 | 2.63 ✓ | |
| 3,000 | 2.32 | - | |
| total | 1 | 1 | |

| Step | Predicted Val Loss |
|------|--------------------|
| 4000 | ~2.60 |
"""
    run = table(tmp_path, "progress.md", text)
    assert run.steps["loss"].tolist() == [2.45, 2.36, 2.32]
    assert [(e.step, e.loss) for e in run.evaluations] == [(1000, 2.83), (2000, 2.63)]
    assert any("1 rows without a step were skipped" in getattr(e, "text", "") for e in run.log)


@pytest.mark.parametrize(
    ("names", "step", "loss", "validation"),
    [
        (["step", "loss", "val_loss"], "step", "loss", "val_loss"),
        (["Step", "Training Loss", "Validation Loss"], "Step", "Training Loss", "Validation Loss"),
        (["global_step", "trainLoss", "evalLoss"], "global_step", "trainLoss", "evalLoss"),
        (["epoch", "step", "train_loss_epoch", "train_loss", "test_loss"], "step", "train_loss", "test_loss"),
        (["iteration", "nll"], "iteration", "nll", ""),
        (["steps_per_second", "step", "Loss/train", "Loss/val"], "step", "Loss/train", "Loss/val"),
        (["Step", "Predicted Val Loss", "Val Loss"], "Step", "", "Val Loss"),
        (["gloss", "stepping"], "", "", ""),
    ],
)
def test_columns_are_guessed_by_their_words(names: list[str], step: str, loss: str, validation: str) -> None:
    columns = guess(names)
    assert (columns.step, columns.loss, columns.validation) == (step, loss, validation)


def test_rates_and_norms() -> None:
    columns = guess(["step", "loss", "train/learning_rate", "lr_scale_factor_of_group", "total_grad_norm"])
    assert (columns.lr, columns.grad_norm) == ("train/learning_rate", "total_grad_norm")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""), ("b.csv", "x,y\n1,2\n"), ("c.csv", "step,loss\n"), ("d.csv", "step,loss\nnone,none\n"),
        ("e.jsonl", "[1,2]\n"), ("f.md", "no table"), ("g.md", "| step | loss |\n|---|---|\n"),
        ("h.csv", "step,loss\n\0,\0\n"), ("i.csv", "step,loss\n-5,1\n1.5,2\n1e99,3\n"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(RunError, match="holds no table with a step and a loss") as refused:
        table(tmp_path, name, text)
    assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"\xef\xbb\xbfstep,loss\r\n1,\xff2\r\n2,3\r\n")
    assert open_run(path).steps["step"].tolist() == [1, 2]


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(alphabet="step,los|-:\n\"'\t;0123456789.eE{}[] \0~*", max_size=200),
    ending=st.sampled_from([".csv", ".jsonl", ".md"]),
)
def test_no_table_can_crash_it(tmp_path_factory: pytest.TempPathFactory, text: str, ending: str) -> None:
    path = tmp_path_factory.mktemp("hostile") / f"log{ending}"
    head = {".csv": "step,loss\n", ".jsonl": '{"step":1,"loss":2}\n', ".md": "|step|loss|\n|--|--|\n"}[ending]
    for content in (text, head + text):
        path.write_text(content)
        try:
            read_table(path)
        except RunError:
            continue
        run = open_run(path)
        audit(run)
        run.canonical()


# In a folder of runs -------------------------------------------------------------------------------------


def test_a_folder_lists_other_tools_runs_beside_ours(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    j.Journal(tmp_path / "ours" / "journal.jsonl").append(j.StartedEvent())
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n")
    (tmp_path / "notes.md").write_text("no table")
    (tmp_path / "broken.csv").write_text("what,is,this\n")
    runs = all_runs(tmp_path)
    assert {run.name: run.kind for run in runs.refresh()} == {"ours": "run", "log": "table"}
    (tmp_path / "log.csv").write_text("step,loss\n1,2\n2,1\n")
    (found,) = [run for run in runs.refresh() if run.kind == "table"]
    assert found.step == 2
    (tmp_path / "broken.csv").write_text("step,loss\n1,2\n")
    (tmp_path / "log.csv").unlink()
    assert {run.name for run in runs.refresh()} == {"ours", "broken"}
    assert runs.find("broken.csv").name == "broken"
    with pytest.raises(RunError, match="there is no run nothing"):
        runs.find("nothing")


def test_the_recorded_runs_are_found_by_name(tmp_path: Path) -> None:
    runs = all_runs(tmp_path)
    assert {run.kind for run in runs.shipped()} == {"recorded"}
    found = runs.find("shakespeare-byte")
    assert found.kind == "recorded"
    assert audit(found).best.step == 1400
    assert runs.refresh() == []


def test_large_files_of_something_else_are_not_read_through(tmp_path: Path) -> None:
    lines = "\n".join('{"text": "to be", "label": 1}' for _ in range(200_000))
    (tmp_path / "data.jsonl").write_text(lines)
    (tmp_path / "data.csv").write_text("text,label\n" + "to be,1\n" * 500_000)
    started = time.process_time()
    assert all_runs(tmp_path).refresh() == []
    assert time.process_time() - started < 1.0  # through all lines it takes several seconds

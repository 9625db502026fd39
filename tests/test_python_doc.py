"""What docs/python.md shows, run; and the example of a training loop of one's own."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from nexus_tui import Run
from nexus_tui.runs import truth
from nexus_tui.runs.run import RunError
from nexus_tui.runs.store import Runs, resolve
from nexus_tui.training.session import Session, SessionError

ROOT = Path(__file__).parent.parent


def test_every_block_of_the_page_runs(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEXUS_RUNS", raising=False)
    (tmp_path / "texts").mkdir()
    corpus.rename(tmp_path / "texts" / "sonnet.txt")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.M | re.S)
    assert len(blocks) == 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert Run.open("runs/first").state == "finished"
    mine = Run.open("runs/mine")
    assert mine.state == "finished"
    assert "accuracy" in mine.metrics
    best = truth.best(mine)
    assert best is not None and best.checkpoint is not None
    assert (mine.folder / "best").resolve() == best.checkpoint.path.resolve()


def test_the_example_is_audited_and_compared(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "plain"
    monkeypatch.setattr(
        sys, "argv", ["x", str(folder), "--steps", "30", "--every", "15", "--corpus", str(corpus)]
    )
    runpy.run_path(str(ROOT / "examples" / "plain_transformer.py"), run_name="__main__")
    run = Run.open(folder)
    assert run.state == "finished"
    assert run.total_steps == 30
    assert [each.weights for each in truth.ranking(run)] == ["here", "here"]
    assert run.evaluations[1].loss < run.evaluations[0].loss
    losses = run.window_losses("step_30")
    assert losses is not None
    assert run.evaluations[1].loss == pytest.approx(float(losses.mean()), rel=1e-6)
    with pytest.raises(RunError, match="loop of its own"):
        resolve(Runs(tmp_path / "runs"), "plain")
    with pytest.raises(SessionError, match="loop of its own"):
        Session.resume(folder)

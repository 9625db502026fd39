"""`make torture`: a figure that misses its bound fails it, and nothing that a section began outlives it."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import running
from benchmarks.document import Document, missed
from benchmarks.sections import Section
from tools.torture.document import LIMIT, RELIABILITY
from tools.torture.figures import Figures

SECTION = '''
"""What is tried."""
import subprocess, sys
from tools.torture.figures import Figures
subprocess.Popen(["sleep", "{nap}"], start_new_session=True)
figures = Figures()
figures.most("runs that differ", {bound}, 1, "runs")
if "{nap}" == "77":
    subprocess.run(["sleep", "77"])
sys.exit(figures.status)
'''


def test_every_section_says_what_it_tries() -> None:
    assert LIMIT == 900
    for section in RELIABILITY.sections:
        assert section.about, section
        assert section.limit
        assert section.limit < LIMIT


def test_figures_know_what_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    figures = Figures()
    figures.least("kills", 200, 200)
    figures.holds("a stranger is refused", True, "“who are you?”")
    assert figures.status == 0
    figures.most("runs that differ by a bit", 0, 2, "runs")
    assert figures.status == 1
    told = capsys.readouterr().out
    assert "- Goal: a stranger is refused. Measured: “who are you?”, **met**.\n" in told
    assert missed(told) == ["runs that differ by a bit ≤ 0 runs"]


def test_a_missed_figure_is_written_and_a_section_that_takes_too_long_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good.py").write_text(SECTION.format(bound=1, nap=71))
    (tmp_path / "bad.py").write_text(SECTION.format(bound=0, nap=72))
    (tmp_path / "late.py").write_text(SECTION.format(bound=1, nap=77))
    (tmp_path / "broken.py").write_text('"""No."""\nraise SystemExit(3)')
    monkeypatch.setattr(running, "busy", lambda: 0.0)
    monkeypatch.setattr("benchmarks.sections.ROOT", tmp_path.parent)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path.parent}:{Path(running.__file__).parents[1]}")
    names = ("good", "bad", "late", "broken")
    sections = [Section(name, name.title(), package=tmp_path.name, limit=20) for name in names]
    sections[2] = replace(sections[2], limit=1.5)
    document = Document(tmp_path / "found.md", "# Found\n", tuple(sections), limit=60)
    assert running.run(document, sections) == (["late", "broken"], ["bad: runs that differ ≤ 0 runs"])
    text = document.path.read_text()
    assert "| [Bad](#bad) | **0 of 1** | " in text
    assert "| [Good](#good) | 1 of 1 | " in text
    assert "| all of it, within 60 s | yes | " in text
    assert "## Late" not in text
    time.sleep(0.1)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert not [line for line in left.splitlines() if line in ("sleep 71", "sleep 72", "sleep 77")]

"""`make bench`: what is measured anew replaces its section of docs/performance.md, and nothing else."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from benchmarks import document, running, sections
from benchmarks.document import PERFORMANCE
from benchmarks.harness import Timing, goal, in_turn, spread, table
from benchmarks.sections import SECTIONS, Section

LIMIT, PAIRS = (next(s for s in SECTIONS if s.name == name) for name in ("limit", "pairs"))
OLD = "# Performance\n\nAn old head.\n\n## By hand\n\nKeep me.\n\n### and me\n\n## Start of old\n\nMe too.\n"


def test_a_section_is_put_in_its_place_and_what_is_not_ours_stays() -> None:
    once = document.replaced(PERFORMANCE, OLD, PAIRS.title, "Pairs, 1.\n")
    both = document.replaced(PERFORMANCE, once, LIMIT.title, "Limit.\n")
    again = document.replaced(PERFORMANCE, both, PAIRS.title, "Pairs, 2.\n")
    titles = re.findall(r"^## (.*)$", again, re.MULTILINE)
    assert titles == [LIMIT.title, PAIRS.title, "By hand", "Start of old"]
    assert "Pairs, 2." in again
    assert "Pairs, 1." not in again
    assert "An old head" not in again
    assert "Keep me.\n\n### and me\n" in again
    assert again.endswith("Me too.\n")
    assert document.replaced(PERFORMANCE, again, PAIRS.title, "Pairs, 2.\n") == again


def test_the_head_lists_the_goals_of_every_section() -> None:
    text = f"A table.\n\n{goal('a step takes', 1.35, 1.5, '×', 'its products')}\n"
    whole = document.replaced(
        PERFORMANCE, document.replaced(PERFORMANCE, "", PAIRS.title, "No goal.\n"), LIMIT.title, text
    )
    assert (
        f"| a step takes ≤ 1.35 × its products | 1.5 × | not met "
        f"| [{LIMIT.title}](#the-limit-of-a-training-step) |" in whole
    )
    assert whole.index("| goal |") < whole.index(f"## {LIMIT.title}")


def test_a_goal_is_met_on_its_own_side() -> None:
    assert "≤ 2 s. Measured: 2 s, **met**" in goal("it takes", 2, 2.0, "s")
    assert "≥ 2 s. Measured: 1.99 s, **not met**" in goal("it takes", 2, 1.99, "s", least=True)


def test_every_section_has_a_module_that_says_what_it_measures() -> None:
    for section in PERFORMANCE.sections:
        assert section.about, section
    known = {section.name for section in PERFORMANCE.sections}
    folder = Path(sections.__file__).parent
    helpers = {"big_run", "gpu_peer", "many_runs", "peer", "wandb_run"}  # programs that benchmarks start
    programs = {p.stem for p in folder.glob("*.py") if "def main() -> None" in p.read_text()}
    assert programs - helpers == known


def test_a_benchmark_writes_its_section_and_one_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "performance.md"
    missing = Section("missing", "By hand")
    path.write_text(OLD)
    forecast = next(section for section in SECTIONS if section.name == "forecast")
    where = dataclasses.replace(PERFORMANCE, path=path)
    assert running.run(where, [missing, forecast]) == (["missing"], [])
    text = path.read_text()
    assert "Keep me." in text
    assert f"`{forecast.command}` · " in text
    assert "torch" in text
    assert "```\ncurve " in text
    assert list(tmp_path.iterdir()) == [path]
    assert "missing failed, its section stays as it was" in capfd.readouterr().err
    monkeypatch.setattr(sys, "argv", ["benchmarks", "nonsense"])
    with pytest.raises(SystemExit):
        running.main(PERFORMANCE, "benchmarks", "")
    assert "there is no section nonsense" in capfd.readouterr().err


def test_contenders_run_in_turn_some_more_often_and_ratios_are_of_rounds() -> None:
    order: list[str] = []
    contenders = {name: lambda name=name: order.append(name) for name in "ab"}
    timings = in_turn(contenders, 2, warm_up=1, often={"a": 3})
    assert "".join(order) == "ab" + "aaab" * 2
    assert len(timings["a"].seconds) == 6
    a, b = Timing([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), Timing([[2.0], [8.0]])
    assert b.over(a) == [2.0, 4.0]
    assert spread(b.over(a)) == "3.00 (2.00 – 4.00)"
    assert "| b | 2.0 | 5 | 2 – 8 | 2 | 3.00 (2.00 – 4.00) |" in table({"a": a, "b": b}, "tokens", 10)

"""Events in plain words."""

from pathlib import Path

from nexus_tui.runs.run import Run
from nexus_tui.tui.derived import best
from nexus_tui.tui.side import side
from nexus_tui.tui.story import story
from tests.tui.fake_runs import FakeRun, branched
from tests.tui.trained import straight


def words(run: FakeRun, limit: int = 100) -> list[str]:
    opened = Run(run.folder)
    return ["".join(text for text, _ in line) for line in story(opened, best(opened), limit, run.now)]


def test_one_line_for_a_step_that_was_saved_evaluated_and_sampled(folder: Path) -> None:
    run = FakeRun(folder / "a", every=10).train(20)
    run.end()
    told = words(run)
    assert [" ".join(line.split()[1:3]) for line in told] == [
        "finished at", "20 evaluated", "10 evaluated", "started: 6.74M",
    ]  # fmt: skip
    assert told[1].endswith("★ best") and not told[2].endswith("best")


def test_a_forecast_in_between_parts_nothing(folder: Path) -> None:
    run = FakeRun(folder / "a").train(10)
    run.evaluate("step_10", 2.0)
    run.predict(20, 1.9, 0.1)
    run.predict(30, 1.8, 0.1)
    run.sample("To be", "or not")
    assert [line[7:] for line in words(run)] == ["10 evaluated 2.0000", "started: 6.74M parameters"]


def test_everything_that_happens_has_words(folder: Path) -> None:
    run = FakeRun(folder / "a", every=10).train(10)
    run.act("pause")
    run.act("continue")
    run.scale_rate(0.5)
    run.note("a jump here?")
    run.train(12)
    run.sample("To be", "or not")
    run.end("failed", "the loss is not a number at step 13")
    run.resume(10)
    assert [line[7:] for line in words(run)][:7] == [
        "resumed from 10",
        "failed: the loss is not a number at step 13",
        "12 sampled",
        "10 “a jump here?”",
        "10 learning rate × 0.5",
        "continued at 10",
        "paused at 10",
    ]


def test_the_newest_come_first_and_no_more_than_asked(folder: Path) -> None:
    run = FakeRun(folder / "a", every=10).train(100)
    told = words(run, 3)
    assert [line[7:10] for line in told] == ["100", "90 ", "80 "]


def test_damaged_lines_are_told_below_the_newest_event(folder: Path) -> None:
    run = FakeRun(folder / "a", every=10).train(20)
    with (run.folder / "journal.jsonl").open("ab") as file:
        file.write(b'\0\0{\nnot json\n{"event":"st')
    told = words(run)
    assert told[0][7:].startswith("20 evaluated")
    assert told[1][7:] == "2 damaged lines of journal.jsonl are passed over; what they said is missing"
    assert "damaged" not in "".join([*told[2:], *words(run, 1)]), "an unfinished line is no damage"


def test_foreign_text_cannot_steer_the_terminal(folder: Path) -> None:
    run = FakeRun(folder / "a").train(5)
    run.note("\x1b[31mred\x07 [bold]x[/] \u202eabc\nnext")
    told = words(run)[0]
    assert "[bold]x[/]" in told and "next" in told
    assert not any(ord(sign) < 32 or sign in "\u202e\x7f" for sign in told)


def test_the_side_column_always_shows_the_best_and_fits(folder: Path) -> None:
    run = FakeRun(folder / "a", every=10)
    run.train(200)
    run._lift = 0.5
    run.train(400)
    opened = Run(run.folder)
    from nexus_tui.tui.derived import checkpoints

    lines = ["".join(text for text, _ in line) for line in side(opened, checkpoints(opened), 38, 30, run.now)]
    assert len(lines) <= 30
    assert sum("★" in line and line.endswith("best") for line in lines if "evaluated" not in line) == 1


def test_an_abandoned_branch_keeps_its_checkpoints(folder: Path) -> None:
    run = branched(folder / "a")
    from nexus_tui.tui.derived import checkpoints

    opened = Run(run.folder)
    lines = ["".join(text for text, _ in line) for line in side(opened, checkpoints(opened), 38, 36, run.now)]
    assert sum(line.lstrip(" ★").startswith("1,000 ") for line in lines[:12]) == 2


def test_a_long_event_is_wrapped_under_itself(folder: Path) -> None:
    from nexus_tui.tui.derived import checkpoints

    run = FakeRun(folder / "a").train(5)
    run.end("failed", "the save was refused by the disk, " + "which is full, " * 20)
    opened = Run(run.folder)
    lines = ["".join(text for text, _ in line) for line in side(opened, checkpoints(opened), 38, 30, run.now)]
    start = next(index for index, line in enumerate(lines) if "failed" in line)
    assert all(len(line) <= 38 for line in lines)
    assert lines[start + 1].startswith("       ") and lines[start + 2].rstrip().endswith("…")
    assert "started" in lines[start + 3]


def test_an_average_goes_by_its_name(tmp_path: Path) -> None:
    run = straight(tmp_path / "a", 400)
    run.average(["step_200", "step_400"], 1.2)
    opened = Run(run.folder)
    (newest, *_) = story(opened, best(opened), 1, run.now)
    assert "".join(text for text, _ in newest)[7:] == "average_400 evaluated 1.2000 ★ best"

"""The checkpoints screen: every checkpoint on record, and which one is truly the best."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nexus_tui.analysis.subject import checkpoint_of
from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.subject import Subject
from nexus_tui.training import reevaluate
from nexus_tui.training.session import Session
from nexus_tui.tui import derived
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.checkpoint_detail import describe
from nexus_tui.tui.checkpoint_rows import false_claims, rows, verdict
from nexus_tui.tui.checkpoint_table import COLUMNS, cells
from nexus_tui.tui.checkpoints_screen import CheckpointsScreen
from nexus_tui.tui.listing import fitting
from nexus_tui.tui.metrics import METRICS
from nexus_tui.tui.run_curves import RunCurves
from nexus_tui.tui.run_row import cells as run_cells
from tests.tui.conftest import FakeLauncher, ready, until
from tests.tui.screens import footer, line, press, text
from tests.tui.trained import Trained, branched, straight

Make = Callable[..., NexusApp]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("template") / "byte"
    return folder, branched(folder)


@pytest.fixture
def trained(template: tuple[Path, Trained], folder: Path) -> Trained:
    """A copy of the branched run that a test may damage."""
    source, made = template
    shutil.copytree(source, folder / "byte", symlinks=True)
    copy = Trained.__new__(Trained)
    copy.__dict__ |= {**made.__dict__, "folder": folder / "byte"}
    copy.open()
    return copy


async def show(pilot: Pilot[str]) -> CheckpointsScreen:
    await ready(pilot)
    await press(pilot, "3")
    screen = pilot.app.screen
    assert isinstance(screen, CheckpointsScreen)
    return screen


def said(run: Run) -> str:
    return "".join(words for words, _ in verdict(run, rows(run)))


# What is on record -------------------------------------------------------------------------------------


def test_the_best_is_found_over_all_branches_and_ties_are_named(trained: Trained) -> None:
    run = Run(trained.folder)
    table = {row.name: row for row in rows(run)}
    assert [name for name, row in table.items() if row.best] == ["step_1400.1"]
    assert {name for name, row in table.items() if row.tied} == {"step_1200.1", "step_1600"}
    assert {name for name, row in table.items() if row.abandoned} == {"step_1200", "step_1400"}
    assert said(run) == (
        "★ 1,400 is the best of 10: 1.5288 nats/token; 1,200 and 1,600 cannot be told from it"
        " (paired over 64 windows)"
    )
    assert false_claims(run, rows(run)) == []


def test_a_resume_from_an_earlier_step_does_not_hide_a_better_one(trained: Trained) -> None:
    trained.resume(600)
    trained.steps(601, 800, 1.7)
    trained.save(800, "step_800.2")
    trained.evaluate(800, 1.7, "step_800.2")
    run = Run(trained.folder)
    best = next(row for row in rows(run) if row.best)
    assert (best.name, best.abandoned) == ("step_1400.1", True)


def test_the_tree_of_resumes_stands_beside_the_rows(trained: Trained) -> None:
    drawn = [row.lineage for row in rows(Run(trained.folder))]
    assert drawn == [
        "├─ 0 → 1000", "│", "│", "│", "│", "│  abandoned", "│  abandoned", "└─ 1000 → 1600", "", "",
    ]  # fmt: skip


def test_a_run_without_a_resume_has_no_tree(tmp_path: Path) -> None:
    assert {row.lineage for row in rows(Run(straight(tmp_path / "a", 400).folder))} == {""}


def test_an_average_stands_behind_its_last_parent_and_says_what_it_is(trained: Trained) -> None:
    trained.average(["step_800", "step_1000"], 1.59)
    trained.average(["step_1200.1", "step_1400.1", "step_1600"], 1.52)
    run = Run(trained.folder)
    table = rows(run)
    assert [(row.name, row.lineage) for row in table if row.averaged] == [
        ("average_1000", "│  average of 2"),
        ("average_1600", "   average of 3"),
    ]
    assert [row.name for row in table][-2:] == ["step_1600", "average_1600"]
    assert [row.name for row in table][4:6] == ["step_1000", "average_1000"]
    assert said(run).startswith("★ average_1600 is the best of 12: 1.5200 nats/token; every other")
    best = table[-1]
    told = ["".join(text for text, _ in line) for line in describe(run, best, None, None, 76)]
    assert told[0].startswith("average_1600")
    assert cells(best, 0.0)["step"][0] == "★ average_1600"
    assert run_cells(run.summary, "finished", "now")["best"][0] == "★ average_1600"
    legend = RunCurves(run, "step", derived.best(run)).legend(METRICS[0])
    assert [entry.note for entry in legend if entry.marker == "star"] == ["@average_1600"]
    assert any("of 1200.1, 1400.1 and 1600" in line for line in told)
    assert not any("at 1600" in line for line in told)  # the step's samples are not its own
    assert any("cannot be resumed" in line for line in told)
    assert not any("tokens" in line for line in told)
    assert false_claims(run, table) == [
        "best → 1,400 is STALE: average_1600 is better by 0.0088 nats per token: "
        "it was the best until average_1600, and has not been updated since"
    ]
    trained.link("average_1600")
    assert false_claims(Run(trained.folder), table) == []


def test_a_run_without_a_resume_shows_the_lineage_of_an_average(tmp_path: Path) -> None:
    run = straight(tmp_path / "a", 400)
    run.average(["step_200", "step_400"], 2.0)
    assert [row.lineage for row in rows(Run(run.folder))] == ["", "", "average of 2"]


async def test_the_chart_reads_out_the_row_under_the_cursor_where_several_share_a_step(
    make_app: Make, trained: Trained
) -> None:
    trained.average(["step_1400.1", "step_1600"], 1.5211, "soup")
    trained.average(["step_1200.1", "step_1600"], 1.5322, "stew")
    app = make_app(trained)
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await show(pilot)
        for name, loss in (("soup", "1.5211"), ("stew", "1.5322")):
            screen.table.go_to(name)
            await pilot.pause()
            assert line(app, "validation").split()[-1] == loss
            assert f"@{name}" in line(app, "validation")


async def test_an_average_is_not_resumed(make_app: Make, trained: Trained, launcher: FakeLauncher) -> None:
    trained.average(["step_1400.1", "step_1600"], 1.52)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert "★ average_1600" in text(app)
        await press(pilot, "end", "r")
        assert screen.row is not None and screen.row.name == "average_1600"
        assert "is an average: training cannot go on from it" in screen.why_not("resume")
        assert launcher.resumed == []
        assert "of 1400.1 and 1600" in text(app)


def test_lower_losses_of_lost_weights_are_told_but_not_the_best(trained: Trained) -> None:
    shutil.rmtree(trained.folder / "checkpoints" / "step_1400.1")
    run = Run(trained.folder)
    table = {row.name: row for row in rows(run)}
    assert table["step_1600"].best
    assert table["step_1400.1"].weights == "gone"
    assert said(run).endswith("1,400 scored lower, but its weights are gone")
    (wrong,) = false_claims(run, rows(run))
    assert wrong.startswith("best → 1,400 is MISSING: checkpoints/step_1400.1 is not there")


def test_a_damaged_one_says_what_is_wrong_and_is_not_the_best(trained: Trained) -> None:
    (trained.folder / "checkpoints" / "step_1400.1" / "model.safetensors").write_bytes(b"short")
    row = next(row for row in rows(Run(trained.folder)) if row.name == "step_1400.1")
    assert row.weights == "damaged"
    assert "has 5 bytes" in row.damage
    assert not row.best


def test_one_saved_and_never_evaluated_has_a_row(trained: Trained) -> None:
    trained.save(1700)
    row = rows(Run(trained.folder))[-1]
    assert (row.name, row.evaluation, row.ranked, row.weights) == ("step_1700", None, False, "kept")


def test_another_protocol_is_shown_but_not_compared(trained: Trained) -> None:
    trained.evaluate(1600, 1.9, protocol="other")
    table = {row.name: row for row in rows(Run(trained.folder))}
    assert table["step_1600"].best
    assert not table["step_1400.1"].ranked
    assert table["step_1400.1"].evaluation is not None


def test_ties_are_unknown_without_the_losses_of_the_windows(trained: Trained) -> None:
    shutil.rmtree(trained.folder / "evaluations")
    run = Run(trained.folder)
    assert {row.tied for row in rows(run)} == {None}
    assert said(run).endswith("ties unknown: the losses of its windows are not on record")


def test_an_empty_run_says_when_the_first_one_comes(tmp_path: Path) -> None:
    assert said(Run(Trained(tmp_path / "new").folder)) == "No checkpoint yet; the first comes at step 200."


def test_columns_give_way_and_the_verdicts_stay() -> None:
    narrow = {column.key for column in fitting(COLUMNS, 80)}
    assert {"step", "val", "ppl", "bpb", "delta", "tie", "weights", "lineage"} <= narrow
    assert {column.key for column in fitting(COLUMNS, 160)} == {column.key for column in COLUMNS}
    assert {column.key for column in fitting(COLUMNS, 40)} >= {"step", "val", "delta"}


# The screen --------------------------------------------------------------------------------------------


async def test_the_cursor_begins_on_the_best_and_the_detail_follows_it(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        assert screen.row is not None and screen.row.best
        assert "1.5288" in line(app, "★ 1,400  ")
        assert "the true best" in text(app)
        await press(pilot, "down")
        assert "step 1,600  +0.0022 from the best; cannot be told from it" in text(app)
        await press(pilot, "home")
        assert "step 200  +0.8812" in text(app)
        await press(pilot, "b")
        assert screen.row.best


async def test_new_checkpoints_come_in_and_the_cursor_stays_where_it_was_put(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot)
        await press(pilot, "home")
        trained.save(1800)
        trained.evaluate(1800, 1.4)
        app.look()
        screen.record_changed()
        await pilot.pause()
        assert "1.4000" in line(app, "★ 1,800  ")
        assert screen.row is not None and screen.row.step == 200
        assert "is STALE" in text(app)


async def test_a_refresh_without_news_paints_nothing_and_one_row_costs_one_line(
    make_app: Make, trained: Trained
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await show(pilot)
        table = screen.table
        painted: list[object] = []
        table.refresh = lambda *regions, **_: painted.extend(regions or ["all"])  # type: ignore[method-assign]
        screen.record_changed()
        assert painted == []
        trained.evaluate(200, 2.5)
        app.look()
        screen.record_changed()
        assert [region.y for region in painted] == [1]  # type: ignore[attr-defined]


async def test_a_moved_cursor_lays_nothing_out(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layout paints the whole screen again: kilobytes for each key."""
    app = make_app(trained)
    async with app.run_test(size=(100, 40)) as pilot:
        screen = await show(pilot)
        await until(pilot, lambda: not screen._layout_required)  # a new mode's own comes 0.05 s late
        layouts: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *_, **__: layouts.append(1))
        await press(pilot, "up", "up", "home", "end")
        assert "step 1,600" in text(app)
        assert layouts == []


async def test_a_low_detail_says_that_there_is_more_and_scrolls(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        assert "protocol" in line(app, "▼")
        await press(pilot, "tab", *["down"] * 9)
        assert "The king hath sent" in text(app)
        assert "▼" not in text(app)
        await press(pilot, "shift+tab", "up")
        assert "step 1,200" in text(app)


async def test_enter_opens_the_playground_with_this_checkpoint(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await press(pilot, "up", "enter")
        await until(pilot, lambda: app.current_mode == "playground")
        await until(pilot, lambda: app.screen.checkpoint is not None)  # type: ignore[attr-defined]
        assert app.screen.checkpoint.name == "step_1200.1"  # type: ignore[attr-defined]


async def test_r_resumes_from_the_row_under_the_cursor(
    make_app: Make, trained: Trained, launcher: FakeLauncher
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        await show(pilot)
        await press(pilot, "home", "down", "r")
        await until(pilot, lambda: bool(launcher.resumed))
        assert launcher.resumed == [("byte", "step_400")]
    launcher.session.end()  # type: ignore[union-attr]


async def test_verifying_names_the_file_that_was_changed(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await show(pilot)
        await press(pilot, "v")
        await until(pilot, lambda: "whole" in line(app, "★ 1,400  "))
        assert "all 4 files match their SHA-256" in text(app)
        weights = trained.folder / "checkpoints" / "step_1600" / "model.safetensors"
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        await press(pilot, "end", "v")
        await until(pilot, lambda: "damaged" in line(app, "1,600   1.4110   1.5310"))
        assert "model.safetensors is damaged" in text(app).replace("\n", " ")
        assert screen.row is not None and screen.row.step == 1600


# Re-evaluating -----------------------------------------------------------------------------------------


@pytest.fixture
def genuine(folder: Path, small: RunConfig) -> Path:
    """A run that was really trained, and so has a loss that can be computed again."""
    session = Session.start(folder, small, "genuine")
    session.join()
    assert session.error is None, session.error
    return session.folder


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def words(app: NexusApp) -> str:
    """The screen with its line breaks undone."""
    return " ".join(text(app).split())


async def test_a_loss_computed_anew_agrees_with_the_journal(make_app: Make, genuine: Path) -> None:
    before = contents(genuine)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await show(pilot)
        assert screen.row is not None and screen.row.evaluation is not None
        loss = f"{screen.row.evaluation.loss:.4f}"
        await press(pilot, "V")
        await until(pilot, lambda: "(agrees)" in words(app))
        assert f"re-evaluated: {loss}, journalled {loss}, difference 0.0000 (agrees)" in words(app)
        assert "match their SHA-256" in words(app)
    assert contents(genuine) == before


async def test_a_journalled_loss_that_is_not_the_weights_is_flagged(make_app: Make, genuine: Path) -> None:
    journal = genuine / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "evaluated":
            event["loss"] -= 0.01
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await press(pilot, "V")
        await until(pilot, lambda: "(DIFFERS)" in words(app))
        assert "difference +0.0100 (DIFFERS)" in words(app)


async def test_what_cannot_be_computed_anew_says_why(make_app: Make, genuine: Path, corpus: Path) -> None:
    corpus.write_text(corpus.read_text().replace("thee", "thou"))
    app = make_app()
    async with app.run_test(size=(80, 40)) as pilot:
        await show(pilot)
        await press(pilot, "V")
        await until(pilot, lambda: "not re-evaluated" in words(app))
        assert "evaluated on another text, tokenizer or window" in words(app)


async def test_damaged_weights_are_not_scored(make_app: Make, trained: Trained) -> None:
    weights = trained.folder / "checkpoints" / "step_1400.1" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    app = make_app(trained)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await press(pilot, "V")
        await until(pilot, lambda: "not re-evaluated: damaged" in words(app))


async def test_windows_are_counted_and_esc_cancels(
    make_app: Make, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, left = threading.Event(), threading.Event()

    def slow(_run: Run, _which: str, progress: Callable[[int, int], None]) -> None:
        progress(1, 64)
        go_on.wait(60)
        try:
            progress(2, 64)
        finally:
            left.set()
        raise AssertionError("it went on after esc")

    monkeypatch.setattr(reevaluate, "reevaluate", slow)
    app = make_app(trained)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        await press(pilot, "V")
        await until(pilot, lambda: "re-evaluating: 1 of 64 windows" in words(app))
        await press(pilot, "V")
        assert "step_1400.1 is being re-evaluated; esc cancels that." in words(app)
        await press(pilot, "escape")
        await until(pilot, lambda: "re-evaluation cancelled" in words(app))
        assert app.current_mode == "checkpoints"
        go_on.set()
        await until(pilot, left.is_set)
        await press(pilot, "escape")
        await until(pilot, lambda: app.current_mode == "training")


async def test_one_never_evaluated_has_nothing_to_compare_with(make_app: Make, trained: Trained) -> None:
    trained.save(1700)
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot)
        await press(pilot, "end", "V")
        assert "Step 1,700 was never evaluated, so there is no loss to compare with." in text(app)


async def test_what_cannot_be_done_is_grey_and_says_why(make_app: Make, trained: Trained) -> None:
    shutil.rmtree(trained.folder / "checkpoints" / "step_200")
    trained.save(1700, optimizer=False)
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot)
        await press(pilot, "home")
        assert footer(app).startswith("(enter)  space  c  (r)  (v)  y")
        await press(pilot, "enter")
        assert "The weights of step 200 are gone; choose another checkpoint." in text(app)
        await press(pilot, "end")
        assert footer(app).startswith("enter  space  c  (r)  v  y")


async def test_y_copies_the_path_and_keeps_it_in_a_file(
    make_app: Make, trained: Trained, tmp_path: Path
) -> None:
    app = make_app(trained)
    async with app.run_test(size=(100, 30)) as pilot:
        await show(pilot)
        await press(pilot, "y")
        path = str((trained.folder / "checkpoints" / "step_1400.1").absolute())
        assert app.clipboard == path
        assert (tmp_path / "state" / "nexus-tui" / "copied.txt").read_text() == path
        assert "Copied the path; also in state/nexus-tui/copied.txt" in text(app)


async def test_text_from_a_run_cannot_steer_the_terminal(make_app: Make, trained: Trained) -> None:
    app = make_app(trained)
    async with app.run_test(size=(120, 40)) as pilot:
        await show(pilot)
        assert "\x1b" not in text(app)
        assert "thee␛[31m" in text(app)


async def test_another_run_begins_at_its_own_best(make_app: Make, trained: Trained, folder: Path) -> None:
    other = straight(folder / "other", 600)
    app = make_app(trained)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await show(pilot)
        app.current = next(run for run in app.runs if run.name == other.folder.name)
        screen.record_changed()
        await pilot.pause()
        assert screen.row is not None and screen.row.step == 600
        assert "★ 600 is the best of 3" in text(app)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_picture(
    make_app: Make, trained: Trained, snap_compare: Callable[..., bool], size: tuple[int, int]
) -> None:
    async def before(pilot: Pilot[str]) -> None:
        await show(pilot)

    assert snap_compare(make_app(trained), terminal_size=size, run_before=before)


def test_asking_for_a_damaged_checkpoint_names_the_file_and_what_to_do(trained: Trained) -> None:
    (trained.folder / "checkpoints" / "step_800" / "model.safetensors").write_bytes(b"")
    run = Run(trained.folder)
    for ask in (lambda: run.checkpoint("800"), lambda: checkpoint_of(Subject(run, "step_800"))):
        with pytest.raises(RunError, match=r"byte:step_800 is damaged: .*model.safetensors.*choose another"):
            ask()

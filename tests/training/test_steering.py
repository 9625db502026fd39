"""Wishes at step boundaries: what they change, what is on record of them, and repeating a run with them."""

from pathlib import Path

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training import replay
from nexus_tui.training.replay import Script
from nexus_tui.training.schedule import learning_rate
from nexus_tui.training.session import Session, SessionError


def steered(folder: Path, config: RunConfig, acts: list[tuple[int, c.Act]], name: str = "run") -> Run:
    session = Session.start(folder, config, name, Script(acts))
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def resumed(run: Run, which: int | None = None, steps: int = 0) -> Run:
    session = Session.resume(run.folder, which, steps)
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


def paused_at(folder: Path, config: RunConfig, step: int) -> Session:
    """A training that waits after a step for what is asked of it."""
    session = Session.start(folder, config, "run", Script([(step, c.Pause())]))
    run = Run(session.folder)
    while session.alive and run.state != "paused":
        session.join(0.01)
        run.refresh()
    return session


def rates(run: Run) -> list[float]:
    return run.steps["lr"][run.canonical()].tolist()


@pytest.mark.parametrize("steps", [6, 8, 16])
def test_another_end_is_the_schedules_end_too(tmp_path: Path, small: RunConfig, steps: int) -> None:
    run = steered(tmp_path, small, [(5, c.Plan(steps))])
    assert (run.state, run.step, run.total_steps) == ("finished", steps, steps)
    expected = [learning_rate(small, step) for step in range(1, 6)]
    assert rates(run) == expected + [learning_rate(small, step, steps) for step in range(6, steps + 1)]
    assert run.evaluations[-1].step == steps
    assert f"step_{steps}" in run.checkpoints


def test_a_run_may_end_where_it_stands(tmp_path: Path, small: RunConfig) -> None:
    run = steered(tmp_path, small, [(5, c.Plan(5))])
    assert (run.state, run.step, run.evaluations[-1].step) == ("finished", 5, 5)


def test_an_end_that_is_behind_is_refused(tmp_path: Path, small: RunConfig) -> None:
    session = paused_at(tmp_path, small, 5)
    wish = session.control.request(c.Plan(1))
    session.control.request(c.Continue())
    session.join()
    assert wish.refusal
    assert Run(session.folder).total_steps == 12


def test_a_finished_run_goes_on_if_it_is_given_more_steps(tmp_path: Path, small: RunConfig) -> None:
    run = steered(tmp_path, small, [])
    with pytest.raises(
        SessionError, match="has finished its 12 steps; resume it from an earlier one, or with"
    ):
        Session.resume(run.folder)
    run = resumed(run, steps=15)
    assert (run.state, run.step, run.total_steps) == ("finished", 15, 15)


def test_what_was_wished_for_after_a_checkpoint_holds_no_longer_once_it_is_resumed_from(
    tmp_path: Path, small: RunConfig
) -> None:
    run = steered(
        tmp_path, small, [(2, c.ScaleRate(0.5)), (6, c.Plan(16)), (6, c.ScaleRate(0.1)), (9, c.Stop())]
    )
    run = resumed(run, 4)
    assert (run.state, run.step, run.total_steps) == ("finished", 12, 12)
    assert rates(run)[4:] == [0.5 * learning_rate(small, step) for step in range(5, 13)]


def test_what_was_wished_for_before_the_first_step_is_gone_if_nothing_was_saved(
    tmp_path: Path, small: RunConfig
) -> None:
    run = resumed(steered(tmp_path, small, [(0, c.ScaleRate(0.5)), (0, c.Stop())]))
    assert rates(run) == [learning_rate(small, step) for step in range(1, 13)]
    session = replay.begin(run, tmp_path)
    session.join()
    assert replay.difference(run, Run(session.folder)) is None


def test_what_was_wished_for_before_it_holds(tmp_path: Path, small: RunConfig) -> None:
    run = steered(tmp_path, small, [(2, c.ScaleRate(0.5)), (3, c.Plan(16)), (9, c.Stop())])
    run = resumed(run, 8)
    assert (run.step, run.total_steps) == (16, 16)
    assert rates(run)[8:] == [0.5 * learning_rate(small, step, 16) for step in range(9, 17)]


def test_a_wish_is_told_where_it_was_carried_out(tmp_path: Path, small: RunConfig) -> None:
    session = paused_at(tmp_path, small, 5)
    wishes = [session.control.request(act) for act in (c.Save(), c.Note("here"), c.Continue())]
    session.join()
    assert all(wish.wait(0) for wish in wishes)
    assert [wish.step for wish in wishes] == [5, 5, 5]
    late = session.control.request(c.Save())
    session.control.end()
    assert late.refusal


def test_a_repetition_reaches_the_same_losses_with_the_same_wishes(tmp_path: Path, small: RunConfig) -> None:
    run = steered(
        tmp_path,
        small,
        [
            (3, c.ScaleRate(0.5)),
            (5, c.Note("so far")),
            (6, c.Plan(14)),
            (9, c.ScaleRate(2.0)),
            (10, c.Stop()),
        ],
    )
    run = resumed(run)
    run = resumed(run, 8)  # where the second scale was not yet wished for
    assert run.step == 14
    session = replay.begin(run, tmp_path)
    session.join()
    again = Run(session.folder)
    assert again.name == "run-replay"
    assert replay.difference(run, again) is None
    assert rates(again) == rates(run)
    assert [e.act for e in again.log if isinstance(e, j.ControlledEvent)] == ["rate_scale", "plan"] * 2

    plain = steered(tmp_path, small, [], "plain")
    parts = replay.difference(run, plain)
    assert parts is not None
    assert parts.step == 5  # step 4 was the first of the smaller rate: its loss is the next one's


def test_what_came_after_the_last_save_may_be_left(tmp_path: Path, small: RunConfig) -> None:
    run = steered(tmp_path, small, [(6, c.Stop(save=False))])
    assert (run.state, run.step, list(run.checkpoints)) == ("stopped", 6, ["step_4"])
    assert resumed(run).step == 12


def test_a_repetition_stops_where_the_run_did(tmp_path: Path, small: RunConfig) -> None:
    run = steered(tmp_path, small, [(7, c.Stop())])
    session = replay.begin(run, tmp_path)
    session.join()
    assert replay.difference(run, Run(session.folder)) is None
    assert Run(session.folder).step == 7

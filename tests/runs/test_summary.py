"""The summary of a run: what a list says of it, and how its state follows."""

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.lock import RunLock
from nexus_tui.runs.run import Run
from nexus_tui.runs.summary import SPARK, Summary, reduced, state_of

from .conftest import Writer

TOML = 'preset = "nexus-tiny"\n[data]\ncorpus = "sonnets"\ntokenizer = "bpe"\n[budget]\nsteps = 4000\n'


def test_it_says_what_the_record_says(reference_run: Writer) -> None:
    w = reference_run
    (w.folder / "run.toml").write_text(TOML)
    w.journal.append(j.StartedEvent(parameters=1234), j.NotedEvent(step=7, text="warm"))
    w.journal.append(j.EndedEvent(step=2000, reason="stopped"))
    run = Run(w.folder)
    found = run.summary
    assert found.name == "reference" and found.kind == "run" and found.notes == ("warm",)
    assert (found.preset, found.corpus, found.tokenizer) == ("nexus-tiny", "sonnets", "bpe")
    assert (found.parameters, found.step, found.total_steps) == (1234, 2000, 4000)
    assert (found.best_loss, found.best_name) == (2.6312, "1,400")
    assert (found.best_step, found.best_checkpoint) == (1400, "step_1400")
    assert found.best_bits == pytest.approx(2.6312 / math.log(2))
    assert found.config["budget"] == {"steps": 4000}
    assert found.last_active == run.log[-1].time.timestamp()
    w.journal.append(j.NotedEvent(step=2000, text="looked at again"))
    assert Run(w.folder).summary.last_active == found.last_active, "a note trains nothing"
    assert len(found.spark) == len(run.steps) and found.spark[0] == pytest.approx(2.5293)
    assert found.state(held=False) == run.state == "stopped"
    assert run.summary is found


def test_it_follows_the_record_and_the_lock(writer: Callable[..., Writer]) -> None:
    w = writer()
    run = Run(w.folder)
    assert run.summary == Summary("run") and run.summary.state(held=False) == "new"
    w.step(1, 3.0)
    run.refresh()
    assert run.summary.step == 1 and run.summary.state(held=False) == "crashed"
    assert run.summary.best_loss is None and run.summary.best_name == ""
    with RunLock(w.folder):
        w.journal.append(j.ControlledEvent(step=1, act="pause"))
        run.refresh()
        assert run.state == run.summary.state(held=True) == "paused"


def test_an_average_goes_by_its_name_and_what_was_abandoned_is_not_in_the_spark_line(
    writer: Callable[..., Writer],
) -> None:
    w = writer()
    w.step(1, 3.0)
    w.save(1)
    w.evaluate(1, 2.5)
    w.step(2, 99.0)
    w.resume(1)
    w.step(2, 2.0)
    w.save(2)
    w.evaluate(2, 2.4)
    w.average(["step_1", "step_2"], 2.3, "mean")
    found = Run(w.folder).summary
    assert found.best_name == "mean" and found.best_loss == 2.3
    assert found.spark == (3.0, 2.0)


def test_a_record_without_training_losses_has_a_spark_line_of_its_evaluations(
    writer: Callable[..., Writer],
) -> None:
    w = writer()
    w.evaluate(200, 2.5)
    w.evaluate(400, 2.25)
    assert Run(w.folder).summary.spark == (2.5, 2.25)


def test_a_spark_line_is_short_and_what_is_not_finite_is_left_out_of_it() -> None:
    values = np.arange(10_000.0)
    values[5] = np.inf
    short = reduced(values, SPARK)
    assert len(short) == SPARK and short[0] == pytest.approx(values[:312].sum(where=values[:312] < 1e9) / 311)
    assert list(short) == sorted(short)
    assert np.isnan(reduced(np.array([np.nan, 1.0, 2.0]), SPARK)[0])
    assert reduced(np.array([]), SPARK) == ()


@pytest.mark.parametrize(
    ("held", "paused", "ended", "kind", "begun", "state"),
    [
        (True, False, "", "run", True, "training"),
        (True, True, "", "run", True, "paused"),
        (True, False, "finished", "run", True, "training"),
        (False, True, "", "run", True, "crashed"),
        (False, False, "failed", "run", True, "failed"),
        (False, False, "", "tensorboard", True, "recorded"),
        (False, False, "finished", "recorded", True, "finished"),
        (False, False, "", "run", False, "new"),
    ],
)
def test_state(held: bool, paused: bool, ended: str, kind: str, begun: bool, state: str) -> None:
    assert state_of(held, paused, ended, kind, begun) == state


def test_it_is_the_same_after_a_round_trip(reference_run: Writer) -> None:
    found = Run(reference_run.folder).summary
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Summary) == found

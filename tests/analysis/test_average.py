"""An average's weights and loss equal a computation in 64-bit floating point; saved, it is a checkpoint."""

import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from nexus_tui.analysis import average as averaging
from nexus_tui.analysis.average import Average, average, save_average, shares
from nexus_tui.analysis.subject import opened
from nexus_tui.lm.pretrained import load_model
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.checkpoints import CheckpointError
from nexus_tui.runs.lock import RunLock, RunLockedError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs, resolve
from nexus_tui.runs.subject import Subject
from nexus_tui.training.reevaluate import reevaluate
from nexus_tui.training.session import Session, SessionError
from tests.analysis import plain_model
from tests.analysis.tiny import configuration, trained, weights

NAMES = ("step_4", "step_8", "step_12")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return trained(tmp_path, configuration(tmp_path))


def subjects(run: Run, *names: str) -> list[Subject]:
    return [Subject(run, name) for name in names or NAMES]


def plainly(run: Run, counts: dict[str, float]) -> dict[str, np.ndarray[Any, Any]]:
    """The weighted mean of checkpoints' tensors; the shares need not sum to 1."""
    total = sum(counts.values())
    stored = {name: weights(run, name) for name in counts}
    first = next(iter(stored.values()))
    return {key: sum(count * stored[name][key] for name, count in counts.items()) / total for key in first}


def plain_losses(run: Run, tensors: dict[str, np.ndarray[Any, Any]]) -> "np.ndarray[Any, Any]":
    """Mean loss of every validation window of a model, [windows]."""
    config = json.loads((run.folder / "checkpoints" / "step_12" / "config.json").read_text())
    windows = opened(Subject(run, "step_12")).validation
    _, logits = plain_model.run(tensors, config, windows.inputs)
    return plain_model.losses(logits, windows.targets).mean(1)


def test_a_uniform_average_is_the_mean_of_the_weights_and_has_its_loss(run: Run) -> None:
    found = average(subjects(run))
    tensors = plainly(run, dict.fromkeys(NAMES, 1.0))
    losses = plain_losses(run, tensors)
    assert found.window_losses == pytest.approx(losses, rel=1e-5)
    assert found.loss == pytest.approx(losses.mean(), rel=1e-6)
    assert found.stderr == pytest.approx(losses.std(ddof=1) / math.sqrt(len(losses)), rel=1e-4)
    assert found.bits_per_byte == pytest.approx(losses.mean() / math.log(2), rel=1e-6)  # a token is a byte
    assert found.perplexity == pytest.approx(math.exp(losses.mean()), rel=1e-6)
    saved = save_average(run, found)
    stored = load_file(saved.path / "model.safetensors")
    assert stored.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert np.array_equal(stored[name], tensor.astype(np.float32)), name  # rounded once, at the end


def test_a_moving_average_counts_later_ones_more(run: Run) -> None:
    found = average(subjects(run), "ema", 0.3)
    assert found.method == "ema 0.3"
    counts = {"step_4": 0.09, "step_8": 0.3, "step_12": 1.0}
    assert found.shares == pytest.approx([count / 1.39 for count in counts.values()])
    tensors = plainly(run, counts)
    assert found.window_losses == pytest.approx(plain_losses(run, tensors), rel=1e-5)
    stored = load_file(save_average(run, found, "moving").path / "model.safetensors")
    for name, tensor in tensors.items():
        assert stored[name] == pytest.approx(tensor, rel=1e-6, abs=1e-9), name


def test_it_is_tested_against_each_parent_over_the_same_windows(run: Run) -> None:
    found = average(subjects(run, "step_12", "step_4"))
    for place, (name, pair) in enumerate(zip(("step_12", "step_4"), found.pairs, strict=True)):
        losses = run.window_losses(name)
        assert losses is not None
        apart = found.window_losses.astype(np.float64) - losses
        assert (pair.a, pair.b, pair.windows) == (place, 2, len(losses))
        assert pair.mean == pytest.approx(apart.mean(), rel=1e-9)
        edges = np.linspace(0, len(apart), 11).astype(int)
        blocks = [apart[start:end].mean() for start, end in pairwise(edges)]
        half = pair.high - pair.mean
        critical = half / (np.std(blocks, ddof=1) / math.sqrt(10))
        assert 2.7 < critical < 3.0  # of the studentised range over three: 2.79 were the errors common
        verdict = "better" if pair.mean < -half else "worse" if pair.mean > half else "undecided"
        assert pair.verdict == verdict


def test_without_the_windows_of_a_parent_there_is_a_difference_and_no_test(run: Run) -> None:
    (run.folder / "evaluations" / "step_12.npy").unlink()
    found = average(subjects(run, "step_8", "step_12"))
    pair = found.pairs[1]
    assert (pair.verdict, pair.blocks) == ("undecided", 0)
    assert pair.mean == pytest.approx(found.loss - subjects(run, "step_12")[0].loss)
    assert "step_12" in pair.reason or "tiny:12" in pair.reason


def test_order_does_not_matter(run: Run) -> None:
    forth = average(subjects(run), "ema")
    back = average(subjects(run, "step_12", "step_8", "step_4"), "ema")
    assert back.parents == forth.parents
    assert back.shares == tuple(reversed(forth.shares))
    assert back.loss == forth.loss
    first = save_average(run, forth, "forth").path / "model.safetensors"
    second = save_average(run, back, "back").path / "model.safetensors"
    assert first.read_bytes() == second.read_bytes()


def test_it_is_computed_once_and_anew_for_other_weights(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = []
    score = averaging._score
    monkeypatch.setattr(averaging, "_score", lambda *args: scored.append(args) or score(*args))
    told: list[tuple[int, int]] = []
    first = average(subjects(run), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(first.window_losses), len(first.window_losses))
    assert average(subjects(Run(run.folder))).loss == first.loss
    assert len(scored) == 1
    average(subjects(run), "ema")
    average(subjects(run), "ema", 0.9)
    average(subjects(run, "step_4", "step_8"))
    assert len(scored) == 4


def test_what_cannot_be_averaged_is_refused_in_one_sentence(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="takes two or more checkpoints"):
        average(subjects(run, "step_4"))
    with pytest.raises(RunError, match="tiny:4 and tiny:4 have the same weights"):
        average(subjects(run, "step_4", "step_8", "step_4"))
    with pytest.raises(RunError, match=r"decay of 1 makes no average"):
        average(subjects(run), "ema", 1.0)
    budget = {"steps": 4}
    narrow = trained(
        tmp_path, configuration(tmp_path, model={"intermediate_size": 8}, budget=budget), "narrow"
    )
    with pytest.raises(RunError, match="different architectures: only checkpoints of one architecture"):
        average([Subject(run, "step_12"), Subject(narrow, "step_4")])
    short = trained(tmp_path, configuration(tmp_path, data={"window": 8}, budget=budget), "short")
    with pytest.raises(RunError, match="short:4 and tiny:12 are not scored on the same windows"):
        average([Subject(run, "step_12"), Subject(short, "step_4")])
    path = run.folder / "checkpoints" / "step_8" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(CheckpointError, match="damaged"):
        average(subjects(run))


def test_progress_can_cancel_and_nothing_is_kept(run: Run) -> None:
    class CancelledError(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        average(subjects(run), progress=cancel)
    assert not list((run.folder / "evaluations").rglob("average*"))


@pytest.fixture
def saved(run: Run) -> tuple[Run, Average]:
    """The run with an average of its last two on record, as if it had turned out the best."""
    made = average(subjects(run, "step_12", "step_8"))
    best = truth.best(run)
    assert best is not None
    lower = np.full_like(made.window_losses, best.evaluation.loss - 0.01)
    made = Average(**{**vars(made), "loss": float(lower.mean()), "window_losses": lower})
    save_average(run, made)
    assert run.averaged("uniform_12") is False  # the caller's run is as it was
    return Run(run.folder), made


def test_it_is_on_record_with_its_parents_and_its_loss(saved: tuple[Run, Average]) -> None:
    run, made = saved
    event = run.saved["uniform_12"]
    assert event.method == "uniform"
    assert event.parents == tuple(
        f"tiny:{name}@{run.saved[name].sha256[:12]}" for name in ("step_8", "step_12")
    )
    (evaluation,) = [e for e in run.evaluations if e.averaged]
    assert (evaluation.loss, evaluation.event.protocol) == (made.loss, made.protocol)
    assert np.array_equal(run.window_losses("uniform_12"), made.window_losses)
    assert truth.best(run).evaluation is evaluation  # type: ignore[union-attr]
    assert (run.folder / "best").readlink().name == "uniform_12"
    kept = run.checkpoints["uniform_12"]
    kept.verify()
    assert (kept.step, kept.resumable) == (12, False)
    assert not (run.folder / "lock").exists()


def test_training_does_not_go_on_from_it(saved: tuple[Run, Average]) -> None:
    run, _ = saved
    store = Runs(run.folder.parent)
    assert resolve(store, "tiny:last")[1].name == "step_12"
    assert resolve(store, "tiny:best")[1].name == "uniform_12"
    with pytest.raises(SessionError, match="uniform_12 is an average of 8 and 12: training cannot go on"):
        Session.resume(run.folder, "uniform_12")
    (run.folder / "checkpoints" / "step_12" / "manifest.json").unlink()
    session = Session.resume(run.folder)
    session.join()
    assert session.error is None
    run.refresh()
    assert [branch.start for branch in run.branches] == [0, 8]
    assert run.newest_checkpoint().step == 12  # type: ignore[union-attr]
    assert truth.best(run).evaluation.name == "uniform_12"  # type: ignore[union-attr]


def test_its_loss_is_found_again(run: Run) -> None:
    made = average(subjects(run))
    save_average(run, made)
    again = reevaluate(Run(run.folder), "uniform_12")
    assert again.agrees
    assert again.largest < 1e-6


def test_it_is_a_model_folder(run: Run) -> None:
    path = save_average(run, average(subjects(run))).path
    assert load_model(path).config == load_model(run.checkpoints["step_4"].path).config
    assert (path / "tokenizer.json").read_bytes() == (
        run.checkpoints["step_4"].path / "tokenizer.json"
    ).read_bytes()
    assert sorted(file.name for file in path.iterdir()) == [
        "config.json", "manifest.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip


def test_while_someone_trains_it_is_refused(run: Run) -> None:
    made = average(subjects(run))
    with RunLock(run.folder), pytest.raises(RunLockedError, match="tiny is being trained by process"):
        save_average(run, made)
    assert "uniform_12" not in Run(run.folder).saved


@pytest.mark.parametrize(
    "name", ["step_99", "best", "best_of_three", "last", "12", "a/b", "..", "", ".hidden", "x\n"]
)
def test_names_that_mean_something_else_are_refused(run: Run, name: str) -> None:
    made = average(subjects(run))
    if name:
        with pytest.raises(RunError, match="cannot name an average"):
            save_average(run, made, name)
    else:
        assert [save_average(run, made).name for _ in range(3)] == [
            "uniform_12", "uniform_12.2", "uniform_12.3",
        ]  # fmt: skip
        with pytest.raises(RunError, match="has a checkpoint uniform_12 already"):
            save_average(run, made, "uniform_12")


def test_only_a_run_of_a_parent_takes_it(run: Run, tmp_path: Path) -> None:
    other = trained(tmp_path, configuration(tmp_path, run={"seed": 2}, budget={"steps": 4}), "other")
    made = average(subjects(run, "step_4", "step_8"))
    with pytest.raises(
        RunError, match="other has no part in this average: save it in one that has, as in tiny"
    ):
        save_average(other, made)
    both = average([Subject(run, "step_12"), Subject(other, "step_4")])
    saved = save_average(other, both, "both")
    assert saved.step == 12
    assert [parent.split("@")[0] for parent in Run(other.folder).saved["both"].parents] == [
        "other:step_4", "tiny:step_12",
    ]  # fmt: skip


def test_an_older_protocol_does_not_become_the_newest(run: Run) -> None:
    made = average(subjects(run))
    with_other = j.Journal(run.folder / "journal.jsonl")
    with_other.append(j.EvaluatedEvent(step=12, checkpoint="step_12", loss=1.0, protocol="another"))
    with pytest.raises(RunError, match="was evaluated on other windows since"):
        save_average(run, made)


def test_parents_that_changed_since_are_refused(run: Run) -> None:
    made = average(subjects(run))
    changed = Average(**{**vars(made), "parents": (*made.parents[:2], "tiny:step_12@000000000000")})
    with pytest.raises(RunError, match="its parents have changed"):
        save_average(run, changed)


def test_a_full_disk_leaves_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = average(subjects(run))
    before = (run.folder / "journal.jsonl").read_bytes()

    def full(journal: j.Journal, *events: j.Event, durable: bool = False) -> None:
        journal.failure = OSError(28, "No space left on device")

    monkeypatch.setattr(j.Journal, "append", full)
    with pytest.raises(RunError, match=r"uniform_12 could not be put on record: No space left on device"):
        save_average(run, made)
    assert (run.folder / "journal.jsonl").read_bytes() == before
    assert not list(run.folder.rglob("uniform_12*"))
    assert not (run.folder / "lock").exists()


def test_it_is_saved_though_best_cannot_be_moved(run: Run) -> None:
    (run.folder / "best").unlink(missing_ok=True)
    (run.folder / "best").mkdir()
    saved = save_average(run, average(subjects(run)))
    found = Run(run.folder)
    found.checkpoints[saved.name].verify()
    (fault,) = [event for event in found.log if isinstance(event, j.FaultedEvent)]
    assert fault.message == "the link `best` could not be moved: a folder stands in its place; move that away"


def test_shares_sum_to_one() -> None:
    assert shares(4, "uniform") == (0.25,) * 4
    assert shares(3, "ema", 0.5) == pytest.approx((1 / 7, 2 / 7, 4 / 7))


def test_loss_does_not_need_torch_once_it_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = average(subjects(run))

    def refuse(*_: object) -> Callable[..., None]:
        raise AssertionError("opened the corpus")

    monkeypatch.setattr(averaging, "opened", refuse)
    assert average(subjects(run)).loss == first.loss

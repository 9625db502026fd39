"""The audit: ways in which a best goes wrong, each with its verdict and, where history tells, its cause."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.resources import resource
from nexus_tui.runs import journal as j
from nexus_tui.runs.audit import Judged, Verdict, as_dict, audit
from nexus_tui.runs.causes import why_stale
from nexus_tui.runs.checkpoints import link_best
from nexus_tui.runs.directions import higher_is_better
from nexus_tui.runs.run import Run

from .conftest import Writer

LOSSES = {200: 3.0, 400: 2.5, 600: 2.0, 800: 2.2, 1000: 2.1}
WEIGHTS = "model.safetensors"


@pytest.fixture
def trained(writer: Callable[..., Writer]) -> Writer:
    """Five checkpoints, step 600 the best, without any claim."""
    w = writer()
    for step, loss in LOSSES.items():
        w.step(step, 4.0 - step / 1000)
        w.save(step)
        w.evaluate(step, loss)
    return w


def link(w: Writer, step: int) -> None:
    """Let the link `best` point to a step, as another trainer might."""
    link_best(w.folder, Run(w.folder).checkpoint(step))


def only(w: Writer, **options: bool) -> Judged:
    (judged,) = audit(Run(w.folder), **options).judged
    return judged


def test_nothing_claims_to_be_the_best(trained: Writer) -> None:
    result = audit(Run(trained.folder))
    assert result.ok
    assert result.judged == []
    assert result.best.step == 600


def test_a_true_best(trained: Writer) -> None:
    link(trained, 600)
    assert (only(trained).verdict, only(trained).reason) == (Verdict.TRUE, "")
    assert audit(Run(trained.folder), verify=True).ok


# The ways in which a best goes wrong ---------------------------------------------------------------------


def test_forgotten_on_resume_as_keras_does(trained: Writer) -> None:
    trained.resume(800)
    for step, loss in ((1200, 2.3), (1400, 2.25), (1600, 2.4)):
        trained.save(step)
        trained.evaluate(step, loss)
    link(trained, 1400)
    judged = only(trained)
    assert judged.verdict is Verdict.STALE
    assert (judged.better.step, judged.by) == (600, pytest.approx(0.25))
    assert judged.cause == "compared only with evaluations after the resume at step 800"


def test_the_reference_log() -> None:
    result = audit(Run(resource("assets", "runs", "shakespeare-byte")))
    (judged,) = result.judged
    assert (judged.claim.name, judged.claim.step) == ("best.bin", 2000)
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 1400)
    assert judged.by == pytest.approx(2.6472 - 2.6312)
    assert judged.cause == "compared only with evaluations after the resume at step 1400"
    assert result.best.step == 1400
    assert not result.ok


def test_always_the_latest_as_nanogpt_does(trained: Writer) -> None:
    link(trained, 1000)
    judged = only(trained)
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 600)
    assert judged.cause.startswith("it is the newest evaluation")


def test_not_updated_after_a_crash(trained: Writer) -> None:
    link(trained, 400)
    judged = only(trained)
    assert judged.verdict is Verdict.STALE
    assert judged.cause == "it was the best until step 600, and has not been updated since"


def test_forgotten_with_the_branch_that_a_resume_left(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((200, 3.0), (400, 2.5), (600, 2.0)):
        w.save(step)
        w.evaluate(step, loss)
    w.resume(400)
    for step, loss in ((700, 2.6), (900, 2.7)):
        w.save(step)
        w.evaluate(step, loss)
    link(w, 400)
    judged = only(w)
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 600)
    assert judged.cause == "step 600 was forgotten when training resumed at step 400"


def test_a_deleted_checkpoint(trained: Writer) -> None:
    link(trained, 600)
    shutil.rmtree(trained.folder / "checkpoints" / "step_600")
    judged = only(trained)
    assert (judged.verdict, judged.claim.step) == (Verdict.MISSING, 600)
    assert judged.reason == "checkpoints/step_600 is not there."
    result = audit(Run(trained.folder))
    assert (result.best.step, result.best_ever.step) == (1000, 600)  # two answers
    assert any("step 600 scored 0.1000 lower, but its weights are gone" in r for r in result.remarks)


def test_a_renamed_folder(trained: Writer) -> None:
    link(trained, 600)
    checkpoints = trained.folder / "checkpoints"
    (checkpoints / "step_600").rename(checkpoints / "the good one")
    judged = only(trained)
    assert judged.verdict is Verdict.MISSING
    assert "its weights are in the good one: rename that back" in judged.reason


def test_weights_that_another_step_has_written_over(trained: Writer) -> None:
    link(trained, 600)
    checkpoints = trained.folder / "checkpoints"
    good, newest = checkpoints / "step_600" / WEIGHTS, checkpoints / "step_200" / WEIGHTS
    good.write_bytes(newest.read_bytes())  # same size: only the hash tells
    judged = only(trained)
    assert judged.verdict is Verdict.MISLABELLED
    assert "the weights in step_600 are those of step_200 (SHA-256)" in judged.reason
    assert audit(Run(trained.folder), hashes=False).ok  # by the manifest alone all is well
    assert "step_600/model.safetensors is damaged" in audit(Run(trained.folder), verify=True).damaged[0]


def test_swapped_folders(trained: Writer) -> None:
    link(trained, 600)
    checkpoints = trained.folder / "checkpoints"
    for before, after in (("step_600", "aside"), ("step_200", "step_600"), ("aside", "step_200")):
        (checkpoints / before).rename(checkpoints / after)
    judged = only(trained, hashes=False)  # each manifest is right about its folder, but not for its name
    assert judged.verdict is Verdict.MISLABELLED
    assert "those of step_200" in judged.reason
    assert len(audit(Run(trained.folder), verify=True).damaged) == 2


def test_a_flipped_bit(trained: Writer) -> None:
    link(trained, 600)
    path = trained.folder / "checkpoints" / "step_600" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    judged = only(trained)
    assert judged.verdict is Verdict.MISLABELLED
    assert "of no checkpoint on record" in judged.reason


def test_equal_losses_are_a_tie(trained: Writer) -> None:
    trained.save(1200)
    trained.evaluate(1200, 2.0)
    link(trained, 1200)
    judged = only(trained)
    assert (judged.verdict, judged.better.step, judged.by) == (Verdict.TIED, 600, 0)
    assert audit(Run(trained.folder)).ok


def test_what_the_windows_cannot_tell_apart_is_a_tie(writer: Callable[..., Writer]) -> None:
    w = writer()
    text = np.random.default_rng(0).normal(2, 0.3, 500)
    noise = np.random.default_rng(1).normal(0, 0.05, 500)
    for step, losses in ((1, text), (2, text + noise - noise.mean() + 0.001), (3, text + noise + 0.1)):
        w.save(step)
        w.evaluate(step, float(losses.mean()), windows=losses)
    link(w, 2)
    assert (only(w).verdict, only(w).better.step) == (Verdict.TIED, 1)
    assert [evaluation.step for evaluation in audit(Run(w.folder)).tied] == [2]
    link(w, 3)
    assert only(w).verdict is Verdict.STALE


def test_a_nan_that_was_never_replaced(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, loss in ((1, math.nan), (2, 2.0), (3, 1.5)):
        w.save(step)
        w.evaluate(step, loss)
    link(w, 1)
    judged = only(w)
    assert (judged.verdict, judged.better.step, judged.by) == (Verdict.STALE, 3, None)
    assert "no finite number" in judged.cause


def test_nothing_but_nan(writer: Callable[..., Writer]) -> None:
    w = writer()
    w.save(1)
    w.evaluate(1, math.nan)
    link(w, 1)
    assert only(w).verdict is Verdict.UNVERIFIABLE


def test_best_by_training_loss(trained: Writer) -> None:
    trained.evaluate(600, 2.0)  # the newest evaluation is now of another step
    link(trained, 1000)
    judged = only(trained)
    assert judged.verdict is Verdict.STALE
    assert judged.cause == "it is the best by training loss, which is another question"


def test_a_score_attached_one_evaluation_late(trained: Writer) -> None:
    trained.journal.append(j.ClaimedEvent(name="best_k", step=800, value=2.0, path="step_800"))
    judged = only(trained)
    assert judged.verdict is Verdict.MISLABELLED
    assert judged.reason == "it shows the score of step 600 (2), but names step 800."
    assert judged.cause == "the score was attached one evaluation late"


def test_a_score_of_no_evaluation(trained: Writer) -> None:
    trained.journal.append(j.ClaimedEvent(name="best_k", step=600, value=1.2345, path="step_600"))
    assert only(trained).verdict is Verdict.UNVERIFIABLE


def test_a_metric_taken_in_the_wrong_direction(writer: Callable[..., Writer]) -> None:
    w = writer()
    for step, wer in ((1, 0.9), (2, 0.5), (3, 0.6)):
        w.save(step)
        w.journal.append(
            j.EvaluatedEvent(
                step=step, checkpoint=f"step_{step}", loss=1.0, protocol="p", metrics={"wer": wer}
            )
        )
    claim = j.ClaimedEvent(name="best", step=1, metric="wer", value=0.9, higher_is_better=True, path="step_1")
    w.journal.append(claim)
    judged = only(w)
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 2)
    assert judged.cause == "wer was taken as better when higher"


def test_evaluated_only_under_another_protocol(trained: Writer) -> None:
    trained.save(1200)
    trained.evaluate(1200, 1.0, protocol="shorter windows")
    link(trained, 600)
    judged = only(trained)
    assert judged.verdict is Verdict.UNVERIFIABLE
    assert "never evaluated as the newest one was" in judged.reason


# Files and folders called best ---------------------------------------------------------------------------


def test_a_copied_file_is_known_by_its_hash(trained: Writer) -> None:
    checkpoints = trained.folder / "checkpoints"
    shutil.copy(checkpoints / "step_1000" / WEIGHTS, trained.folder / "best.safetensors")
    shutil.copytree(checkpoints / "step_600", checkpoints / "best_model")
    found = {judged.claim.name: judged for judged in audit(Run(trained.folder)).judged}
    assert found["best.safetensors"].verdict is Verdict.STALE
    assert found["best.safetensors"].claim.step == 1000
    assert found["checkpoints/best_model"].verdict is Verdict.TRUE


def test_a_copied_folder_whose_weights_are_of_another_step(trained: Writer) -> None:
    checkpoints = trained.folder / "checkpoints"
    shutil.copytree(checkpoints / "step_600", trained.folder / "best-copy")
    shutil.copy(checkpoints / "step_200" / WEIGHTS, trained.folder / "best-copy" / WEIGHTS)
    judged = only(trained)
    assert judged.verdict is Verdict.MISLABELLED
    assert "says that it is step 600, but its weights are those of step 200" in judged.reason


def test_files_that_hold_no_known_weights(trained: Writer) -> None:
    (trained.folder / "best.bin").write_bytes(b"what is this")
    (trained.folder / "best.d").mkdir()
    assert {judged.verdict for judged in audit(Run(trained.folder)).judged} == {Verdict.UNVERIFIABLE}


def test_a_pipe_called_best_is_not_opened(trained: Writer) -> None:
    os.mkfifo(trained.folder / "best.pt")
    assert only(trained).verdict is Verdict.UNVERIFIABLE


def test_other_names_are_no_claims(trained: Writer) -> None:
    for name in ("bestiary.txt", "my_best", "second-best"):
        (trained.folder / name).write_bytes(b"")
    assert audit(Run(trained.folder)).judged == []


# What is printed -----------------------------------------------------------------------------------------


def test_as_dict_is_json_with_steps_and_sentences(trained: Writer) -> None:
    link(trained, 1000)
    row = as_dict(audit(Run(trained.folder)))
    (claim,) = row["claims"]
    assert (row["ok"], row["best_step"], row["best_ever_step"]) == (False, 600, 600)
    assert (claim["verdict"], claim["better_step"], claim["by"]) == ("STALE", 600, pytest.approx(0.1))
    assert any("optimistic" in remark for remark in row["remarks"])


def test_no_cause_is_made_up(trained: Writer) -> None:
    run = Run(trained.folder)
    by_step = {evaluation.step: evaluation for evaluation in run.evaluations}
    scores = {200: 1.0, 400: 5.0, 600: 0.0, 800: 2.0, 1000: 9.0}
    assert why_stale(run, by_step[400], by_step[600], lambda e: scores[e.step]) == ""
    assert "one evaluation late" in why_stale(run, by_step[800], by_step[600], lambda e: scores[e.step])


@pytest.mark.parametrize(
    ("metric", "higher"),
    [
        ("", False), ("eval_loss", False), ("eval_wer", False), ("cer", False), ("val/perplexity", False),
        ("eval_accuracy", True), ("eval_Weighted F1", True), ("eval_bleu", True), ("rouge1", True),
        ("eval_error_rate", False), ("power", True), ("eval_rmse", False), ("eval_answer", True),
    ],
)  # fmt: skip
def test_directions_by_name(metric: str, higher: bool) -> None:
    assert higher_is_better(metric) is higher


def test_an_audit_changes_nothing(trained: Writer) -> None:
    link(trained, 1000)

    def all_files(folder: Path) -> dict[str, tuple[int, int]]:
        return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in folder.rglob("*")}

    before = all_files(trained.folder)
    audit(Run(trained.folder), verify=True)
    assert all_files(trained.folder) == before

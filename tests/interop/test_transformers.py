"""Runs of transformers' Trainer, as they really look."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.interop.opening import open_run
from nexus_tui.interop.trainer_state import checkpoint_step, read_state
from nexus_tui.runs import truth
from nexus_tui.runs.audit import Audit, Verdict, audit, scored_by
from nexus_tui.runs.run import Run, RunError

from .conftest import Output, evaluations, state

LOSSES = {100: 3.0, 200: 2.0, 300: 2.2, 400: 2.1}
SURVEY = Path(__file__).parents[3] / "shared" / "data" / "trainer_states"


def judge(path: Path) -> Audit:
    return audit(open_run(path))


def lone(tmp_path: Path, text: str, name: str = "trainer_state.json") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_folder_is_a_run(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=200, max_steps=1000, save_steps=100)
    run = open_run(out.folder)
    assert (run.name, run.kind, run.foreign) == ("out", "transformers", True)
    assert (run.step, run.total_steps) == (400, 1000)
    assert run.steps["loss"].tolist() == pytest.approx([loss - 0.1 for loss in LOSSES.values()])
    assert [evaluation.loss for evaluation in run.evaluations] == list(LOSSES.values())
    assert [(r.evaluation.step, r.best, r.weights) for r in truth.ranking(run)] == [
        (100, False, "here"), (200, True, "here"), (300, False, "here"), (400, False, "here"),
    ]  # fmt: skip
    assert run.checkpoints == {}  # none that this program could sample from
    (judged,) = audit(run).judged
    assert (judged.verdict, judged.claim.step) == (Verdict.TRUE, 200)
    assert open_run(out.folder / "checkpoint-400").name == "out"


def test_a_stale_pointer(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=400)
    (judged,) = judge(out.folder).judged
    assert (judged.verdict, judged.better.step, judged.by) == (Verdict.STALE, 200, pytest.approx(0.1))


def test_a_pointer_whose_file_is_gone(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=200)
    shutil.rmtree(out.folder / "checkpoint-200")
    result = judge(out.folder)
    assert result.judged[0].verdict is Verdict.MISSING
    assert (result.best.step, result.best_ever.step) == (400, 200)  # two answers


def test_a_checkpoint_whose_weights_were_deleted(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=200)
    (out.folder / "checkpoint-200" / "model.safetensors").unlink()
    assert judge(out.folder).judged[0].verdict is Verdict.MISSING


def test_a_folder_from_which_every_checkpoint_is_gone(output: Callable[..., Output]) -> None:
    out = output()
    (out.folder / "trainer_state.json").write_text(
        state(evaluations(LOSSES), best_model_checkpoint="./out/checkpoint-200", best_metric=2.0)
    )
    result = judge(out.folder)
    assert result.judged[0].verdict is Verdict.MISSING
    assert result.best is None


def test_a_renamed_folder_is_still_true(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=200)
    moved = out.folder.rename(out.folder.with_name("elsewhere"))
    assert judge(moved).judged[0].verdict is Verdict.TRUE


def test_best_model_folder_is_known_by_its_hash(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES)
    shutil.copytree(out.folder / "checkpoint-400", out.folder / "best_model")
    (judged,) = judge(out.folder).judged
    assert (judged.claim.name, judged.claim.step, judged.verdict) == ("best_model", 400, Verdict.STALE)


def test_a_pointer_that_names_another_step_than_its_score(tmp_path: Path) -> None:
    text = state(
        evaluations({100: 3.0, 200: 2.5, 300: 2.0, 400: 2.6}), best_model_checkpoint="r/checkpoint-200",
        best_metric=2.0, best_global_step=300, save_steps=200,
    )  # fmt: skip
    result = judge(lone(tmp_path, text))
    (judged,) = result.judged
    assert (judged.verdict, judged.better.step) == (Verdict.MISLABELLED, 300)
    assert result.best.step == 200  # 300 was never saved
    assert (result.best_ever.step, open_run(tmp_path / "trainer_state.json").name) == (300, tmp_path.name)


def test_a_metric_maximised_by_mistake(tmp_path: Path) -> None:
    rows = evaluations(LOSSES, wer={100: 0.9, 200: 0.5, 300: 0.4, 400: 0.45})
    text = state(rows, best_model_checkpoint="r\\checkpoint-100", best_metric=0.9)
    (judged,) = judge(lone(tmp_path, text)).judged
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 300)
    assert judged.cause == "eval_wer was taken as better when higher"


def test_best_by_another_metric_is_true_and_says_so(tmp_path: Path) -> None:
    rows = evaluations(LOSSES, f1={100: 0.1, 200: 0.5, 300: 0.7, 400: 0.6})
    text = state(rows, best_model_checkpoint="C:\\runs\\checkpoint-300", best_metric=0.7)
    (judged,) = judge(lone(tmp_path, text)).judged
    assert judged.verdict is Verdict.TRUE
    assert judged.reason == "by eval_f1; the lowest validation loss is at step 200."


def test_equal_scores_are_a_tie(tmp_path: Path) -> None:
    rows = evaluations({100: 2.0, 200: 2.5, 300: 2.0})
    text = state(rows, best_model_checkpoint="r/checkpoint-300", best_metric=2.0)
    assert judge(lone(tmp_path, text)).judged[0].verdict is Verdict.TIED


@pytest.mark.parametrize("pointer", ["r/pytorch_model", "checkpoint-", "checkpoint-9999999999999999999", "/"])
def test_a_pointer_to_no_step(tmp_path: Path, pointer: str) -> None:
    text = state(evaluations(LOSSES), best_model_checkpoint=pointer, best_metric=2.0)
    assert judge(lone(tmp_path, text)).judged[0].verdict is Verdict.UNVERIFIABLE


def test_a_score_that_was_never_logged(tmp_path: Path) -> None:
    text = state(evaluations(LOSSES), best_model_checkpoint="checkpoint-200", best_metric=0.123)
    (judged,) = judge(lone(tmp_path, text)).judged
    assert (judged.verdict, "no evaluation on record" in judged.reason) == (Verdict.UNVERIFIABLE, True)


# What the history can look like --------------------------------------------------------------------------


def test_nan_lists_and_words_in_the_history(tmp_path: Path) -> None:
    text = """{"log_history": [
        {"step": 10, "loss": NaN, "grad_norm": Infinity, "learning_rate": 1e-4},
        {"step": 10, "eval_loss": NaN, "eval_thresholds": [0.1, 0.2], "eval_Weighted F1": 0.5, "eval_x": "?"},
        {"step": 20, "loss": "0.5", "learning_rate": null}, {"loss": 1.0}, "words", null, {"step": -1},
        {"step": 30, "eval_loss": 1.5, "eval_Weighted F1": 0.6}
    ], "best_model_checkpoint": "checkpoint-10", "best_metric": NaN}"""
    run = open_run(lone(tmp_path, text))
    assert (len(run.steps), len(run.evaluations)) == (2, 2)
    assert run.series("eval_Weighted F1").value.tolist() == [0.5, 0.6]
    (judged,) = audit(run).judged
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 30)


def test_evaluated_again_after_training_with_the_best_loaded(tmp_path: Path) -> None:
    rows = [
        *evaluations(LOSSES), {"step": 400, "train_runtime": 9.0, "train_loss": 1.0},
        {"step": 400, "eval_loss": 2.0},
    ]  # fmt: skip
    text = state(rows, best_model_checkpoint="checkpoint-200", best_metric=2.0)
    run = open_run(lone(tmp_path, text))
    assert [evaluation.loss for evaluation in run.evaluations] == list(LOSSES.values())
    assert audit(run).judged[0].verdict is Verdict.TRUE
    assert any("evaluated again after training: eval_loss 2" in getattr(e, "text", "") for e in run.log)


def test_several_evaluation_sets_at_one_step(tmp_path: Path) -> None:
    rows = []
    for step, a, b in ((1, 3.0, 1.0), (2, 2.0, 1.5)):
        rows += [{"step": step, "eval_a_loss": a}, {"step": step, "eval_b_loss": b}]
    text = state(rows, best_model_checkpoint="checkpoint-1", best_metric=1.0)
    run = open_run(lone(tmp_path, text))
    assert len(run.evaluations) == 2
    (judged,) = audit(run).judged
    assert (judged.claim.metric, judged.verdict) == (
        "",
        Verdict.TRUE,
    )  # what selects is the loss
    assert run.series("eval_a_loss").value.tolist() == [3.0, 2.0]


def test_a_resume_is_seen_by_steps_or_epochs_that_fall_back(tmp_path: Path) -> None:
    rows = [{"step": s, "epoch": e, "loss": 1.0} for s, e in ((10, 1.0), (20, 2.0), (15, 1.5), (30, 0.5))]
    run = open_run(lone(tmp_path, state(rows)))
    assert [branch.start for branch in run.branches] == [0, 10, 15]
    assert run.steps["step"][run.canonical()].tolist() == [10, 15, 30]
    assert len(run.steps) == 4


def test_abandoned_checkpoints_keep_their_history(output: Callable[..., Output]) -> None:
    out = output()
    first = evaluations({100: 3.0, 200: 1.0, 300: 1.2})
    out.checkpoint(100, first[:2])
    out.checkpoint(300, first)
    for name in ("checkpoint-100", "checkpoint-300"):
        os.utime(out.folder / name / "trainer_state.json", (1000, 1000))
    second = [*first[:2], *evaluations({200: 2.0, 250: 1.9})]
    for step, upto in ((200, second[:4]), (250, second)):
        out.checkpoint(step, upto, best_model_checkpoint="out/checkpoint-250", best_metric=1.9)
    run = open_run(out.folder)
    assert [(e.step, e.loss) for e in run.evaluations] == [
        (100, 3.0), (200, 1.0), (300, 1.2), (200, 2.0), (250, 1.9),
    ]  # fmt: skip
    assert run.steps["step"][run.canonical()].tolist() == [100, 200, 250]
    (judged,) = audit(run).judged
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 300)  # 200 has been written over
    assert judged.cause == "compared only with evaluations after the resume at step 100"


def test_it_follows_a_run_that_goes_on(output: Callable[..., Output]) -> None:
    out = output()
    out.run({100: 3.0})
    run = open_run(out.folder)
    assert not run.refresh()
    out.run(LOSSES, best=200)
    assert run.refresh()
    assert (run.step, len(run.evaluations)) == (400, 4)
    shutil.rmtree(out.folder)
    run.refresh()
    assert run.step == 400  # what has been read stays


# Damage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "damaged: it is no JSON"),
        ('{"log_history": [{"step": 1', "damaged: it is no JSON"),
        ('"log_history"' + "[" * 100_000, "damaged: it is no JSON"),
        ("[" * 100_000 + '"log_history"', "damaged: it is no JSON"),
        ("{", "has no log_history"),
        ("[]", "has no log_history"),
        ('{"log_history": {"step": 1}}', "has no log_history"),
        ('{"log_history": [], "global_step": 1' + "0" * 5000 + "}", "damaged: it is no JSON"),
    ],
)
def test_damage_is_one_sentence(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        open_run(lone(tmp_path, content))


def test_a_file_too_large_to_read_is_refused(tmp_path: Path) -> None:
    path = lone(tmp_path, "")
    os.truncate(path, 1 << 40)
    with pytest.raises(RunError, match="1048576 MiB; only logs of up to 64 MiB are read"):
        open_run(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(["step", "loss", "eval_loss", "eval_f1", "epoch", "learning_rate", "train_runtime"])
rows = st.lists(st.dictionaries(keys | st.text(max_size=6), values, max_size=5) | values, max_size=8)
tops = st.sampled_from(
    ["best_metric", "best_model_checkpoint", "best_global_step", "global_step", "max_steps", "save_steps"]
)


@settings(max_examples=150, deadline=None)
@given(history=rows, fields=st.dictionaries(tops, values | st.just("checkpoint-1"), max_size=6))
def test_no_state_can_crash_it(tmp_path_factory: pytest.TempPathFactory, history: list, fields: dict) -> None:
    path = tmp_path_factory.mktemp("hostile") / "trainer_state.json"
    path.write_text(json.dumps({"log_history": history} | fields))
    run = open_run(path)
    audit(run)
    truth.ranking(run)
    run.canonical()
    for metric in run.metrics:
        run.series(metric)


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("./out/checkpoint-5", 5), ("C:\\a\\checkpoint-7\\", 7), ("checkpoint-0012", 12),
        ("checkpoint-5/x", None),
        ("", None), ("mycheckpoint-5", 5), ("/kaggle/working/checkpoint-٣", None),
    ],
)  # fmt: skip
def test_steps_in_paths(path: str, step: int | None) -> None:
    assert checkpoint_step(path) == step


# Forty that people published -----------------------------------------------------------------------------


@pytest.mark.skipif(not SURVEY.is_dir(), reason="the published states are not part of the project")
def test_forty_published_states_agree_with_their_survey() -> None:
    """All are read; where the survey says something else, it is said here why."""
    survey = list(csv.DictReader((SURVEY / "index.csv").open(newline="")))
    assert len(survey) == 40
    differing = {}
    for row in survey:
        run = open_run(SURVEY / row["file"])
        found = _as_the_survey_says(run, read_state(SURVEY / row["file"]).pointer)
        differing |= {
            (row["repo"].split("/")[0], column): (value, row[column])
            for column, value in found.items()
            if value != row[column] and (column != "best_saved_step" or row[column])
        }
    assert differing == {
        # After training, the best's weights were evaluated again at the last step: not that step's score.
        ("atharva-m", "n_eval"): ("5", "6"),
        ("eleanorgit", "n_eval"): ("4", "5"),
        # Accuracy and weighted recall are one number at every step; which one selected cannot be told.
        ("atharva-m", "metric"): ("eval_accuracy", "eval_recall"),
        # The better evaluation, at 480, was never saved (save_steps 500): no better checkpoint exists.
        ("protaxY", "verdict"): ("TRUE", "STALE"),
        # By the survey's own rule: accuracy is 1.0 at three steps; the lowest loss is not at the named one.
        ("samay-jain", "verdict"): ("BEST BY LOSS DIFFERS FROM BEST BY METRIC", "TRUE"),
        # Word error rate, maximised by mistake: the lowest saved one is at 2000, the highest at 200.
        ("jubaerkhan49", "best_saved_step"): ("2000", "200"),
    }


def _as_the_survey_says(run: Run, pointer: str) -> dict[str, str]:
    result = audit(run)
    claim = result.judged[0].claim if result.judged else None
    verdict = "NO POINTER"
    if pointer:
        (judged,) = result.judged
        verdict = "MISNAMED STEP" if judged.verdict is Verdict.MISLABELLED else judged.verdict.value
        if "the lowest validation loss is at step" in judged.reason:
            verdict = "BEST BY LOSS DIFFERS FROM BEST BY METRIC"
    score = scored_by(claim.metric if claim else "")
    kept = [r.evaluation for r in truth.ranking(run) if r.weights != "gone"]
    saved = min((e for e in kept if score(e) == score(e)), key=lambda e: (score(e), e.step), default=None)
    return {
        "n_train": str(len(run.steps)),
        "n_eval": str(len(run.evaluations)),
        "metric": (claim.metric or "eval_loss") if claim else "",
        "loss_best_step": str(result.best_ever.step) if result.best_ever else "",
        "best_saved_step": str(saved.step) if saved and claim else "",
        "verdict": verdict,
    }


def test_reading_changes_nothing(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=400)

    def everything() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in out.folder.rglob("*")}

    before = everything()
    run = open_run(out.folder)
    audit(run, verify=True)
    run.refresh()
    assert everything() == before


def test_a_copied_folder_whose_times_are_shuffled(output: Callable[..., Output]) -> None:
    out = output()
    out.run(LOSSES, best=200)
    for age, step in enumerate((300, 400, 100, 200)):
        os.utime(out.folder / f"checkpoint-{step}" / "trainer_state.json", (1000 + age, 1000 + age))
    run = open_run(out.folder)
    assert (run.step, len(run.branches), len(run.evaluations)) == (400, 1, 4)
    assert set(run.saved) == {f"checkpoint-{step}" for step in LOSSES}
    assert audit(run).judged[0].verdict is Verdict.TRUE

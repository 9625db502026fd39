"""transformers' own Trainer leaves a stale best behind after a resume, and the audit says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nexus_tui.interop.opening import open_run
from nexus_tui.runs.audit import Verdict, audit

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


class OneNumber(torch.nn.Module):
    """A model that learns one number; its loss is the squared distance to the label."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: "torch.Tensor", labels: "torch.Tensor") -> dict[str, "torch.Tensor"]:
        guess = self.number * x
        return {"loss": ((guess - labels) ** 2).mean(), "logits": guess}


def data(label: float) -> list[dict[str, "torch.Tensor"]]:
    return [{"x": torch.ones(1), "labels": torch.full((1,), label)} for _ in range(8)]


def train(folder: Path, steps: int, label: float, resume: str = "") -> None:
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=steps, learning_rate=0.05, lr_scheduler_type="constant",
        per_device_train_batch_size=4, eval_strategy="steps", eval_steps=4, save_strategy="steps",
        save_steps=4, logging_steps=1, metric_for_best_model="loss", report_to=[], use_cpu=True,
        disable_tqdm=True, seed=1,
    )  # fmt: skip
    trainer = transformers.Trainer(OneNumber(), arguments, train_dataset=data(label), eval_dataset=data(1))
    trainer.train(resume_from_checkpoint=str(folder / resume) if resume else None)


def test_a_resume_makes_the_trainers_best_stale(tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(out, steps=12, label=1)
    first = audit(open_run(out))
    assert [(j.verdict, j.claim.step) for j in first.judged] == [(Verdict.TRUE, 12)]

    # Back to step 4 with other data: checkpoint-12 stays on disk, but the state forgets it.
    train(out, steps=10, label=0.8, resume="checkpoint-4")
    run = open_run(out)
    result = audit(run)
    (judged,) = result.judged
    pointer = json.loads((out / "checkpoint-10" / "trainer_state.json").read_text())["best_model_checkpoint"]
    assert pointer.endswith("checkpoint-10")
    assert (judged.claim.name, judged.claim.step) == ("best_model_checkpoint", 10)
    assert (judged.verdict, judged.better.step) == (Verdict.STALE, 12)
    assert judged.cause == "compared only with evaluations after the resume at step 4"
    assert (result.best.step, [branch.start for branch in run.branches]) == (12, [0, 4])
    assert set(run.saved) == {f"checkpoint-{step}" for step in (4, 8, 10, 12)}
    canonical = run.steps["step"][run.canonical()]
    assert canonical.tolist() == list(range(1, 11))
    assert len(run.steps) == 12 + 6  # nothing that either state logged is lost

    shell = [sys.executable, "-m", "nexus_tui", "audit", str(out)]
    answer = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "STALE  best_model_checkpoint → step 10" in answer.stdout
    assert "step 12 is better" in answer.stdout

"""Steps that are queued: the same as steps that are waited for.

On a GPU as graphs where there is one, on the processor piece by piece where there is none.
"""

import time
from pathlib import Path

import pytest
import torch

from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import open_checkpoint, save_checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training import trainer
from nexus_tui.training.device import CPU, choose
from nexus_tui.training.gpu import GpuLearner, learner_for
from nexus_tui.training.health import DivergedError
from nexus_tui.training.launch import LaunchError
from nexus_tui.training.learner import Kept, Learner, Stepped
from nexus_tui.training.ranks import Alone
from nexus_tui.training.session import Session

DEVICE = choose()
NEAR, SAME = (1e-6, 0.0) if DEVICE == CPU else (1e-4, 1e-4)
"""How far apart two ways to compute a figure may be, and one way twice, which on a GPU adds in any order."""


@pytest.fixture
def small(small: RunConfig) -> RunConfig:
    return changed(small, "budget", precision="fp32")


@pytest.fixture
def dataset(small: RunConfig) -> Dataset:
    return prepare(load_corpus(small.data.corpus), "byte")


def changed(config: RunConfig, table: str, **values: object) -> RunConfig:
    return config.model_copy(update={table: getattr(config, table).model_copy(update=values)})


def queued(config: RunConfig, dataset: Dataset, ranks: Alone | None = None) -> GpuLearner:
    return GpuLearner(config, dataset, DEVICE, ranks, captured=DEVICE != CPU)


def figures(steps: list[Stepped]) -> list[tuple[int, float, float, float]]:
    return [(one.step, one.loss, one.lr, one.grad_norm) for one in steps]


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


@pytest.mark.parametrize("micro_batch", [0, 1, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_queued_steps_are_those_that_are_waited_for(
    small: RunConfig, dataset: Dataset, micro_batch: int, dropout: float
) -> None:
    config = changed(changed(small, "budget", micro_batch=micro_batch), "regularization", dropout=dropout)
    waited, ours = Learner(config, dataset, device=DEVICE), queued(config, dataset)
    expected = [step for _ in range(4) for step in waited.advance()]
    found = [ours.advance() for _ in range(4)] + [ours.settle(), ours.settle()]
    assert [len(each) for each in found] == [0, 1, 1, 1, 1, 0]
    together = figures([step for each in found for step in each])
    for one, other in zip(together, figures(expected), strict=True):
        assert one == pytest.approx(other, rel=NEAR)
    torch.testing.assert_close(weights(ours), weights(waited), rtol=10 * NEAR, atol=NEAR)


def test_a_step_that_would_do_harm_does_none_though_it_is_seen_late(
    small: RunConfig, dataset: Dataset
) -> None:
    learner = queued(small, dataset)
    learner.advance()
    learner.settle()
    weight = learner.model.model.layers[0].input_layernorm.weight  # every step reads it
    before = weights(learner)
    kept = weight.detach()[0].clone()
    with torch.no_grad():
        weight[0] = float("nan")
    learner.advance()  # step 2 finds no number; its update is left out
    with torch.no_grad():
        weight[0] = kept
    with pytest.raises(DivergedError, match="loss of step 2 is nan"):
        learner.advance()  # step 3 would find some, but nothing is updated any more
    assert learner.step == 1
    assert torch.equal(weights(learner), before)
    assert [step.step for step in [*learner.advance(), *learner.settle()]] == [2]  # and it goes on from there
    assert not torch.equal(weights(learner), before)


def test_a_checkpoint_is_gone_on_from(small: RunConfig, dataset: Dataset, tmp_path: Path) -> None:
    learner = queued(small, dataset)
    for _ in range(3):
        learner.advance()
    learner.settle()
    save_checkpoint(tmp_path / "step-3", 3, learner.kept().write)
    expected = [learner.advance(), learner.settle()]
    other = queued(small, dataset)
    other.load(open_checkpoint(tmp_path / "step-3"))
    assert other.advance() == expected[0] == []
    [found], [wanted] = figures(other.settle()), figures(expected[1])
    assert found == pytest.approx(wanted, rel=SAME)
    waited = Learner(small, dataset, device=DEVICE)
    waited.load(open_checkpoint(tmp_path / "step-3"))
    assert figures(waited.advance())[0] == pytest.approx(wanted, rel=NEAR)


@pytest.mark.skipif(DEVICE == CPU, reason="needs a GPU")
@pytest.mark.parametrize(("precision", "near"), [("fp32", 1e-3), ("bf16", 0.05)])
def test_a_gpus_steps_are_the_processors(
    small: RunConfig, dataset: Dataset, precision: str, near: float
) -> None:
    config = changed(small, "budget", precision=precision)
    processor, ours = Learner(config, dataset), queued(config, dataset)
    expected = [step for _ in range(8) for step in processor.advance()]
    found = [step for _ in range(8) for step in ours.advance()] + ours.settle()
    assert [one.loss for one in found] == pytest.approx([one.loss for one in expected], abs=near)
    assert [one.lr for one in found] == [one.lr for one in expected]


def test_without_a_gpu_there_is_none_to_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose() == choose("cpu") == CPU
    with pytest.raises(LaunchError, match=r"torch .* finds no GPU here; --device cpu needs none\."):
        choose("cuda")


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose() == choose("cuda") == torch.device("cuda", 1)
    assert choose("cpu") == CPU
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(LaunchError, match="process 2 of this machine has no GPU: there are 2"):
        choose("cuda")


def test_who_must_know_every_loss_waits_for_it(small: RunConfig, dataset: Dataset) -> None:
    assert type(learner_for(small, dataset, Alone(), CPU)) is Learner


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole runs by steps that are queued and checkpoints that are written aside."""
    monkeypatch.setattr(
        trainer, "learner_for", lambda config, dataset, ranks, _: queued(config, dataset, ranks)
    )


def trained(folder: Path, config: RunConfig, name: str, *acts: c.Act) -> Run:
    session = Session.start(folder, config, name)
    for act in acts:
        session.control.request(act)
    session.join()
    assert session.error is None
    return Run(session.folder)


def evaluated(run: Run) -> list[tuple[str, float]]:
    return [(e.name, e.loss) for e in run.evaluations]


def test_a_run_of_queued_steps_is_recorded_as_any_other(
    tmp_path: Path, small: RunConfig, late: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trained(tmp_path, small, "queued", c.Note("here"), c.Save(), c.ScaleRate(0.5))
    monkeypatch.undo()
    expected = trained(tmp_path, small, "waited", c.Note("here"), c.Save(), c.ScaleRate(0.5))
    assert found.steps["step"].tolist() == list(range(1, 13))
    assert found.steps["loss"].tolist() == pytest.approx(expected.steps["loss"].tolist(), rel=1e-5)
    assert [name for name, _ in evaluated(found)] == [name for name, _ in evaluated(expected)]
    assert [loss for _, loss in evaluated(found)] == pytest.approx([loss for _, loss in evaluated(expected)])
    assert list(found.checkpoints) == list(expected.checkpoints)
    assert (found.folder / "best").resolve() == (
        found.folder / "checkpoints" / expected.folder.joinpath("best").resolve().name
    )
    for checkpoint in found.checkpoints.values():
        checkpoint.verify()


def test_what_is_saved_aside_is_as_it_was(
    tmp_path: Path, small: RunConfig, late: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of a step, though it is written while later steps change the weights."""
    write = Kept.write

    def slowly(self: Kept, folder: Path) -> None:
        time.sleep(0.05)
        write(self, folder)

    monkeypatch.setattr(Kept, "write", slowly)
    run = trained(tmp_path, small, "run")
    ended = run.steps["loss"].tolist()
    for step in (4, 8):
        session = Session.resume(run.folder, step)
        session.join()
        assert Run(session.folder).steps["loss"].tolist()[-4:] == pytest.approx(ended[-4:], rel=1e-6)


def test_a_full_disk_is_said_of_the_step_that_it_befell(
    tmp_path: Path, small: RunConfig, late: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Kept.write

    def full_at_8(self: Kept, folder: Path) -> None:
        if self.state["step"] == 8:
            raise OSError(28, "No space left on device")
        write(self, folder)

    monkeypatch.setattr(Kept, "write", full_at_8)
    run = trained(tmp_path, small, "run")
    assert run.state == "finished"
    assert list(run.checkpoints) == ["step_4", "step_12"]
    assert [e.message for e in run.log if isinstance(e, j.FaultedEvent)] == [
        f"step 8 could not be saved: No space left on device; make room on the disk of {run.folder}; "
        "it trains on, and the next save is tried."
    ]

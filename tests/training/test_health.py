"""Numbers that are none, and losses that jump: training stops or says so, and no weight on disk is harmed."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nexus_tui.__main__ import main
from nexus_tui.config import RunConfig, SpikeConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.data.windows import batch
from nexus_tui.resources import resource
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import CheckpointError, save_checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.training.batches import batch_of
from nexus_tui.training.health import DivergedError, SpikeWatch
from nexus_tui.training.learner import Learner
from nexus_tui.training.schedule import learning_rate
from nexus_tui.training.session import Session

Backward = Callable[[Learner, int], float]


def loss_is(value: float) -> Callable[[Learner, float], float]:
    return lambda learner, loss: value


def gradient_is(value: float) -> Callable[[Learner, float], float]:
    def spoil(learner: Learner, loss: float) -> float:
        learner.model.model.layers[0].mamba.out_proj.weight.grad[0, 0] = value
        return loss

    return spoil


def weight_is(value: float) -> Callable[[Learner, float], float]:
    """Of a token that the text does not have: no step reads it, and only a save can see it."""

    def spoil(learner: Learner, loss: float) -> float:
        with torch.no_grad():
            learner.model.model.embed_tokens.weight[255, 0] = value
        return loss

    return spoil


def spoiled(
    monkeypatch: pytest.MonkeyPatch, how: Callable[[Learner, float], float], at: tuple[int, ...] = (6,)
) -> None:
    """Let the backward pass of some steps end otherwise."""
    backward: Backward = Learner._backward

    def spoiling(self: Learner, step: int) -> float:
        loss = backward(self, step)
        return how(self, loss) if step in at else loss

    monkeypatch.setattr(Learner, "_backward", spoiling)


def trained(folder: Path, config: RunConfig) -> Run:
    session = Session.start(folder, config, "run")
    session.join()
    assert session.error is None, session.error
    return Run(session.folder)


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        (loss_is(math.nan), "the loss of step 6 is nan"),
        (loss_is(math.inf), "the loss of step 6 is inf"),
        (
            gradient_is(math.nan),
            "the gradient of model.layers.0.mamba.out_proj.weight has 1 of 512 numbers that are not finite",
        ),
        (gradient_is(-math.inf), "the gradient of step 6 is not finite (its loss is "),
        (weight_is(math.nan), "after step 8, the weight model.embed_tokens.weight has 1 of 4,096 numbers"),
    ],
)
def test_what_is_no_number_stops_training_before_it_harms_a_weight_on_disk(
    tmp_path: Path,
    small: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Learner, float], float],
    cause: str,
) -> None:
    spoiled(monkeypatch, how)
    run = trained(tmp_path, small)
    told = run.diverged
    assert told is not None
    assert cause in told.cause
    assert run.state == "failed"
    assert run.ended is not None
    assert run.ended.message.startswith("stopped before a harmful update: ")
    assert run.ended.message.endswith("; resume from step 4 with a lower rate.")
    assert (told.checkpoint, list(run.checkpoints)) == ("step_4", ["step_4"])
    assert run.step == told.step - (1 if told.step == 6 else 0)
    run.checkpoint(4).verify()
    assert all(t.isfinite().all() for t in load_file(run.checkpoint(4).path / "model.safetensors").values())


def test_the_batch_before_which_it_stopped_is_on_record(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, loss_is(math.nan))
    run = trained(tmp_path, small)
    told = run.diverged
    assert told is not None
    tokens = prepare(load_corpus(small.data.corpus), "byte").train
    inputs, _ = batch(tokens, 16, 4, small.run.seed, 6)
    assert told.seed == small.run.seed
    assert [tokens[place : place + 16].tolist() for place in told.places] == inputs.tolist()
    assert [text.encode() for text in told.texts] == [bytes(row) for row in inputs.astype(np.uint8)]
    assert all(loss is not None and 0 < loss < 10 for loss in told.losses)
    _, windows = batch_of(run, 6)
    assert tuple((w.place, w.text) for w in windows) == tuple(zip(told.places, told.texts, strict=True))


def test_it_goes_on_from_the_last_good_checkpoint_at_the_rate_that_is_offered(
    tmp_path: Path,
    small: RunConfig,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patched:
        spoiled(patched, loss_is(math.nan))
        toml = tmp_path / "small.toml"
        toml.write_text(small.to_toml())
        patched.setattr(
            "sys.argv", ["nexus-tui", "train", "--model", str(toml), "--name", "run", "--runs", str(tmp_path)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 3
    said = capsys.readouterr().out.splitlines()
    (resume,) = [line.partition(": ")[2] for line in said if line.startswith("resume with a lower rate: ")]
    (look,) = [line.partition(": ")[2] for line in said if line.startswith("see the batch: ")]
    assert resume == f"nexus-tui train --resume run:4 --rate-scale 0.5 --runs {tmp_path}"
    for command in (look, resume):
        monkeypatch.setattr("sys.argv", command.split())
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    assert "run: step 6 with seed 1 learns from 4 windows of 16 tokens" in capsys.readouterr().out
    run = Run(tmp_path / "run")
    assert (run.state, run.step, run.diverged) == ("finished", 12, None)
    rates = run.steps["lr"][run.canonical()].tolist()
    assert rates[4:] == [0.5 * learning_rate(small, step) for step in range(5, 13)]


def test_a_second_time_a_still_lower_rate_is_offered(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexus_tui.runs.recovery import commands

    spoiled(monkeypatch, gradient_is(math.nan))
    run = trained(tmp_path, small)
    session = Session.resume(run.folder, 4, rate_scale=0.5)
    session.join()
    run.refresh()
    assert run.diverged is not None
    assert " --resume run:4 --rate-scale 0.25 " in commands(run, run.diverged)[0]


def test_damaged_weights_and_optimizer_states_are_not_trained_on(tmp_path: Path, small: RunConfig) -> None:
    learner = Learner(small, prepare(load_corpus(small.data.corpus), "byte"))
    learner.advance()

    def spoil(file: str, key: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            learner.kept().write(folder)
            tensors = load_file(folder / file)
            tensors[key].view(-1)[0] = math.inf
            save_file(tensors, folder / file)

        return write

    for file, key in (
        ("model.safetensors", "lm_head.weight"),
        ("optimizer.safetensors", "exp_avg.lm_head.weight"),
    ):
        saved = save_checkpoint(tmp_path / file, 1, spoil(file, key))
        with pytest.raises(
            CheckpointError, match=f"{key} has 1 of 4,096 numbers that are not finite; resume"
        ):
            Learner(small, learner.dataset).load(saved)


# -- spikes -----------------------------------------------------------------------------------------------


def test_a_spike_is_told_by_median_and_median_absolute_deviation() -> None:
    losses = np.random.default_rng(0).normal(2.0, 0.1, 200).tolist()
    watch = SpikeWatch(SpikeConfig(), enumerate(losses, 1))
    window = np.array(losses[-64:])
    median = float(np.median(window))
    limit = median + 6 * 1.4826 * float(np.median(np.abs(window - median)))
    assert watch.since == 0
    assert SpikeWatch(SpikeConfig(), enumerate(losses, 1)).see(201, limit - 1e-6) is None
    spike = watch.see(201, limit + 1e-6)
    assert spike is not None
    assert (spike.median, spike.limit) == pytest.approx((median, limit))
    assert watch.see(202, 9.0) is None, "it is the same spike"
    assert watch.since == 201
    for step in range(203, 213):
        assert watch.see(step, 2.0) is None
    assert watch.since == 0
    assert watch.see(213, 9.0) is not None


@pytest.mark.parametrize("losses", [[2.0] * 100, [*np.linspace(5, 1, 100)], [1.0, 1.0005] * 50])
def test_what_falls_or_stays_is_no_spike(losses: list[float]) -> None:
    watch = SpikeWatch(SpikeConfig())
    assert not any(watch.see(step, loss) for step, loss in enumerate(losses))


def test_no_recorded_run_has_a_spike_by_noise_alone() -> None:
    for folder in sorted(resource("assets", "runs").iterdir()):
        run = Run(folder)
        line = run.canonical()
        told = zip(run.steps["step"][line].tolist(), run.steps["loss"][line].tolist(), strict=True)
        watch = SpikeWatch(SpikeConfig())
        assert not any(watch.see(step, loss) for step, loss in told if math.isfinite(loss)), folder.name


def spiking(small: RunConfig, action: str) -> RunConfig:
    return RunConfig.check(
        {**small.model_dump(), "spike": {"action": action, "window": 8, "deviations": 10.0}}, "test"
    )


def test_a_spike_is_marked_and_training_goes_on(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, lambda learner, loss: loss + 50, at=(9, 10))
    run = trained(tmp_path, spiking(small, "mark"))
    assert run.state == "finished"
    (spike,) = [event for event in run.log if isinstance(event, j.SpikedEvent)]
    assert spike.step == 9
    assert spike.loss > spike.limit > spike.median


def test_a_resumed_run_is_told_the_same_spikes(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, lambda learner, loss: loss + 50, at=(9,))
    config = spiking(small, "mark")
    run = trained(tmp_path, config)
    Session.resume(run.folder, 8).join()
    run.refresh()
    first, second = (event for event in run.log if isinstance(event, j.SpikedEvent))
    assert (first.step, first.loss, first.limit) == (second.step, second.loss, second.limit)


def test_a_spike_may_stop_training_and_what_came_before_it_is_the_last_good_checkpoint(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoiled(monkeypatch, lambda learner, loss: loss + 50, at=(9,))
    run = trained(tmp_path, spiking(small, "stop"))
    assert run.diverged is not None
    assert "the loss of step 9 is a spike" in run.diverged.cause
    assert (run.step, run.state) == (8, "failed")
    assert (list(run.checkpoints), run.diverged.checkpoint) == (["step_4", "step_8"], "step_4")


def test_a_learner_that_diverges_has_the_weights_of_before(
    small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(small, prepare(load_corpus(small.data.corpus), "byte"))
    learner.advance()
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    spoiled(monkeypatch, gradient_is(math.nan), at=(2,))
    with pytest.raises(DivergedError):
        learner.advance()
    assert all(torch.equal(before[name], t) for name, t in learner.model.state_dict().items())
    assert learner.step == 1

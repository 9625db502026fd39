"""Several processes that train one run: what each takes of it, and that together they do what one would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nexus_tui.config import RunConfig
from nexus_tui.data.random import generator
from nexus_tui.runs import journal as j
from nexus_tui.runs.lock import RunLockedError
from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.distributed import RankError, together
from nexus_tui.training.follower import obedient
from nexus_tui.training.launch import Launch, LaunchError, launched, patiently, require_share
from nexus_tui.training.masks import Stream
from nexus_tui.training.optimizer import local, own
from nexus_tui.training.replay import Script
from nexus_tui.training.session import Session

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}


def test_torchrun_says_who_this_process_is() -> None:
    assert launched(environment={}) == Launch()
    assert launched(environment={"RANK": "1", "WORLD_SIZE": "4"}) == Launch()  # of another program
    restarted = {"TORCHELASTIC_RESTART_COUNT": "2", "TORCHELASTIC_MAX_RESTARTS": "3"}
    assert launched(True, TORCHRUN | restarted) == Launch(1, 4, True, 2, 3)
    with pytest.raises(LaunchError, match="divides a model among processes, and this one is alone"):
        launched(True, {})
    with pytest.raises(LaunchError, match="no numbers"):
        launched(environment=TORCHRUN | {"RANK": "one"})


def test_every_process_needs_windows_of_a_batch() -> None:
    require_share(Launch(0, 4), 6)
    require_share(Launch(0, 3, shard=True), 6)
    with pytest.raises(LaunchError, match="a batch of 3 windows cannot be shared among 4 processes"):
        require_share(Launch(0, 4), 3)
    with pytest.raises(LaunchError, match="6 are no multiple of 4"):
        require_share(Launch(0, 4, shard=True), 6)


@pytest.mark.parametrize(("restarts", "tries"), [(0, 1), (1, 4)])
def test_started_again_it_waits_for_the_lock_of_a_machine_that_has_gone(restarts: int, tries: int) -> None:
    slept: list[float] = []

    def begin() -> str:
        if len(slept) < 3:
            raise RunLockedError("run is being trained by process 1 on another")
        return "begun"

    if restarts:
        assert patiently(Launch(restarts=restarts), begin, slept.append) == "begun"
    else:
        with pytest.raises(RunLockedError):
            patiently(Launch(), begin, slept.append)
    assert len(slept) == tries - 1


@pytest.mark.parametrize("each", [1, 7, 16, 33])
@pytest.mark.parametrize(("batch", "at_once"), [(6, 6), (6, 4), (7, 2), (5, 1)])
def test_masks_of_some_rows_are_those_that_one_process_draws(batch: int, at_once: int, each: int) -> None:
    calls = 3
    random, whole = generator(5, "dropout", 9), [[] for _ in range(calls)]
    for first in range(0, batch, at_once):
        rows = min(at_once, batch - first)
        for call in range(calls):
            draws = random.integers(0, 1 << 16, rows * each, dtype=np.uint16)
            whole[call].append(draws.reshape(rows, each))
    stream = Stream(5, 9, calls, batch, at_once)
    for size in range(1, batch + 1):
        for rank in range(size):
            rows = range(batch * rank // size, batch * (rank + 1) // size)
            for call in range(calls):
                drawn = stream.rows(call, rows, each).reshape(-1, each)
                assert (drawn == np.concatenate(whole[call])[rows.start : rows.stop]).all()


@pytest.mark.parametrize(("size", "parts"), [(2, [2, 1]), (4, [1, 1, 1, 0])])
def test_a_sharded_parameter_takes_its_rows_of_a_whole_tensor(size: int, parts: list[int]) -> None:
    whole = torch.arange(6.0).view(3, 2)
    taken = []
    for rank in range(size):
        mesh = SimpleNamespace(size=lambda: size, get_local_rank=lambda rank=rank: rank)
        taken.append(own(whole, SimpleNamespace(device_mesh=mesh)))  # type: ignore[arg-type]
    assert [len(part) for part in taken] == parts
    assert torch.equal(torch.cat(taken), whole)
    assert own(whole, torch.nn.Parameter(whole)) is whole
    assert local(whole) is whole


def test_only_process_0_judges_losses(small: RunConfig) -> None:
    """Another one, resumed, does not know those before: it would refuse an update that process 0 makes."""
    assert small.spike.action != "ignore"
    followed = obedient(small)
    assert followed.spike.action == "ignore"
    assert followed.model_copy(update={"spike": small.spike}) == small


def test_a_process_that_has_gone_is_said_in_one_sentence() -> None:
    torchs = "[/src/gloo/pair.cc:547] Connection closed by peer [127.0.0.1]:9. This is typically caused by"
    with pytest.raises(RankError) as told, together():
        raise RuntimeError(torchs)
    assert str(told.value) == (
        "another process of this training has gone or does not answer (Connection closed by peer "
        "[127.0.0.1]:9); what was saved is whole: start them again with --resume."
    )
    with pytest.raises(RuntimeError, match="can't allocate"), together():
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Process 1 of 2, as torchrun would start it; this process is then 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {"WORLD_SIZE": 2, "RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    process = subprocess.Popen(
        [sys.executable, "-m", "nexus_tui", "train", "--runs", str(tmp_path)],
        env=os.environ | {"RANK": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def losses(run: Run) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return run.steps["loss"][run.canonical()]  # type: ignore[no-any-return]


def test_two_processes_train_as_one_and_what_they_saved_outlives_one(
    tmp_path: Path, small: RunConfig, follower: subprocess.Popen[str]
) -> None:
    tables = small.model_dump()
    tables["budget"]["batch"] = 5  # one has two rows, the other three
    tables["regularization"]["dropout"] = 0.1
    config = RunConfig.check(tables, "test")
    steered = [(6, c.ScaleRate(0.5)), (9, c.Save())]
    alone = Session.start(tmp_path, config, "alone", Script(steered))
    alone.join()
    expected = Run(alone.folder)

    control = Script([*steered, (9, c.Pause())])
    session = Session.start(tmp_path, config, "two", control, Launch(0, 2))
    run = Run(session.folder)
    while session.alive and run.refresh() is not None and "pause" not in acts(run):
        time.sleep(0.01)
    assert session.error is None
    assert follower.poll() is None
    follower.send_signal(signal.SIGTERM)  # it is process 0 who is told to stop
    time.sleep(0.05)
    assert follower.poll() is None
    follower.kill()
    killed = time.monotonic()
    control.request(c.Continue())
    session.join()
    assert time.monotonic() - killed < 5

    run = Run(session.folder)
    assert run.state == "failed"
    assert "another process of this training has gone" in run.ended.message
    assert str(session.error) == run.ended.message
    device = next(event for event in run.log if isinstance(event, j.DeviceEvent))
    assert (device.processes, device.sharded) == (2, False)
    assert [evaluated.step for evaluated in run.evaluations] == [4, 8]
    assert run.newest_checkpoint().step == 9

    resumed = Session.resume(run.folder)
    resumed.join()
    assert resumed.error is None
    run = Run(session.folder)
    assert run.state == "finished"
    assert run.steps["lr"][run.canonical()].tolist() == expected.steps["lr"].tolist()
    assert np.abs(losses(run) - losses(expected)).max() < 1e-5
    pairs = zip(run.evaluations, expected.evaluations, strict=True)
    assert all(abs(one.loss - other.loss) < 1e-5 for one, other in pairs)


def acts(run: Run) -> list[str]:
    return [event.act for event in run.log if isinstance(event, j.ControlledEvent)]

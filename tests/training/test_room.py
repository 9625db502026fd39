"""Memory: what a training needs against what there is, and a clear stop where it runs out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nexus_tui.config import RunConfig
from nexus_tui.lm.hybrid import HybridLM, parameter_count
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training.footprint import TooLargeError, changed, need, parameters, require_room
from nexus_tui.training.health import out_of_memory
from nexus_tui.training.launch import Launch, LaunchError, trains_on_gpu
from nexus_tui.training.learner import Learner
from nexus_tui.training.room import Room, rooms
from nexus_tui.training.session import Session

STATM = "100 50 10 1 0 60 0\n"
GB = 1_000_000_000


def machine(folder: Path, cgroup: str, mounts: str, files: dict[str, str]) -> Path:
    """A root folder with a /proc and a /sys of its own."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/statm").write_text(STATM)
    (folder / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 2000000 kB\n")
    (folder / "proc/self/cgroup").write_text(cgroup)
    (folder / "proc/self/mountinfo").write_text(mounts)
    for name, text in files.items():
        path = folder / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def told(root: Path) -> list[tuple[str, int]]:
    return [(room.of, room.free) for room in rooms(root) if "RLIMIT" not in room.of]


V2 = "30 24 0:26 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
V1 = "31 24 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
STAT2, STAT1 = "anon 1\ninactive_file 100\n", "cache 1\ntotal_inactive_file 100\n"


def test_version_2_groups_limit_with_all_their_parents(tmp_path: Path) -> None:
    files = {
        "user/job/memory.max": "max\n", "user/job/memory.current": "50\n",
        "user/memory.max": "1000\n", "user/memory.current": "400\n", "user/memory.stat": STAT2,
    }  # fmt: skip
    root = machine(tmp_path, "0::/user/job\n", V2, files)
    assert told(root) == [("this machine", 2_048_000_000), ("the control group /user", 700)]


def test_version_1_groups_and_those_beside_an_empty_version_2(tmp_path: Path) -> None:
    files = {
        "memory/job/memory.limit_in_bytes": "1000\n", "memory/job/memory.usage_in_bytes": "400\n",
        "memory/job/memory.stat": STAT1,
        "memory/memory.limit_in_bytes": "9223372036854771712\n", "memory/memory.usage_in_bytes": "9\n",
    }  # fmt: skip
    root = machine(tmp_path, "4:memory:/job\n1:cpu:/\n0::/\n", V1 + V2, files)
    assert told(root)[1:] == [("the control group /job", 700)]


def test_a_container_sees_its_group_as_the_root(tmp_path: Path) -> None:
    mounts = V2.replace(" / /sys", " /docker/abc /sys")
    files = {"memory.max": "1000\n", "memory.current": "400\n"}
    assert told(machine(tmp_path, "0::/docker/abc\n", mounts, files))[1:] == [("the control group /.", 600)]


def test_without_proc_there_is_still_an_answer(tmp_path: Path) -> None:
    assert all(room.free > 0 for room in rooms(tmp_path))


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["model.tie_word_embeddings=true"],
        ["model.attn_layer_period=1", "model.attn_layer_offset=0"],
        ["model.mamba_expand=3", "model.mamba_d_state=5", "model.mamba_d_conv=2"],
    ],
)
def test_parameters_are_counted_without_making_them(settings: list[str]) -> None:
    model = RunConfig.load("nexus-tiny", settings).model
    assert parameters(model) == parameter_count(HybridLM(model))


def test_what_does_not_fit_is_said_with_what_would() -> None:
    config = RunConfig.load("nexus-byte", ["data.window=1024"])
    whole, least = need(config), need(changed(config, 1))
    require_room("a", config, 0, Launch(), [Room(int(whole.total) + 1, 0, "this machine")])
    between = Room(int((whole.total + least.total) / 2), 0, "this machine")
    with pytest.raises(TooLargeError) as error:
        require_room("a", config, 0, Launch(), [between])
    assert str(error.value) == (
        "a needs 1.0 GB of memory to train (108 MB for weights, gradients and optimizer, 929 MB for the "
        "4,096 tokens of a micro-batch), and this machine leaves 698 MB: --micro-batch 2 needs 585 MB for "
        "the same batch; --force tries it as it is."
    )
    require_room("a", changed(config, error.value.micro_batch), 0, Launch(), [between])
    with pytest.raises(TooLargeError, match=r"choose a smaller data\.window or model; --force") as error:
        require_room("a", config, 0, Launch(), [Room(GB // 10, 0, "this machine")])
    assert error.value.micro_batch == 0


def test_on_a_gpu_the_machine_holds_text_and_copies_alone() -> None:
    config = RunConfig.load(
        "nexus-byte", ["data.window=1024", "budget.batch=4096", "budget.micro_batch=4096"]
    )
    beside = need(config, GB // 100, gpu=True)
    assert beside.total < need(config, GB // 100).total / 100
    assert (beside.data, beside.states) == (9 * GB // 100, need(config).states)
    require_room("a", config, GB // 100, Launch(), [Room(GB, 0, "this machine")], gpu=True)
    with pytest.raises(TooLargeError) as error:
        require_room("a", config, GB // 100, Launch(), [Room(GB // 10, 0, "this machine")], gpu=True)
    assert str(error.value) == (
        "a needs 223 MB of this machine's memory to train on a GPU (90 MB for its text, 108 MB for what is "
        "saved of weights and optimizer), and this machine leaves 100 MB: choose a smaller data.window or "
        "model; --force tries it as it is."
    )


def test_several_processes_need_what_each_holds() -> None:
    config = RunConfig.load("nexus-byte")
    alone, shared, divided = (
        need(config, 0, Launch(0, size, shard)) for size, shard in ((1, False), (2, False), (2, True))
    )
    assert divided.states < alone.states < shared.states
    assert shared.activations < alone.activations


def test_a_training_that_is_too_large_is_refused_before_anything_is_written(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_tui.training.footprint.rooms", lambda: [Room(1000, 0, "this machine")])
    with pytest.raises(TooLargeError, match=r"run needs .* and this machine leaves 0 MB"):
        Session.start(tmp_path, small, "run")
    assert not (tmp_path / "run").exists()
    session = Session.start(tmp_path, small, "run", force=True)
    session.join()
    assert Run(session.folder).state == "finished"
    with pytest.raises(TooLargeError):
        Session.resume(session.folder, 4)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((9 << 40,), np.dtype(np.float32)),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("can't start new thread"),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),  # of the driver, a graph or pinned memory
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_that_runs_out_ends_training_in_one_sentence_and_keeps_what_was_saved(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    backward = Learner._backward

    def refused(self: Learner, step: int) -> float:
        if step == 6 and self.config.windows_at_once > 2:
            raise error
        return backward(self, step)

    monkeypatch.setattr(Learner, "_backward", refused)
    session = Session.start(tmp_path, small, "run")
    session.join()
    run = Run(session.folder)
    assert session.error is None
    assert (run.state, run.step) == ("failed", 5)
    assert run.ended is not None
    whose = "the GPU's memory" if isinstance(error, torch.OutOfMemoryError) else "memory"
    assert run.ended.message == (
        f"{whose} ran out; step 4 is kept. Fewer windows at once take less: "
        "nexus-tui train --resume run --micro-batch 2"
    )
    Session.resume(run.folder, micro_batch=2).join()
    run.refresh()
    assert (run.state, run.step) == ("finished", 12)


def test_a_training_on_a_gpu_asks_the_machine_for_less_and_may_be_warned(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = int(need(small, 10_000, gpu=True).total)
    monkeypatch.setattr("nexus_tui.training.footprint.rooms", lambda: [Room(beside, 0, "this machine")])
    with pytest.raises(TooLargeError):
        Session.start(tmp_path, small, "here")
    monkeypatch.setattr("nexus_tui.training.session.trains_on_gpu", lambda _: True)
    monkeypatch.setattr("nexus_tui.training.trainer.of_gpu", lambda _: Room(1000, 0, "this GPU"))
    session = Session.start(tmp_path, small, "there")
    session.join()
    run = Run(session.folder)
    (said,) = [event.text for event in run.log if isinstance(event, j.NotedEvent)]
    assert said.startswith("this may not fit: by an estimate it takes ") and "this GPU leaves 0 MB" in said
    assert run.state == "finished", "it was tried all the same"


def test_where_it_will_train_is_asked_of_torch_only_where_there_is_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    (tmp_path / "dev").mkdir()
    assert not trains_on_gpu(Launch(), tmp_path)
    assert trains_on_gpu(Launch(device="cuda"), tmp_path)
    (tmp_path / "dev" / "nvidiactl").touch()
    assert trains_on_gpu(Launch(), tmp_path)
    assert not trains_on_gpu(Launch(device="cpu"), tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not trains_on_gpu(Launch(), tmp_path), "a driver, and a torch that does not know it"


def test_a_gpu_that_is_not_there_is_said_before_anything_is_written(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(LaunchError, match="finds no GPU here; --device cpu needs none"):
        Session.start(tmp_path, small, "run", launch=Launch(device="cuda"))
    assert not (tmp_path / "run").exists()


def test_other_failures_are_none_of_memory() -> None:
    assert not out_of_memory(RuntimeError("shapes do not fit"))
    assert not out_of_memory(ValueError("can't allocate memory"))
    assert not out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    assert out_of_memory(refused.value)


def test_fewer_windows_at_once_change_losses_by_rounding_alone(small: RunConfig) -> None:
    from nexus_tui.data.corpus import load_corpus
    from nexus_tui.data.dataset import prepare

    dataset = prepare(load_corpus(small.data.corpus), "byte")
    whole, parts = (Learner(config, dataset).advance()[0] for config in (small, changed(small, 1)))
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)
    assert whole.grad_norm == pytest.approx(parts.grad_norm, rel=1e-3)

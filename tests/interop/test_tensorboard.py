"""TensorBoard's event files, byte by byte, and Lightning's folders around them."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.interop.opening import open_run
from nexus_tui.interop.tfevents import EventFile, crc32c, masked, scalars
from nexus_tui.runs import journal as j
from nexus_tui.runs.audit import Judged, Verdict, audit
from nexus_tui.runs.run import RunError

from .conftest import chunk, event, record, simple, tensor, varint, write_events


def test_check_sums_are_those_of_the_format() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    # the first twelve bytes of event files that TensorFlow writes: a record of 24 bytes
    assert (
        masked(crc32c(bytes.fromhex("1800000000000000"))) == struct.unpack("<I", bytes.fromhex("a37f4b22"))[0]
    )


def test_scalars_in_every_form() -> None:
    half, brain = np.float16(0.5).tobytes(), np.float32(1.5).tobytes()[2:]
    message = event(
        7,
        simple("plain", 2.5),
        tensor("float", 1, np.float32(1.25).tobytes()),
        tensor("double", 2, np.float64(0.1).tobytes()),
        tensor("half", 19, half),
        tensor("bfloat16", 14, brain),
        tensor("int", 9, np.int64(-3).tobytes()),
        tensor("listed", 1, more=chunk(5, struct.pack("<f", 4.5))),
        tensor("number", 9, more=varint(10 << 3) + varint(5)),
        simple("nan", math.nan),
    )
    found = {scalar.tag: scalar.value for scalar in scalars(message)}
    assert found == {
        "plain": 2.5, "float": 1.25, "double": 0.1, "half": 0.5, "bfloat16": 1.5, "int": -3.0, "listed": 4.5,
        "number": 5.0, "nan": None,
    }  # fmt: skip
    assert {(scalar.step, scalar.time) for scalar in scalars(message)} == {(7, 1007.0)}


def test_what_is_no_scalar_is_passed_over() -> None:
    vector = tensor("vector", 1, np.ones(2, np.float32).tobytes())
    image = chunk(1, b"image") + chunk(4, b"png")
    words = tensor("text", 7, more=chunk(8, b"words"))
    assert scalars(event(1, vector, image, words)) == []


def test_a_growing_file_is_read_record_by_record(tmp_path: Path) -> None:
    whole = b"".join(record(event(step, simple("loss", step / 2))) for step in range(5))
    path, reader = tmp_path / "events", EventFile(tmp_path / "events")
    path.write_bytes(b"")
    seen = []
    for end in range(0, len(whole) + 1, 13):
        path.write_bytes(whole[:end])
        seen += reader.read()
    path.write_bytes(whole)
    seen += reader.read()
    assert [(scalar.step, scalar.value) for scalar in seen] == [(step, step / 2) for step in range(5)]
    assert (reader.damaged, reader.skipped) == ("", 0)


def test_a_wrong_check_sum_costs_one_record_and_a_wrong_length_the_rest(tmp_path: Path) -> None:
    records = [record(event(step, simple("loss", 1.0))) for step in range(4)]
    records[1] = records[1][:-5] + b"\xff" + records[1][-4:]
    path = tmp_path / "events"
    path.write_bytes(b"".join(records))
    reader = EventFile(path)
    assert [scalar.step for scalar in reader.read()] == [0, 2, 3]
    assert reader.skipped == 1
    path.write_bytes(b"".join(records[:1]) + b"\xff" * 8 + b"".join(records[2:]))
    reader = EventFile(path)
    assert [scalar.step for scalar in reader.read()] == [0]
    assert f"damaged from byte {len(records[0])} on" in reader.damaged


def test_a_record_longer_than_the_file_waits_and_takes_no_memory(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "events"
    path.write_bytes(length + struct.pack("<I", masked(crc32c(length))) + b"x" * 100)
    reader = EventFile(path)
    assert reader.read() == []
    assert not reader.damaged


def test_a_record_larger_than_is_read_at_once_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("nexus_tui.interop.tfevents._AT_ONCE", 256)
    path = tmp_path / "events"
    path.write_bytes(
        record(event(1, simple("loss", 1.0)))
        + record(event(2, chunk(1, b"graph") + b"\0" * 0 + chunk(4, b"x" * 5000)))
        + record(event(3, simple("loss", 3.0)))
    )
    assert [scalar.step for scalar in EventFile(path).read()] == [1, 3]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_event_can_crash_it(data: bytes) -> None:
    scalars(data)
    scalars(chunk(5, chunk(1, data)))
    scalars(chunk(5, chunk(1, chunk(1, b"tag") + chunk(8, data))))


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 200))
def test_no_file_can_crash_it(tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int) -> None:
    good = record(event(1, simple("loss", 1.0)))
    path = tmp_path_factory.mktemp("hostile") / "events"
    path.write_bytes(good + data + good[:cut])
    assert EventFile(path).read()[0].step == 1


# As runs -------------------------------------------------------------------------------------------------


def test_a_folder_is_a_run(tmp_path: Path) -> None:
    rows = [(step, {"train/loss": 3.0 / step, "lr-AdamW": 1e-3, "train/acc": 0.1}) for step in (1, 2, 3)]
    rows += [(2, {"val_loss": 2.0}), (3, {"val_loss": 1.5})]
    write_events(tmp_path / "tb", rows)
    run = open_run(tmp_path / "tb")
    assert (run.kind, run.name, run.state) == ("tensorboard", "tb", "recorded")
    assert run.steps["loss"].tolist() == [3.0, 1.5, 1.0]
    assert run.steps["lr"].tolist() == pytest.approx([1e-3] * 3)
    assert [(e.step, e.loss) for e in run.evaluations] == [(2, 2.0), (3, 1.5)]
    assert run.series("train/acc").step.tolist() == [1, 2, 3]
    (note,) = [e for e in run.log if isinstance(e, j.NotedEvent)]
    assert "training loss = 'train/loss', validation loss = 'val_loss'" in note.text
    assert audit(run).best.step == 3


def test_keras_writes_two_folders_that_are_one_run(tmp_path: Path) -> None:
    for part, losses in (("train", [3.0, 2.0]), ("validation", [3.1, 2.5])):
        write_events(tmp_path / "logs" / part, [(i, {"epoch_loss": loss}) for i, loss in enumerate(losses)])
    run = open_run(tmp_path / "logs")
    assert run.steps["loss"].tolist() == [3.0, 2.0]
    assert [e.loss for e in run.evaluations] == pytest.approx([3.1, 2.5])


def test_a_folder_of_several_runs_is_not_one(tmp_path: Path) -> None:
    for name in ("version_0", "version_1"):
        write_events(tmp_path / name, [(1, {"train_loss": 1.0})])
    with pytest.raises(RunError, match="is no run"):
        open_run(tmp_path)


def test_a_resume_is_a_step_that_falls_back(tmp_path: Path) -> None:
    write_events(tmp_path, [(s, {"loss": 1.0, "val_loss": v}) for s, v in ((1, 3.0), (2, 2.0), (3, 1.0))])
    write_events(
        tmp_path,
        [(s, {"loss": 1.0, "val_loss": v}) for s, v in ((3, 1.5), (4, 1.4))],
        "events.out.tfevents.2.host",
    )
    run = open_run(tmp_path)
    assert [branch.start for branch in run.branches] == [0]  # step 3 was logged twice; nothing fell back
    write_events(tmp_path, [(2, {"loss": 1.0}), (5, {"loss": 1.0})], "events.out.tfevents.3.host")
    assert run.refresh()
    assert [branch.start for branch in run.branches] == [0, 1]
    assert run.steps["step"][run.canonical()].tolist() == [1, 2, 5]
    assert len(run.steps) == 4 + 2


def test_it_follows_a_growing_log(tmp_path: Path) -> None:
    path = write_events(tmp_path, [(1, {"loss": 1.0})])
    run = open_run(tmp_path)
    assert not run.refresh()
    with path.open("ab") as file:
        file.write(record(event(2, simple("loss", 0.5))))
    assert run.refresh()
    assert run.steps["loss"].tolist() == [1.0, 0.5]


def test_damage_is_noted_and_the_rest_is_shown(tmp_path: Path) -> None:
    path = write_events(tmp_path, [(1, {"loss": 1.0}), (2, {"loss": 0.5})])
    with path.open("ab") as file:
        file.write(b"\xff" * 20)
    run = open_run(tmp_path)
    assert len(run.steps) == 2
    assert any("damaged from byte" in getattr(e, "text", "") for e in run.log)


def test_a_log_without_scalars_says_so(tmp_path: Path) -> None:
    write_events(tmp_path, [])
    with pytest.raises(RunError, match="holds no scalars that can be read"):
        open_run(tmp_path)


# Lightning -----------------------------------------------------------------------------------------------

VAL = {99: 2.0, 199: 1.1, 299: 1.3, 399: 1.2}


def lightning(tmp_path: Path, *names: str, listing: str = "") -> Path:
    folder = tmp_path / "version_0"
    write_events(folder, [(step, {"train_loss": 1.0, "val_loss": loss}) for step, loss in VAL.items()])
    (folder / "checkpoints").mkdir()
    for name in names:
        (folder / "checkpoints" / f"{name}.ckpt").write_bytes(b"a pickle that nobody opens")
    if listing:
        (folder / "checkpoints" / "best_k_models.yaml").write_text(listing)
    return folder


def judged(folder: Path) -> dict[str, Judged]:
    return {each.claim.name: each for each in audit(open_run(folder)).judged}


def test_lightning_counts_from_one_and_logs_from_zero(tmp_path: Path) -> None:
    folder = lightning(tmp_path, "epoch=1-step=200-val_loss=1.10", "epoch=3-step=400-val_loss=1.20", "last")
    run = open_run(folder)
    assert {name: saved.step for name, saved in run.saved.items()} == {
        "epoch=1-step=200-val_loss=1.10": 199, "epoch=3-step=400-val_loss=1.20": 399,
    }  # fmt: skip
    assert run.weights("epoch=1-step=200-val_loss=1.10") == "here"
    (claim,) = audit(run).judged
    assert (claim.verdict, claim.claim.step) == (Verdict.TRUE, 199)


def test_lightning_scores_weights_with_a_stale_metric(tmp_path: Path) -> None:
    folder = lightning(tmp_path, "epoch=2-step=300-val_loss=1.10", "epoch=1-step=200-val_loss=2.00")
    found = judged(folder)
    best = found["epoch=2-step=300-val_loss=1.10.ckpt"]
    assert best.verdict is Verdict.MISLABELLED
    assert best.cause == "the score was attached one evaluation late"
    assert found["epoch=1-step=200-val_loss=2.00.ckpt"].verdict is Verdict.MISLABELLED


def test_lightning_forgets_its_scores_when_the_path_changes(tmp_path: Path) -> None:
    folder = lightning(
        tmp_path,
        "epoch=1-step=200",
        "epoch=3-step=400",
        listing="/new/checkpoints/epoch=3-step=400.ckpt: 1.2\n",
    )
    claim = judged(folder)["best_k_models.yaml"]
    assert (claim.verdict, claim.better.step) == (Verdict.STALE, 199)


def test_lightning_lists_a_file_that_is_gone(tmp_path: Path) -> None:
    folder = lightning(tmp_path, "epoch=1-step=200", listing="'x/epoch=9-step=900.ckpt': 0.5\nnonsense\n")
    assert judged(folder)["best_k_models.yaml"].verdict is Verdict.UNVERIFIABLE


def test_csv_logger_folders_open_too(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "epoch=0-step=2-val_loss=1.50.ckpt").write_bytes(b"")
    text = "epoch,step,train_loss,val_loss\n0,0,3.0,\n0,1,2.0,\n0,1,,1.5\n1,3,1.8,\n1,3,,1.6\n"
    (tmp_path / "metrics.csv").write_text(text)
    run = open_run(tmp_path)
    assert run.steps["loss"].tolist() == [3.0, 2.0, 1.8]
    assert [(e.step, e.loss) for e in run.evaluations] == [(1, 1.5), (3, 1.6)]
    assert audit(run).judged[0].verdict is Verdict.TRUE
    assert audit(run).best.step == 1


def test_odd_names_of_checkpoints(tmp_path: Path) -> None:
    folder = lightning(
        tmp_path, "epoch=1-step=200-v1", "step=1e3", "epoch=a-step=b", "=-=", f"step={'9' * 60}", "step=-5"
    )
    (folder / "checkpoints" / "step=300.ckpt").symlink_to("nowhere")
    assert set(open_run(folder).saved) == {"epoch=1-step=200-v1", "step=1e3", "step=300"}

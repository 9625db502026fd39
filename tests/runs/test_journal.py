"""The journal: every event comes back, and damage costs no more than what is damaged."""

import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.runs import journal as j

EVENTS = [
    j.StartedEvent(version="1", parameters=3, corpus_sha256="ab", train_tokens=9, validation_tokens=2),
    j.DeviceEvent(pid=1, host="h", device="cpu", threads=2),
    j.ActivityEvent(step=0, activity="compiling"),
    j.StepEvent(step=1, loss=2.5, lr=1e-3, grad_norm=0.1, tokens=10, seconds=0.5),
    j.SavedEvent(step=1, checkpoint="step_1", sha256="cd", bytes=4),
    j.SavedEvent(step=1, checkpoint="average_1", sha256="ef", parents=("run:step_1@cd",), method="ema 0.5"),
    j.EvaluatedEvent(
        step=1,
        checkpoint="step_1",
        loss=2.0,
        stderr=0.1,
        bits_per_byte=2.9,
        windows=3,
        protocol="p",
        metrics={"accuracy": 0.5},
    ),
    j.HeldoutEvent(step=1, checkpoint="step_1", loss=2.1, stderr=0.2, bits_per_byte=3.0, windows=3),
    j.MeasuredEvent(step=1, values={"router loss": 0.1, "not finite": None}),
    j.ClaimedEvent(name="best.bin", step=1, metric="loss", value=2.0, path="best.bin"),
    j.PredictedEvent(step=1, target=2, value=1.9, low=1.8, high=2.0, method="law", basis="4 evaluations"),
    j.PredictedEvent(step=1, target=2, value=1.9, low=1.8, high=2.0, method="last value", basis="one"),
    j.SampledEvent(step=1, prompt="To be", text="or\nnot\x1b[2J", seed=1),
    j.ControlledEvent(step=1, act="pause"),
    j.NotedEvent(step=1, text="≈ here"),
    j.FaultedEvent(step=1, message="disk"),
    j.SpikedEvent(step=1, loss=4.0, median=2.0, limit=2.5),
    j.DivergedEvent(step=2, cause="nan", seed=1, places=(0, 9), losses=(2.0, None), texts=("a", "b")),
    j.ResumedEvent(step=1, checkpoint="step_1"),
    j.EndedEvent(step=2, reason="finished"),
]


def test_every_kind_of_event_comes_back(tmp_path: Path) -> None:
    journal = j.Journal(tmp_path / "journal.jsonl")
    journal.append(*EVENTS)
    assert j.JournalReader(journal.path).read() == EVENTS
    assert {type(event) for event in EVENTS} == set(j.KnownEvent.__args__)


def test_a_checkpoint_without_parents_is_read_and_written_as_it_always_was(tmp_path: Path) -> None:
    path = tmp_path / "j"
    line = '{"event":"saved","step":1,"checkpoint":"step_1","sha256":"cd","time":"2026-01-01T00:00:00Z"}\n'
    path.write_text(line)
    (event,) = j.JournalReader(path).read()
    assert isinstance(event, j.SavedEvent)
    assert (event.parents, event.method) == ((), "")
    j.Journal(tmp_path / "again").append(event)
    assert (tmp_path / "again").read_text() == line


def test_a_reader_gets_each_event_once(tmp_path: Path) -> None:
    journal, reader = j.Journal(tmp_path / "j"), j.JournalReader(tmp_path / "j")
    seen = []
    for event in EVENTS:
        journal.append(event)
        seen += reader.read()
    assert seen == EVENTS
    assert reader.read() == []


def test_times_are_utc_and_losses_that_are_no_number_come_back_as_none(tmp_path: Path) -> None:
    journal = j.Journal(tmp_path / "j")
    journal.append(j.StepEvent(step=1, loss=math.nan, lr=0.0, grad_norm=math.inf, tokens=0, seconds=0))
    (event,) = j.JournalReader(tmp_path / "j").read()
    assert isinstance(event, j.StepEvent)
    assert event.loss is None
    assert event.grad_norm is None
    assert abs((datetime.now(UTC) - event.time).total_seconds()) < 60


@given(cut=st.integers(0, 400))
def test_a_half_line_is_dropped_by_readers_and_cut_by_the_next_writer(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "j"
    j.Journal(path).append(*EVENTS[:4])
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    before = j.JournalReader(path).read()
    assert before == EVENTS[: whole[:cut].count(b"\n")]
    j.Journal(path).append(EVENTS[-1])
    assert j.JournalReader(path).read() == [*before, EVENTS[-1]]


def test_a_half_line_longer_than_a_block_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "j"
    j.Journal(path).append(EVENTS[0])
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    j.Journal(path).append(EVENTS[1])
    assert j.JournalReader(path).read() == EVENTS[:2]


def test_unknown_kinds_are_kept_and_damaged_lines_counted(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"event":"later","x":1}\nnot json\n\xff\xfe\n\n{"event":"step","step":"one"}\n[1]\n')
    reader = j.JournalReader(path)
    first, second = reader.read()
    assert first == j.UnknownEvent("later", {"event": "later", "x": 1})
    assert isinstance(second, j.UnknownEvent)
    assert reader.damaged == 3


@given(st.binary(max_size=300))
def test_no_line_can_stop_a_reader(line: bytes) -> None:
    j.decode(line)


def test_what_a_full_disk_refuses_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = j.Journal(tmp_path / "j")
    journal.append(EVENTS[0])
    write, room = os.write, [20]

    def full(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        part, room[0] = data[: room[0]], 0
        return write(file, part)

    monkeypatch.setattr(os, "write", full)
    journal.append(EVENTS[1])
    assert isinstance(journal.failure, OSError)
    monkeypatch.setattr(os, "write", write)
    assert j.JournalReader(journal.path).read() == EVENTS[:1]
    journal.append(EVENTS[2])
    assert journal.failure is None
    assert j.JournalReader(journal.path).read() == EVENTS[:3]


def test_a_long_journal_is_read_in_batches_and_nothing_of_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = tmp_path / "j", tmp_path / "plain"
    j.Journal(path).append(*EVENTS * 20)
    odd = [b'{"event":"later","x":1}\n', b"not json\n", b"\r\n", b"[" * 5000 + b"\n", b'{"event":"step"']
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:100], *odd[:4], *lines[100:], odd[4]]))
    plain.write_bytes(path.read_bytes())
    expected = [event for line in [*lines[:100], odd[0], *lines[100:]] if (event := j.decode(line))]
    reader = j.JournalReader(path)
    assert reader.read() == expected and reader.damaged == 2
    for size in (64, 1000):
        monkeypatch.setattr(j, "_BATCH", size)
        reader = j.JournalReader(path)
        batches = list(reader.batches())
        assert [event for batch in batches for event in batch] == expected and len(batches) > 5
        assert reader.damaged == 2 and reader.read() == []


def test_a_step_that_no_number_of_ours_can_hold_is_not_understood_and_kept() -> None:
    event = j.decode(b'{"event":"step","step":100000000000000000000,"loss":1.0,"lr":0.1}')
    assert isinstance(event, j.UnknownEvent) and event.event == "step"


def test_a_writer_that_finds_another_s_line_writes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = j.Journal(path)
    first.append(j.NotedEvent(step=1, text="mine"))
    second = j.Journal(path)
    second.append(j.NotedEvent(step=1, text="theirs"))
    written = path.read_bytes()
    for _ in range(2):
        with pytest.raises(j.JournalTakenError, match=r"another process writes .*journal.jsonl too, so this"):
            first.append(j.NotedEvent(step=2, text="mine"))
    assert path.read_bytes() == written
    second.append(j.NotedEvent(step=2, text="theirs"))
    assert [event.text for event in j.JournalReader(path).read()] == ["mine", "theirs", "theirs"]


def test_a_deleted_journal_is_written_anew_with_all_that_it_held(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    path.parent.mkdir()
    journal = j.Journal(path)
    journal.append(j.NotedEvent(step=1, text="before"))
    path.unlink()
    path.parent.rmdir()
    assert journal.deleted
    journal.append(j.NotedEvent(step=2, text="meanwhile"))
    journal.restore()
    assert not journal.deleted
    journal.append(j.NotedEvent(step=3, text="after"))
    assert [event.text for event in j.JournalReader(path).read()] == ["before", "meanwhile", "after"]
    path.unlink()
    path.write_text("another's")
    with pytest.raises(FileExistsError):
        journal.restore()
    assert path.read_text() == "another's"

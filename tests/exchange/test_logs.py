"""Logs and tables of a journal: as other tools write them, and read back as what was on record."""

import errno
import math
import os
import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from nexus_tui.exchange import event_file
from nexus_tui.exchange.event_file import EventFile, content, file_name, header, record, write_events
from nexus_tui.exchange.logged import Row, Rows, events_of
from nexus_tui.exchange.mirror import Mirror
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.exchange.records import export_record
from nexus_tui.exchange.tools import check
from nexus_tui.exchange.wandb_log import WandbLog
from nexus_tui.interop.opening import open_run
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from tests.analysis.tiny import configuration, trained


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose last steps were trained twice, mirrored all the while."""
    folder = tmp_path_factory.mktemp("resumed")
    run = trained(folder / "runs", configuration(folder), "resumed")
    for steps in (0, 11):
        session = Session.resume(run.folder, 8, steps)
        mirror = Mirror(session, "tensorboard")
        session.join()
        mirror.join()
        assert not mirror.failure
    return Run(run.folder)


def events_file(run: Run) -> Path:
    (path,) = (run.folder / "tensorboard").iterdir()
    return path


def test_records_are_those_of_tensorboard_s_own_writer():
    """To the byte what tensorboard 2.21's RecordWriter writes of these events."""
    at = j.NotedEvent(step=0, text="", time=j.datetime.fromtimestamp(1.5, UTC))
    assert header(at).hex() == (
        "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c"
    )
    assert record(Row(300, 1.5, {"train/loss": 2.5, "eval/loss": math.nan})).hex() == (
        "33000000000000000ca7205609000000000000f83f10ac022a250a110a0a747261696e2f6c6f737315000020400a100a09"
        "6576616c2f6c6f7373150000c07f3f6db3b6"
    )
    assert record(Row(7, 1.5, resumed=True)).hex() == (
        "0f000000000000006d532b0909000000000000f83f10083a0208019571c7d1"
    )
    assert record(Row(7, 1.5, texts={"note": "héllo"})).hex() == (
        "31000000000000009d8383e909000000000000f83f10072a240a220a046e6f746542100807120412020801420668c3a96c6c6f"
        "4a080a060a047465787456fc0f34"
    )


def test_our_reader_finds_the_same_numbers(resumed: Run, tmp_path: Path):
    write_events(resumed, tmp_path / file_name(events_of(resumed)[0]))
    back = open_run(tmp_path)
    assert len(resumed.branches) == len(back.branches) == 3
    for metric in ("loss", "lr", "grad_norm", "validation_loss"):
        ours, theirs = resumed.series(metric), back.series(metric)
        assert ours.step.tolist() == theirs.step.tolist(), metric
        assert ours.branch.tolist() == theirs.branch.tolist(), metric
        np.testing.assert_array_equal(np.float32(ours.value), np.float32(theirs.value), metric)
    assert back.evaluations[0].event.metrics["eval/bits_per_byte"] == pytest.approx(
        resumed.evaluations[0].bits_per_byte
    )


def test_a_mirror_survives_resumes_without_duplicates(resumed: Run):
    assert events_file(resumed).read_bytes() == content(events_of(resumed))
    assert sum(row.resumed for row in Rows().take(events_of(resumed))) == 2


@pytest.mark.parametrize("damage", ["cut", "half", "flipped", "longer", "empty", "gone"])
def test_a_mirror_that_is_behind_or_damaged_is_made_right(damage: str, resumed: Run, tmp_path: Path):
    events = events_of(resumed)
    right, path = content(events), tmp_path / file_name(events[0])
    wrong = {
        "cut": right[:100],
        "half": right[: len(right) // 2],
        "flipped": right[:500] + bytes([right[500] ^ 1]) + right[501:],
        "longer": right + b"more",
        "empty": b"",
        "gone": None,
    }[damage]
    if wrong is not None:
        path.write_bytes(wrong)
    log = EventFile(tmp_path)
    for start in range(0, len(events), 7):
        log.take(events[start : start + 7])
    log.close()
    assert path.read_bytes() == right


def test_a_full_disk_is_waited_for(resumed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    events = events_of(resumed)
    log = EventFile(tmp_path)
    log.take(events[:5])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(event_file, "open_own", full)
        for event in events[5:9]:
            with pytest.raises(OSError, match="No space left"):
                log.take([event])
    log.take(events[9:])
    assert (tmp_path / file_name(events[0])).read_bytes() == content(events)


@pytest.mark.parametrize("link", ["folder", "file"])
def test_nothing_is_written_through_a_link(link: str, resumed: Run, tmp_path: Path):
    events, folder = events_of(resumed), tmp_path / "run" / "tensorboard"
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / file_name(events[0])
    target.write_bytes(b"thesis")
    if link == "folder":
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.mkdir()
        (folder / target.name).symlink_to(target)
    with pytest.raises(OSError, match="it is a link, which is not written through"):
        EventFile(folder).take(events)
    assert target.read_bytes() == b"thesis"


def test_a_failing_mirror_is_a_note_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(_: Path) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("nexus_tui.exchange.mirror.EventFile", broken)
    session = Session.start(tmp_path / "runs", configuration(tmp_path), "run")
    mirror = Mirror(session, "tensorboard")
    session.join()
    mirror.join()
    assert mirror.failure == (
        "the log for tensorboard is behind: no such luck. Training goes on; the journal has it all."
    )
    run = Run(session.folder)
    assert run.state == "finished"
    assert mirror.failure in [event.text for event in run.log if isinstance(event, j.NotedEvent)]


def test_an_average_is_no_point_of_a_curve():
    saved = j.SavedEvent(step=4, checkpoint="uniform_4", parents=("a:step_4@0", "a:step_2@0"))
    scores = [j.EvaluatedEvent(step=4, checkpoint=name, loss=1.0) for name in ("uniform_4", "step_4")]
    assert len(list(Rows().take([saved, *scores]))) == 1


class FakeWandb(ModuleType):
    """Keeps what is logged, in folders called as W&B calls them."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.begun: list[dict[str, object]] = []
        self.logged: list[dict[str, object]] = []
        self.Settings = SimpleNamespace

    def init(self, **options: object) -> "FakeWandb":
        self.begun.append(options)
        self.logged = []
        number = len(self.begun)
        place = Path(str(options["dir"])) / "wandb" / f"offline-run-2026010{number}_000000-{options['id']}"
        (place / "files").mkdir(parents=True)
        self.dir = str(place / "files")
        return self

    def define_metric(self, *_: object, **__: object) -> None:
        pass

    def log(self, values: dict[str, object]) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        pass


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWandb]:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield fake


def test_wandb_has_every_number_once_however_often_it_is_mirrored(resumed: Run, wandb: FakeWandb):
    for _ in range(2):
        log = WandbLog(resumed.folder)
        log.take(events_of(resumed)[:9])
        log.take(events_of(resumed)[9:])
        log.close()
    options = wandb.begun[1]
    assert (options["mode"], options["name"], options["id"]) == ("offline", "resumed", wandb.begun[0]["id"])
    assert [path.name[:20] for path in (resumed.folder / "wandb").iterdir()] == ["offline-run-20260102"]
    losses = [(row["train/global_step"], row["train/loss"]) for row in wandb.logged if "train/loss" in row]
    assert losses == list(zip(resumed.steps["step"], resumed.steps["loss"], strict=True))


def test_what_is_missing_is_named(resumed: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExchangeError, match=r"pip install 'nexus-tui\[wandb\]'"):
        check("wandb")
    with pytest.raises(ExchangeError, match=r"pip install 'nexus-tui\[corpora\]'"):
        export_record(resumed, "parquet", tmp_path / "a.parquet")
    with pytest.raises(ExchangeError, match="--log visdom: choose tensorboard or wandb"):
        check("visdom")
    check("tensorboard")  # ours: needs no package
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "journal.jsonl").touch()
    with pytest.raises(ExchangeError, match="empty has nothing on record yet"):
        export_record(Run(empty), "csv", None)


def test_csv_has_every_digit_and_is_read_back(resumed: Run, tmp_path: Path):
    assert export_record(resumed, "csv", tmp_path / "run.csv") == tmp_path / "run.csv"
    assert export_record(resumed, "csv", None) == (tmp_path / "run.csv").read_text()
    back = open_run(tmp_path / "run.csv")
    for metric in ("loss", "lr", "grad_norm", "validation_loss"):
        assert back.series(metric).step.tolist() == resumed.series(metric).step.tolist()
        assert back.series(metric).value.tolist() == resumed.series(metric).value.tolist()
    with pytest.raises(ExchangeError, match="is there already"):
        export_record(resumed, "csv", tmp_path / "run.csv")
    again = export_record(back, "csv", None)  # another tool's run goes out as ours do
    assert isinstance(again, str) and again.count("\n") == len(resumed.steps) + 1


def test_parquet_has_the_same(resumed: Run, tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    export_record(resumed, "parquet", tmp_path / "run.parquet")
    table = parquet.read_table(tmp_path / "run.parquet")
    assert table["step"].to_pylist() == resumed.steps["step"].tolist()
    assert table["train/loss"].to_pylist() == resumed.steps["loss"].tolist()
    assert table["branch"].to_pylist() == resumed.steps["branch"].tolist()


def test_without_a_place_tensorboard_is_kept_in_the_run(resumed: Run, tmp_path: Path):
    before = events_file(resumed).read_bytes()
    events_file(resumed).write_bytes(before[:333])
    assert export_record(resumed, "tensorboard", None) == resumed.folder / "tensorboard"
    assert events_file(resumed).read_bytes() == before
    place = export_record(resumed, "tensorboard", tmp_path / "logs")
    assert isinstance(place, Path)
    assert next(place.iterdir()).read_bytes() == before

"""What the fuzzer found, each once more: the value, and what is said of it now."""

import json
from pathlib import Path

import pytest

from nexus_tui.data.tokenizer import byte_tokenizer, encode, load_tokenizer
from nexus_tui.interop.opening import open_run
from nexus_tui.runs.audit import Verdict, audit
from nexus_tui.runs.checkpoints import CheckpointError, open_checkpoint
from nexus_tui.runs.filter import Facts, parse
from nexus_tui.runs.journal import NotedEvent
from nexus_tui.runs.report import facts, markdown
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.summary import Summary
from tools.fuzz import seeds
from tools.fuzz.looking import look


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "journal.jsonl").write_bytes(seeds.JOURNAL)
    return tmp_path


def append(run: Path, **fields: object) -> Run:
    with (run / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"time": "2026-01-02T03:06:00Z", **fields}) + "\n")
    return Run(run)


def test_a_whole_number_that_no_float_can_be_is_equal_to_none() -> None:
    summary = Summary("a", config={"optimizer": {"lr": 10**400}})
    assert not parse("lr=5")(Facts(summary, "finished", 0.0))
    assert parse("lr>5")(Facts(summary, "finished", 0.0))


def test_a_hash_on_record_that_is_none_is_shown_as_text(run: Path) -> None:
    told = append(run, event="saved", step=2, checkpoint="step_2", sha256="\x1b]0;x\x07")
    assert "\x1b" not in markdown(facts(told))


def test_a_rate_that_was_scaled_to_nothing_on_record(run: Path) -> None:
    markdown(facts(append(run, event="controlled", step=2, act="rate_scale")))


@pytest.mark.parametrize("steps", [1e308, -3, 0])
def test_a_plan_of_steps_that_cannot_be_is_none(run: Path, steps: float) -> None:
    assert append(run, event="controlled", step=2, act="plan", value=steps).total_steps == 0


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "a\0b", "x" * 300])
def test_a_checkpoint_s_name_leads_out_of_no_folder(run: Path, name: str) -> None:
    told = append(run, event="saved", step=2, checkpoint=name)
    append(run, event="evaluated", step=2, checkpoint=name, loss=1.0)
    look(told)
    assert name not in told.checkpoints
    assert told.window_losses(name) is None


OF = '{"step": 1, "files": {"model.safetensors": {"bytes": %s, "sha256": ""}%s}}'


@pytest.mark.parametrize("content", [
    '{"step": Infinity, "files": {}}', OF % ("1e999", ""),
    OF % ("7", ', "a\\u0000": {"bytes": 1, "sha256": ""}'),
    "[" * 5000, '{"step": 1, "files": []}', '{"step": 1, "files": {}}',
])  # fmt: skip
def test_a_manifest_of_nonsense_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        open_checkpoint(tmp_path)


def test_what_a_tokenizer_was_set_to_cut_off_is_read(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.enable_truncation(3)
    content = json.loads(tokenizer.to_str())
    content["truncation"]["stride"] = 5  # at which the library panics
    content["model"]["vocab"]["xx"] = 256
    (tmp_path / "tokenizer.json").write_text(json.dumps(content).replace('"xx"', '"!!"'))
    assert len(encode(load_tokenizer(tmp_path / "tokenizer.json"), "To be, or not")) == 13


def test_an_infinite_score_in_a_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss,val_loss\n1,3,\n2,2.5,2.6\n")
    (tmp_path / "epoch=0-step=2-val_loss=1e999.ckpt").write_bytes(b"")
    (tmp_path / "epoch=0-step=1-val_loss=2.6.ckpt").write_bytes(b"")
    json.dumps(facts(open_run(tmp_path)), allow_nan=False)


def test_a_file_larger_than_any_checkpoint_is_not_read_to_its_end(run: Path) -> None:
    with (run / "best.bin").open("wb") as file:
        file.truncate(1 << 40)
    judged = audit(Run(run)).judged[0]
    assert judged.verdict is Verdict.UNVERIFIABLE
    assert "more bytes than any checkpoint" in judged.reason


@pytest.mark.parametrize("name, text", [
    ("a.csv", "step,loss\n" + "1,2\n" * 60), ("a.md", "| step | loss |\n|--|--|\n" + "| 1 | 2 |\n" * 60),
    ("a.jsonl", '{"step": 1, "loss": 2}\n' * 60),
])  # fmt: skip
def test_a_table_of_too_many_cells_is_refused(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_tui.interop.table._MOST", 100)
    (tmp_path / name).write_text(text)
    with pytest.raises(RunError, match=rf"{name} has more than 100 cells"):
        open_run(tmp_path / name)


def test_more_numbers_than_anybody_logs_are_not_all_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus_tui.interop.tensorboard._MOST", 3)
    for number in range(3):
        (tmp_path / f"events.out.tfevents.{number}.x").write_bytes(seeds.event_file())
    told = open_run(tmp_path)
    assert any("the rest is not read" in event.text for event in told.log if isinstance(event, NotedEvent))


def test_more_events_and_metrics_than_any_run_has(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_tui.runs.record.MOST_EVENTS", 4)
    monkeypatch.setattr("nexus_tui.runs.record.MOST_METRICS", 0)
    told = Run(run)
    assert len(told.log) == 4
    assert "events of journal.jsonl are passed over" in told.damage_of_record[0]

"""Summaries that are kept: of the very files they were made of, and never more than they are worth."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.runs import summaries
from nexus_tui.runs.journal import JournalReader
from nexus_tui.runs.run import Run
from nexus_tui.runs.store import Runs
from nexus_tui.runs.summaries import Summaries

from .conftest import Writer


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: cache / name)
    monkeypatch.setattr(summaries, "WORTH", 1)


def kept(folder: Path) -> Runs:
    """The runs of a folder as they are after a start that has read them."""
    runs = Runs(folder, summaries=Summaries(folder))
    for run in runs.refresh():
        assert run.summary.known and not run.is_read
    runs.save_summaries()
    return Runs(folder, summaries=Summaries(folder, wait=False))


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: JournalReader) -> None:
        raise AssertionError("a journal was read")

    monkeypatch.setattr(JournalReader, "batches", read)


def test_the_next_start_reads_no_journal(reference_run: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Run(reference_run.folder).summary
    runs = kept(reference_run.folder.parent)
    no_reading(monkeypatch)
    (run,) = runs.refresh()
    assert run.summarised and run.summary == expected
    assert (run.state, run.kind, run.total_steps, run.holder) == ("crashed", "run", 0, None)


def test_one_whose_files_have_changed_is_as_it_was_until_it_is_read(reference_run: Writer) -> None:
    runs = kept(reference_run.folder.parent)
    reference_run.step(2001)
    (run,) = runs.refresh()
    assert not run.summarised and run.summary.step == 2000
    assert runs.summaries and runs.summaries.put(Run(run.folder)).step == 2001
    run.touch()
    assert run.summarised and run.summary.step == 2001


def test_a_best_whose_weights_are_deleted_is_none(reference_run: Writer) -> None:
    runs = kept(reference_run.folder.parent)
    (reference_run.folder / "checkpoints" / "step_1400" / "model.safetensors").unlink()
    (run,) = runs.refresh()
    assert not run.summarised
    assert runs.summaries and runs.summaries.put(Run(run.folder)).best_name == "2,000"


@pytest.mark.parametrize("damage", [b"", b"\x93", b"no msgpack", None])
def test_a_damaged_file_is_none(reference_run: Writer, damage: bytes | None) -> None:
    folder = reference_run.folder.parent
    path = kept(folder).summaries.path  # type: ignore[union-attr]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    (run,) = Runs(folder, summaries=Summaries(folder, wait=False)).refresh()
    assert not run.summarised and not run.summary.known and run.state == "unread"
    assert Runs(folder, summaries=Summaries(folder)).refresh()[0].summary.step == 2000


def test_one_of_another_version_is_none(reference_run: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = reference_run.folder.parent
    kept(folder)
    monkeypatch.setattr(summaries, "_FORMAT", ("2",))
    assert not Runs(folder, summaries=Summaries(folder, wait=False)).refresh()[0].summarised


def test_few_journals_leave_no_file_and_a_cache_that_cannot_be_written_is_no_error(
    reference_run: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "WORTH", 1 << 30)
    runs = kept(reference_run.folder.parent)
    assert runs.summaries and not runs.summaries.path.exists()
    monkeypatch.setattr(summaries, "WORTH", 1)
    runs.summaries.path.parent.parent.mkdir(parents=True)
    runs.summaries.path.parent.write_text("a file where a folder should be")
    kept(reference_run.folder.parent)


def test_what_no_file_can_hold_is_not_kept_and_the_rest_is(
    writer: Callable[..., Writer], reference_run: Writer, tmp_path: Path
) -> None:
    odd = writer("odd\udcff")  # bytes that are no UTF-8
    odd.step(1)
    runs = kept(tmp_path)
    assert {run.name: run.summarised for run in runs.refresh()} == {"odd\udcff": False, "reference": True}


def test_a_run_that_is_gone_is_forgotten(reference_run: Writer, writer: Callable[..., Writer]) -> None:
    other = writer("other")
    other.step(1)
    runs = kept(other.folder.parent)
    assert len(runs.refresh()) == 2
    (other.folder / "journal.jsonl").unlink()
    assert [run.name for run in runs.refresh()] == ["reference"]

"""The text that a run was trained on, and no other."""

from pathlib import Path

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.interop.opening import all_runs
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training import originals
from nexus_tui.training.originals import originals_of
from nexus_tui.training.session import Session


@pytest.fixture
def run(tmp_path: Path, small: RunConfig) -> Run:
    session = Session.start(tmp_path / "runs", small, "small")
    session.join()
    assert not session.error
    return Run(session.folder)


@pytest.fixture(autouse=True)
def forget():
    originals._known.clear()


def test_it_is_the_training_part_and_kept(run: Run, corpus: Path):
    found = originals_of(run)
    whole = corpus.read_bytes()
    assert found.text == whole[: len(found.text)]
    assert 0.89 < len(found.text) / len(whole) < 0.91
    assert originals_of(Run(run.folder)) is found


def test_another_text_by_the_same_name_is_refused(run: Run, corpus: Path):
    corpus.write_text(corpus.read_text() + "more\n")
    with pytest.raises(RunError, match=r"sonnet\.txt is not the text any more that small was trained on"):
        originals_of(run)


@pytest.mark.parametrize("name", ["shakespeare-byte", "shakespeare-bpe"])
def test_a_record_that_does_not_name_its_text_is_refused_in_one_sentence(tmp_path: Path, name: str):
    with pytest.raises(RunError, match=f"^{name} does not say which text it was trained on"):
        originals_of(all_runs(tmp_path).find(name))


def test_a_record_that_names_its_text_has_it(tmp_path: Path):
    assert len(originals_of(all_runs(tmp_path).find("nexus-byte")).text) == 1_003_854


def test_the_newest_two_are_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(originals, "KEPT", 1)
    first = originals_of(run)
    originals_of(all_runs(tmp_path).find("nexus-byte"))
    assert len(originals._known) == 1
    assert originals_of(run) is not first

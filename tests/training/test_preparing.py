"""A training on a corpus that is kept in the cache: the same losses, told of while it is read, and left."""

import json
from pathlib import Path

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.data import corpus as corpora
from nexus_tui.data import windows
from nexus_tui.data.cache import Cancelled
from nexus_tui.runs.journal import EvaluatedEvent, NotedEvent
from nexus_tui.runs.run import Run
from nexus_tui.training import preparing
from nexus_tui.training.control import Control, Stop
from nexus_tui.training.preparing import Preparing
from nexus_tui.training.session import Session, SessionError


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are large from 500 bytes on, windows many from 4 on, and nothing is kept from earlier."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(corpora, "SMALL", 500)
    monkeypatch.setattr(corpora, "_AT_ONCE", 100)


def losses(run: Run) -> list[float]:
    run.refresh()
    return run.steps["loss"].tolist()


def evaluated(run: Run) -> list[tuple[float | None, str]]:
    return [(event.loss, event.protocol) for event in run.log if isinstance(event, EvaluatedEvent)]


def trained(folder: Path, config: RunConfig, name: str) -> Run:
    session = Session.start(folder, config, name)
    session.join()
    assert session.error is None
    return Run(session.folder)


def test_losses_are_those_from_memory(
    tmp_path: Path, small: RunConfig, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = trained(tmp_path, small, "memory")
    request.getfixturevalue("large")
    cached = trained(tmp_path, small, "cached")
    assert losses(cached) == losses(memory)
    cached.refresh()
    memory.refresh()
    assert evaluated(cached) == evaluated(memory)
    assert cached.started and memory.started and not cached.started.shuffle
    assert cached.started.corpus_sha256 == memory.started.corpus_sha256


@pytest.mark.parametrize(("before", "after"), [(4, 1 << 22), (1 << 22, 4)])
def test_resumed_runs_keep_the_order_they_began_with(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    monkeypatch.setattr(windows, "FEW", before)
    run = trained(tmp_path, small, "run")
    first = losses(run)
    assert run.started and run.started.shuffle == ("feistel" if before == 4 else "")
    monkeypatch.setattr(windows, "FEW", after)  # a version that would begin it otherwise
    Session.resume(run.folder, 4).join()
    assert losses(run)[-1] == first[-1]


def test_progress_is_said_ever_more_rarely_and_ends_when_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    said: list[str] = []
    control = Control()
    progress = Preparing(said.append, control)
    for second in range(1000):
        now[0] = float(second)
        progress("reading the corpus", second * 10**6, 10**9)
    assert said[0] == "reading the corpus: 0% of 1,000 MB, about 17 min to go"
    assert said[-1].endswith("about 30 s to go") or "% of 1,000 MB" in said[-1]
    assert 50 < len(said) < 100
    progress("learning the tokens", 0, 0)
    assert said[-1] == "learning the tokens"
    control.request(Stop())
    with pytest.raises(Cancelled):
        progress("learning the tokens", 0, 0)


@pytest.mark.usefixtures("large")
def test_reading_can_be_stopped(tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "PATIENCE", 0.0)
    control = Control()
    wish = control.request(Stop())
    session = Session.start(tmp_path, small, "run", control)
    session.join()
    assert session.error is None
    events = [json.loads(line) for line in (session.folder / "journal.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events][-1] == "ended"
    assert events[-1]["reason"] == "stopped"
    assert wish.step == 0 and not wish.refusal
    assert not list((tmp_path / "cache").rglob("about.json"))
    # It can be gone on with as if nothing had been.
    again = Session.resume(session.folder)
    again.join()
    assert again.error is None and len(losses(Run(session.folder))) == small.budget.steps


@pytest.mark.usefixtures("large")
def test_a_dear_evaluation_is_noted(tmp_path: Path, small: RunConfig) -> None:
    tables = small.model_dump()
    tables["data"]["validation"] = 0.5
    tables["evaluation"]["every"] = 1
    run = trained(tmp_path, RunConfig.check(tables, "test"), "run")
    run.refresh()
    texts = [event.text for event in run.log if isinstance(event, NotedEvent)]
    assert len(texts) == 1 and "a smaller data.validation" in texts[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.json", "There is no tokenizer"),
        ("./", "There is no tokenizer"),
        ("word", "give byte, bpe, or"),
    ],
)
def test_a_wrong_tokenizer_is_said_at_once(tmp_path: Path, small: RunConfig, name: str, message: str) -> None:
    tables = small.model_dump()
    tables["data"]["tokenizer"] = name
    with pytest.raises(Exception, match=message) as error:
        Session.start(tmp_path, RunConfig.check(tables, "test"), "run")
    assert type(error.value) is SessionError or type(error.value).__name__ == "ConfigError"
    assert not (tmp_path / "run").exists()

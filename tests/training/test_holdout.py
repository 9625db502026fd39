"""A last part of the text that no choice has seen: only the winner is scored on it, once."""

from pathlib import Path

import numpy as np
import pytest

from nexus_tui.config import ConfigError, RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.data.windows import split
from nexus_tui.lm.pretrained import load_model
from nexus_tui.runs import journal as j
from nexus_tui.runs import truth
from nexus_tui.runs.audit import audit
from nexus_tui.runs.run import Run
from nexus_tui.training.evaluation import summary, validation
from nexus_tui.training.reevaluate import reevaluate
from nexus_tui.training.session import Session
from tests.conftest import SMALL


def with_holdout(corpus: Path, **more: object) -> RunConfig:
    tables = {name: dict(table) for name, table in SMALL.items()}
    tables["data"] |= {"corpus": str(corpus), "holdout": 0.1, **more}
    return RunConfig.check(tables, "test")


def test_the_parts_cover_the_text_in_order() -> None:
    data = "Größe ".encode() * 100
    parts = split(data, 0.1, 0.15)
    assert parts.train + parts.validation + parts.holdout == data
    assert len(parts.holdout) == pytest.approx(0.15 * len(data), abs=2)
    assert len(parts.validation) == pytest.approx(0.1 * len(data), abs=4)
    for part in (parts.train, parts.validation, parts.holdout):
        part.decode()
    assert split(data, 0.1) == split(data, 0.1, 0.0)
    assert split(data, 0.1).holdout == b""


def test_the_winner_is_scored_once(tmp_path: Path, corpus: Path) -> None:
    config = with_holdout(corpus)
    session = Session.start(tmp_path, config, "run")
    session.join()
    assert session.error is None, session.error
    run = Run(session.folder)
    (event,) = run.heldout
    best = truth.best(run)
    assert event.checkpoint == best.evaluation.name

    dataset = prepare(load_corpus(str(corpus)), "byte", holdout=0.1)
    windows = validation(dataset, 16, "holdout")
    assert event.protocol == windows.protocol != run.evaluations[-1].event.protocol
    losses = np.concatenate(list(windows.losses(load_model(best.checkpoint.path).eval())))
    assert event.loss == pytest.approx(summary(losses)[0], abs=1e-6)
    assert event.windows == len(losses)
    assert isinstance(run.ended, j.EndedEvent)
    assert run.log.index(event) < run.log.index(run.ended)
    assert reevaluate(run, best.checkpoint.name).agrees  # the validation part has moved; it is found again
    (remark,) = [each for each in audit(run).remarks if "kept from choosing it" in each]
    assert f"{event.loss:.4f}" in remark

    again = Session.resume(run.folder, 8)  # trained again, the same weights win
    again.join()
    assert len(Run(run.folder).heldout) == 1


def test_without_a_holdout_nothing_is_scored(tmp_path: Path, small: RunConfig) -> None:
    session = Session.start(tmp_path, small, "run")
    session.join()
    run = Run(session.folder)
    assert run.heldout == []
    assert any("optimistic" in remark for remark in audit(run).remarks)


def test_impossible_shares_are_refused(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="leave nothing to train on"):
        with_holdout(corpus, validation=0.6, holdout=0.4)
    session = Session.start(tmp_path, with_holdout(corpus, holdout=0.001), "run")
    session.join()
    assert "its holdout part has" in Run(session.folder).ended.message

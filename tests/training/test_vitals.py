"""What training asks of the machine."""

import numpy as np
import pytest

from nexus_tui.training import vitals
from nexus_tui.training.vitals import EVERY, Vitals


def test_it_measures_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, spent = [100.0], [7.0]
    monkeypatch.setattr(vitals, "_processor_seconds", lambda: spent[0])
    measured = Vitals(lambda: now[0])
    assert measured.due() == {}
    now[0], spent[0] = 100 + 2 * EVERY, 7 + 3 * EVERY
    values = measured.due()
    assert values["cpu"] == 1.5
    assert measured.due() == {}


def test_memory_is_what_the_process_holds() -> None:
    now = [0.0]
    measured = Vitals(lambda: now[0])
    now[0] = EVERY
    before = measured.due()["memory"]
    held = np.ones(8_000_000)
    now[0] = 2 * EVERY
    more = measured.due()["memory"] - before
    assert 0.8 * held.nbytes < more < 1.5 * held.nbytes

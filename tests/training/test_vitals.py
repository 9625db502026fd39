"""What training asks of the machine."""

import mmap

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
    size = 64 << 20
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # no memory used before
        for page in range(0, size, mmap.PAGESIZE):
            held[page] = 1
        now[0] = 2 * EVERY
        more = measured.due()["memory"] - before
    assert 0.8 * size < more < 1.5 * size

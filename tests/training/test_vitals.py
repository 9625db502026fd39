"""What training asks of the machine."""

import subprocess
import sys

import pytest

from nexus_tui.training import vitals
from nexus_tui.training.vitals import EVERY, Vitals


def test_it_measures_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, spent = [100.0], [7.0]
    monkeypatch.setattr(vitals, "_processor_seconds", lambda: spent[0])
    measured = Vitals(clock=lambda: now[0])
    assert measured.due() == {}
    now[0], spent[0] = 100 + 2 * EVERY, 7 + 3 * EVERY
    values = measured.due()
    assert values["cpu"] == 1.5
    assert measured.due() == {}


def test_memory_is_what_the_process_holds() -> None:
    # In a process of its own: what other tests left behind here is given back at any moment.
    code = """if True:
        from nexus_tui.training.vitals import EVERY, Vitals
        now = [0.0]
        measured = Vitals(clock=lambda: now[0])
        now[0] = EVERY
        before = measured.due()["memory"]
        held = b"1" * (64 << 20)
        now[0] = 2 * EVERY
        print((measured.due()["memory"] - before) / len(held))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.8 < float(done.stdout) < 1.5

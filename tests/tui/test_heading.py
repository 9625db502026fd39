"""What the first line of a run says."""

from pathlib import Path

import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.tui.heading import device


@pytest.mark.parametrize(
    ("processes", "kind", "said"),
    [
        (1, "cpu", "2 cores"),
        (4, "cpu", "4 processes of 2 cores"),
        (4, "a\x1b card", "4 processes of a\N{SYMBOL FOR ESCAPE} card"),
    ],
)
def test_it_says_on_how_much_a_run_is_trained(tmp_path: Path, processes: int, kind: str, said: str) -> None:
    journal = j.Journal(tmp_path / "journal.jsonl")
    journal.append(j.DeviceEvent(pid=1, host="h", device=kind, threads=2, processes=processes))
    journal.close()
    assert device(Run(tmp_path)) == [said]

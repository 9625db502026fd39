"""What the first line of a run says."""

from pathlib import Path

import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.tui.heading import devices, names, status
from nexus_tui.tui.pace import Pace
from tests.tui.fake_runs import FakeRun


@pytest.mark.parametrize(
    ("processes", "kind", "said"),
    [
        (1, "cpu", "2 cores"),
        (4, "cpu", "4 processes of 2 cores"),
        (1, "x86_64", "x86_64"),  # of a loop of one's own
        (1, "NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"),
        (4, "NVIDIA H100 80GB HBM3", "4 × NVIDIA H100 80GB HBM3"),
        (4, "a\x1b card", "4 × a\N{SYMBOL FOR ESCAPE} card"),
    ],
)
def test_it_says_on_how_much_a_run_is_trained(tmp_path: Path, processes: int, kind: str, said: str) -> None:
    journal = j.Journal(tmp_path / "journal.jsonl")
    journal.append(j.DeviceEvent(pid=1, host="h", device=kind, threads=2, processes=processes))
    journal.close()
    assert devices(Run(tmp_path))[0] == said


@pytest.mark.parametrize(
    ("gpu", "model"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "H100 MIG 1g.10gb"),
        ("NVIDIA H100 NVL", "H100 NVL"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A100 80GB PCIe", "A100"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada Generation"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA GeForce GTX 1060 6GB", "GTX 1060"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("Quadro RTX 8000", "RTX 8000"),
        ("AMD Instinct MI300X", "MI300X"),
        ("NVIDIA", "NVIDIA"),
        ("HBM3", "HBM3"),
        ("", ""),
    ],
)
def test_a_gpu_is_called_by_its_model_where_there_is_no_room(gpu: str, model: str) -> None:
    first, *_, last = (*names(gpu), names(gpu)[-1])
    assert (first, last) == (gpu, model)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (
            120,
            " nexus-byte-2  ● training   nexus-byte · tinyshakespeare · 6.74M"
            "       1,941 tok/s · 4 × NVIDIA H100 80GB HBM3 ",
        ),
        (
            100,
            " nexus-byte-2  ● training   nexus-byte · tinyshakespeare · 6.74M"
            "       1,941 tok/s · 4 × H100 80GB HBM3 ",
        ),
        (
            90,
            " nexus-byte-2  ● training   nexus-byte · tinyshakespeare · 6.74M       1,941 tok/s · 4 × H100 ",
        ),
        (80, " nexus-byte-2  ● training   1,941 tok/s · 4 × NVIDIA H100 80GB HBM3 "),
        (50, " nexus-byte-2  ● training   1,941 tok/s · 4 × H100 "),
        (40, " nexus-byte-2  ● training"),
    ],
)
def test_the_first_line_gives_way_without_losing_the_model(tmp_path: Path, width: int, said: str) -> None:
    run = FakeRun(tmp_path / "nexus-byte-2")
    gpu = "NVIDIA H100 80GB HBM3"
    run.append(lambda t: j.DeviceEvent(time=t, pid=1, host="h", device=gpu, threads=2, processes=4))
    run.train(3)
    run.hold()
    line = status(Run(run.folder), Pace(1.055, 1941.0, 60.0), width)
    run.release()
    written = "".join(text for text, _ in line)
    assert written.split() == said.split()
    assert len(written) <= width

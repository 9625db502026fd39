"""The systemd unit: what it starts, and that systemd understands it where its checker is installed."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "docs" / "recipes" / "nexus-train@.service"


def unit() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(delimiters="=", strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def test_it_begins_the_run_and_goes_on_with_it_later(tmp_path: Path) -> None:
    program = tmp_path / "nexus-tui"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    words = shlex.split(unit()["ExecStart"].replace("%i", "night"))
    environment = dict(
        word.split("=", 1) for word in unit()["Environment"].replace("%h", str(tmp_path)).split()
    )

    def started() -> str:
        done = subprocess.run(
            words, env={**environment, "PATH": f"{tmp_path}:/bin:/usr/bin"}, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert started() == "train --model nexus-byte --name night --headless"
    (tmp_path / "runs" / "night").mkdir(parents=True)
    (tmp_path / "runs" / "night" / "journal.jsonl").touch()
    assert started() == "train --resume night --headless"


def test_how_it_ends_is_understood_and_what_would_fail_again_is_not_tried_again() -> None:
    service = unit()
    assert (service["KillSignal"], service["SuccessExitStatus"]) == ("SIGTERM", "130")
    assert (service["Restart"], service["RestartPreventExitStatus"]) == ("on-failure", "2 3")
    assert int(service["TimeoutStopSec"]) > 10


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("nexus-train@.service", "nexus-train@night.service"):
        shutil.copy(UNIT, tmp_path / name)
    command = ["systemd-analyze", "--user", "verify", str(tmp_path / "nexus-train@night.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")

"""The wheel, built and installed into an environment outside the checkout, where the checkout cannot help."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def programs(wheel: Path) -> Path:
    """The programs of an environment with the wheel, whose dependencies are those of this one."""
    place = wheel.with_name("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-compile", str(wheel)], check=True, cwd=place)
    site = next(place.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def ask(programs: Path, *words: str, **env: str) -> str:
    """What a program of the environment says, in an empty folder."""
    empty = programs.parent / "empty"
    empty.mkdir(exist_ok=True)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NEXUS"))}
    program = [str(programs / words[0]), *words[1:]]
    answer = subprocess.run(program, capture_output=True, text=True, cwd=empty, env=plain | env)
    assert answer.returncode == 0, answer.stderr
    assert not list(empty.iterdir())
    return answer.stdout


def test_it_is_small_typed_and_whole(wheel: Path, programs: Path) -> None:
    assert wheel.stat().st_size < 40e6
    script = """
import nexus_tui, pathlib
from nexus_tui.data.tinyshakespeare import corrections
from nexus_tui.resources import model_files, record_folders, resource
from nexus_tui.runs.run import Run
package = pathlib.Path(nexus_tui.__file__).parent
runs = [Run(folder) for folder in record_folders()]
[checkpoint.verify() for run in runs for checkpoint in run.checkpoints.values()]
print(package, (package / "py.typed").is_file(), resource("assets"), len(corrections()), len(model_files()))
print(*(run.name for run in runs if run.checkpoints and (run.folder / "README.md").is_file()))
"""
    first, second = ask(programs, "python", "-P", "-c", script).splitlines()
    package = next(programs.parent.glob("lib/python*/site-packages")) / "nexus_tui"
    assert first.split() == [str(package), "True", str(package / "_data" / "assets"), "33", "5"]
    assert second.split() == ["nexus-bpe-tuned", "nexus-byte-tuned"]


def test_it_lists_what_came_with_it(programs: Path) -> None:
    rows = {row["name"]: row for row in json.loads(ask(programs, "nexus-tui", "runs", "--json"))}
    assert {"nexus-bpe-tuned", "nexus-byte-tuned", "shakespeare-byte"} <= rows.keys()
    folder = Path(rows["nexus-byte-tuned"]["folder"])
    assert folder.is_relative_to(programs.parent) and rows["nexus-byte-tuned"]["best_step"] == 2000


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["compare", "nexus-byte-tuned", ":", "2000", "nexus-by"], ["nexus-byte-tuned", "nexus-byte"]),
        (["compare", "nexus-byte-tuned", ":"], ["2000", "best", "last"]),
    ],
)
def test_bash_is_told_runs_and_what_comes_after_a_colon(
    programs: Path, words: list[str], offered: list[str]
) -> None:
    asked = {"COMP_WORDS": "\n".join(["nexus-tui", *words]), "COMP_CWORD": str(len(words))}
    assert ask(programs, "nexus-tui", _NEXUS_TUI_COMPLETE="complete_bash", **asked).split() == offered


def test_a_shell_that_cuts_no_words_is_told_whole_ones(programs: Path) -> None:
    asked = {
        "_TYPER_COMPLETE_ARGS": "nexus-tui sample nexus-byte-tuned:b",
        "_NEXUS_TUI_COMPLETE": "complete_fish",
    }
    told = ask(programs, "nexus-tui", _TYPER_COMPLETE_FISH_ACTION="get-args", **asked)
    assert told == "nexus-byte-tuned:best\n"


def test_the_sdist_has_what_the_wheel_is_made_of() -> None:
    names = {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    for name in ("pyproject.toml", "LICENSE", "README.md", "models/nexus-byte-tuned/journal.jsonl"):
        assert name in names
    assert not [name for name in names if name.startswith(".ci")]

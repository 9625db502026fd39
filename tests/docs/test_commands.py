"""Every command of README.md, CONTRIBUTING.md and docs/ works as it is written.

Commands of the program are run, page by page and in their order, in a folder that has a run `mine` to begin
with. So that this takes seconds, models are shrunk to a thousandth and steps are divided by 200. What is not
the program (make, benchmarks) is looked up. Where a page shows output, it is compared.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from torch.distributed.run import get_args_parser

from nexus_tui import cli
from nexus_tui.config import RunConfig
from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.resources import model_files
from nexus_tui.training.control import Control, Pause
from nexus_tui.training.session import Session
from tests.conftest import LINES, SMALL

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHRINK = 200
STEPS = re.compile(r"(?<![\w.-])([1-9]\d*00)(?![\w.])")
NEEDS_A_TERMINAL = ("attach", "open")
"""Tried in tests/test_terminal.py and tests/test_hangup.py."""


def _target(words: list[str]) -> bool:
    return re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE) is not None


def _script(words: list[str]) -> bool:
    place = ROOT / (words[2].replace(".", "/") if words[1] == "-m" else words[1])
    return place.is_file() or place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()


def _launch(words: list[str]) -> bool:
    """Whether torchrun takes its options and the program its own; tried in tests/training/test_ranks.py."""
    asked = get_args_parser().parse_args(words[1:])
    assert asked.module and asked.training_script == "nexus_tui"
    name, *options = asked.training_script_args
    typer.main.get_group(cli.app).commands[name].make_context(name, options)
    return True


LOOKED_UP: dict[str, Callable[[list[str]], bool]] = {
    "make": _target,
    "python": _script,
    "torchrun": _launch,
}


@dataclass(frozen=True)
class Command:
    """A line of a page, and what the page says that it prints; empty where it does not say."""

    text: str
    output: str = ""


def commands(page: str) -> Iterator[Command]:
    """The commands of a page: lines of `sh` blocks, and those after `$ ` in `console` blocks."""
    for kind, block in re.findall(r"^```(sh|console)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        if kind == "sh":
            yield from (Command(line) for line in block.replace("\\\n", "").splitlines() if line.strip())
        else:
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                yield Command(*part.split("\n", 1))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text, small models of the real names, and two runs of ten steps, all of them kept."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "models").mkdir()
    (folder / "sonnet.txt").write_text("".join(f"{number} {LINES}" for number in range(60)))
    (folder / "my.txt").write_text((folder / "sonnet.txt").read_text())
    _corpora(folder)
    tables: dict[str, Any] = {name: dict(table) for name, table in SMALL.items()}
    tables["data"]["corpus"] = str(folder / "sonnet.txt")
    tables["budget"]["steps"] = 2000 // SHRINK
    tables["schedule"]["shape"] = "constant"
    tables["evaluation"]["every"] = tables["checkpoint"]["every"] = tables["schedule"]["warmup"] = 1
    config = RunConfig.check(tables, "test")
    for name in model_files():
        (folder / "models" / f"{name}.toml").write_text(config.to_toml())
    for name in ("mine", "other"):
        Session.start(folder / "runs", config, name).join()
    return folder


def _corpora(folder: Path) -> None:
    """The corpora of docs/corpora.md: a folder, JSON lines, and a tokenizer of 4,096 ids."""
    text = (folder / "sonnet.txt").read_text()
    (folder / "texts").mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / "texts" / name).write_text(text)
    (folder / "stories.jsonl").write_text("".join(json.dumps({"story": text}) + "\n" for _ in range(3)))
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"{number} of no use" for number in range(4096 - 256)])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture
def shell(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], str]:
    """Runs a command of the program in that folder, and gives what it printed."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NEXUS_RUNS", raising=False)
    monkeypatch.setattr("nexus_tui.data.cache.cache_folder", lambda: place / "cache")
    small = {path.stem: path for path in (place / "models").iterdir()}
    monkeypatch.setattr("nexus_tui.config.model_files", lambda: small)

    def run(words: list[str]) -> str:
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        try:
            cli.main()
        except SystemExit as end:
            printed = capsys.readouterr()
            status = 1 if "shakespeare-byte" in words else 0  # its best.bin is stale, and audit's answer no
            assert end.code in (0, None, status), f"{' '.join(words)}: {printed.err or printed.out}"
            return printed.out
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_of_a_page_works(page: Path, place: Path, shell: Callable[[list[str]], str]) -> None:
    detached: dict[str, Session] = {}
    for command in commands(page.read_text("utf-8")):
        words = shlex.split(command.text, comments=True)
        if not words or words[0] != "nexus-tui":
            assert not words or LOOKED_UP[words[0]](words), command.text
            continue
        if not command.output:
            words = [STEPS.sub(lambda steps: str(int(steps[1]) // SHRINK), word) for word in words]
        if len(words) == 1 or words[1] in NEEDS_A_TERMINAL:
            continue
        if "--name" in words:
            shutil.rmtree(place / "runs" / words[words.index("--name") + 1], ignore_errors=True)
        if "--detach" in words:  # in this process instead: a fork would have its threads, too
            name = words[words.index("--name") + 1]
            detached[name] = _waiting(place, name)
            continue
        if "--resume" in words and words[3] in detached:
            session = detached.pop(words[3])
            session.stop()
            session.join()
        printed = shell(words)
        if command.output:
            assert _squeezed(printed) == _squeezed(command.output), command.text
    for session in detached.values():
        session.stop()
        session.join()


def _waiting(place: Path, name: str) -> Session:
    """A run that waits before its second step for whatever is asked of it."""
    control = Control()
    control.request(Pause())
    config = RunConfig.load("nexus-tiny")
    return Session.start(place / "runs", config, name, control)


def _squeezed(text: str) -> list[str]:
    """Lines without what only lines them up."""
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines() if line.strip()]

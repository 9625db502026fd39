"""The real program in a real pseudo-terminal, by keyboard: new run, watch, compare, sample, quit, resume."""

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pexpect
import pyte
import pytest

from nexus_tui.config import RunConfig
from nexus_tui.runs.comparison import Subject, compare
from nexus_tui.runs.run import Run
from nexus_tui.training.session import Session
from tests.tui.fake_runs import FakeRun

ROWS, COLUMNS = 24, 80
LEFT, HOME = "\x1b[D", "\x1b[H"


class Terminal:
    """A program and the screen that it has drawn."""

    def __init__(self, *command: str, env: dict[str, str]) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self.process = pexpect.spawn(
            sys.executable, ["-m", "nexus_tui", *command], dimensions=(ROWS, COLUMNS), env=env, timeout=5
        )
        self.process.delaybeforesend = None

    def text(self) -> str:
        """What stands on the screen, once nothing has come for a moment."""
        while self._read(0.05):
            pass
        return "\n".join(self._screen.display)

    def _read(self, seconds: float) -> bool:
        """Draw what comes within so many seconds; whether anything did."""
        try:
            self._stream.feed(self.process.read_nonblocking(65_536, timeout=seconds))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        return True

    def wait(self, pattern: str, seconds: float = 60) -> str:
        """The screen, once it matches."""
        return self.until(lambda text: re.search(pattern, text) is not None, pattern, seconds)

    def until(self, holds: Callable[[str], bool], what: str, seconds: float = 60) -> str:
        end = time.monotonic() + seconds
        while not holds(text := self.text()):
            assert time.monotonic() < end, f"no {what!r} on the screen:\n{text}"
        return text

    def press(self, *keys: str) -> None:
        """Press keys, each once what the one before it changed has been drawn."""
        for key in keys:
            self.process.send(key)
            if key == "\x1b":
                time.sleep(0.12)  # what follows an escape sooner is one key with it
            self._read(0.15)
            self.text()

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    import os

    env = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    env.pop("NO_COLOR", None)
    return lambda *command: Terminal(*command, env=env)


def fill_in_a_new_run(screen: Terminal, corpus: Path, steps: int) -> None:
    """The dialog of `n` up to its last field: the last model, nexus-tiny, and a run named mine."""
    screen.press("n")
    screen.wait("name +nexus-byte-1")
    for model in ("nexus-bpe", "nexus-bpe-tuned", "nexus-byte-tuned", "nexus-tiny"):
        screen.press("\x1b[B")
        screen.wait(f"name +{model}-1")
    screen.press("\t", str(corpus))
    screen.wait(r"corpus .*sonnet\.txt")
    screen.press("\t", str(steps))
    screen.wait(f"steps +{steps}")
    screen.press("\t", "mine")
    screen.wait("name +mine")


def test_the_main_job_by_keyboard(terminal: Callable[..., Terminal], tmp_path: Path, corpus: Path) -> None:
    runs = tmp_path / "runs"
    screen = terminal(str(runs))
    screen.wait("new run")
    fill_in_a_new_run(screen, corpus, steps=60)
    screen.press("\r")
    screen.wait(r"mine +● training")
    screen.wait(r"step +[1-9]\d* / 60")
    screen.wait(r"mine +✓ finished", 120)

    run = Run(runs / "mine")
    assert (run.state, run.step) == ("finished", 60)
    assert list(run.checkpoints) == ["step_50", "step_60"]
    best = min(run.evaluations, key=lambda e: e.loss)
    text = screen.wait(f"★ best {best.loss:.4f}")
    assert f"train {run.evaluations[-1].train_loss:.4f}"[:10] in text

    screen.press("3")
    text = screen.wait(f"★ {best.step} is the best of 2: {best.loss:.4f}")
    for evaluation in run.evaluations:
        assert f"{evaluation.loss:.4f}" in text
    screen.press("\r")
    screen.wait("temperature")
    screen.press("\x12")  # ctrl+r
    screen.wait(r"done +\d+ tokens", 60)
    screen.press("\x1b", "\x1b", "q")
    screen.process.expect(pexpect.EOF, timeout=20)
    screen.process.close()
    assert screen.process.exitstatus == 0


def test_a_training_is_watched_beside_another_run_and_resumes(
    terminal: Callable[..., Terminal], tmp_path: Path, corpus: Path
) -> None:
    """New run, live curve, crosshair, another size, filter, overlay, pause; quit while it trains; resume."""
    runs = tmp_path / "runs"
    older = FakeRun(runs / "older", total=60, every=30).train(60)
    older.end()
    screen = terminal(str(runs))
    screen.wait("older")
    fill_in_a_new_run(screen, corpus, steps=5000)
    screen.press("\r")
    screen.wait(r"step +[1-9][\d,]* / 5,000")

    # What the crosshair reads is what the journal says, and it stays where it is in another size.
    screen.press(LEFT, LEFT)
    text = screen.wait(r"@[\d,]+ .* raw \d\.\d{4}")
    read = re.search(r"@([\d,]+) .* raw (\d\.\d{4})", text)
    assert read and "perplexity" not in text
    run = Run(runs / "mine")
    row = int(np.flatnonzero(run.steps["step"] == int(read[1].replace(",", "")))[0])
    assert f"{run.steps['loss'][row]:.4f}" == read[2]
    screen.resize(120, 36)
    text = screen.wait(r"perplexity(.|\n)*learning rate")
    assert re.search(rf"^ ?step {read[1]}\b", text, re.MULTILINE) and f"raw {read[2]}" in text
    screen.resize(COLUMNS, ROWS)
    screen.until(lambda text: f"@{read[1]} " in text and "perplexity" not in text, "the crosshair")
    screen.press(HOME)
    screen.until(lambda text: " raw " not in text and "● val" in text, "the live curve")

    # The list, some of it, and both runs over each other while one of them grows.
    screen.press("1")
    screen.wait(r"mine +[\d,]+ / 5,000")
    screen.press("/", "name:old step>=6")
    screen.wait(r"1 of \d runs")
    assert not re.search(r"● training +mine", screen.text())
    screen.press("0\r")
    screen.wait(r"1 of \d runs +name:old step>=60")
    screen.press("\x1b")
    screen.wait(r"● training +mine")
    screen.press(HOME, " ", "\x1b[B", " ", "o")
    screen.wait(r"2 runs over each other(.|\n)*● mine \d\.\d+ +■ older \d\.\d+(.|\n)*■ older +finished")
    screen.press("\x1b", "2")
    screen.wait(r"● training")

    screen.press("p")
    screen.wait("paused")
    screen.press("p")
    screen.wait(r"● training")
    screen.press("q")
    screen.wait("save and stop")
    screen.press("s")
    screen.process.expect(pexpect.EOF, timeout=60)
    run.refresh()
    assert run.state == "stopped"
    newest = run.newest_checkpoint()
    assert newest
    assert newest.step == run.step
    stopped_at = run.step

    screen = terminal(str(runs))
    screen.wait("mine")
    screen.press("r")
    screen.until(lambda _: run.refresh() and run.step > stopped_at, "step beyond the stop")
    screen.press("\x03")  # ctrl+c
    screen.until(lambda _: not screen.process.isalive() or "save and stop" in screen.text(), "end")
    if screen.process.isalive():
        screen.press("s")
        screen.process.expect(pexpect.EOF, timeout=60)
    run.refresh()
    assert run.state == "stopped"
    assert [branch.start for branch in run.branches] == [0, stopped_at]


def test_checkpoints_are_compared_by_keyboard(
    terminal: Callable[..., Terminal], tmp_path: Path, small: RunConfig
) -> None:
    """Every section of the compare screen on real weights, then an average that is saved."""
    session = Session.start(tmp_path / "runs", small, "mine")
    session.join()
    assert session.error is None, session.error
    run = Run(tmp_path / "runs" / "mine")
    before, newest = list(run.checkpoints)[-2:]
    screen = terminal(str(tmp_path / "runs"))
    screen.wait("mine")
    screen.press("\r", "3")
    screen.wait("is the best of 3")
    screen.press("\x1b[F", " ", "\x1b[A", " ", "c")
    text = screen.wait("compare 2 checkpoints of mine")
    (pair,) = compare([Subject(run, newest), Subject(run, before)]).pairs
    assert ("cannot be told apart" if pair.verdict == "undecided" else "is better than") in text
    for name in (before, newest):
        assert f"{Subject(run, name).loss:.4f}" in text
    screen.press("\t")
    screen.wait(r"A . +\d\.\d{4} +\d\.\d{4} +-?\d\.\d{4} nats/token *\n *B . +\d\.\d{4}")
    screen.press("\t")
    screen.wait(r"letter inside a word +\d+ %")
    screen.press("i")
    screen.wait(r"token +1 “")
    screen.press("\x1b[B", "\x1b[B", "\r", "\x1b[C")
    screen.wait(r"token +2 “")
    screen.press("l")
    screen.wait(r"how far the weights moved from A . to B")
    screen.wait("inside, over the first")
    screen.press("a")
    screen.wait(r"uniform average +\d\.\d{4} ±")
    screen.press("s", "soup", "\r")
    screen.wait("Saved soup in mine")
    screen.press("w")
    screen.wait("Written to ")
    screen.press("\x1b")
    screen.wait("average of 2")
    screen.press("q")
    screen.process.expect(pexpect.EOF, timeout=20)
    run.refresh()
    assert len(run.saved["soup"].parents) == 2


def test_many_texts_by_keyboard(terminal: Callable[..., Terminal], tmp_path: Path, small: RunConfig) -> None:
    """Mark two checkpoints, write with both, the same one twice, then the prompt at every checkpoint."""
    session = Session.start(tmp_path / "runs", small, "mine")
    session.join()
    assert session.error is None
    screen = terminal(str(tmp_path / "runs"))
    screen.wait("mine")
    screen.press("\r", "3", "\x1b[H", " ", "\x1b[B", " ", "5")
    screen.wait("temperature")
    screen.press("\x07")  # ctrl+g
    screen.wait(r"2 checkpoints × 2 prompts.* done")
    screen.wait("known")  # looked up once the texts are there
    text = screen.wait("reference")
    assert re.search(r"A +(★ )?4 .*B +(★ )?8 ", text)
    assert "bits/byte" in text
    screen.press("\x1b[C", "-", "+")
    screen.wait(r" done")
    screen.wait("no difference")
    screen.press("n")
    screen.wait(r"seed 1 +done")
    screen.press("a", "Shall I", "\x12")
    screen.wait(r"2 checkpoints × 3 prompts.* done")
    screen.press("w")
    screen.wait("Written to")
    grid = next((tmp_path / "state" / "nexus-tui" / "exports").glob("grid-*.md")).read_text()
    assert grid.count("| Shall I | ") == 3
    screen.press("\x1b")
    screen.wait("temperature")
    screen.press("\x05")  # ctrl+e
    screen.wait(r"evolution +mine +3 checkpoints.* done")
    screen.press("\x1b[H", "\t", "]", "\r")
    screen.wait("temperature")
    screen.wait("Shall")
    screen.press("\x1b", "\x1b", "q")
    screen.process.expect(pexpect.EOF, timeout=20)
    screen.process.close()
    assert screen.process.exitstatus == 0

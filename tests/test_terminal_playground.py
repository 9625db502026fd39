"""The playground of the real program in a real pseudo-terminal of 80×24, by keyboard alone."""

import re
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from nexus_tui.config import RunConfig
from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.training.session import Session
from tests.test_terminal import Terminal, terminal

__all__ = ["terminal"]

CTRL = {letter: chr(ord(letter) - 96) for letter in "lnorty"}
UP, LEFT, HOME = "\x1b[A", "\x1b[D", "\x1b[H"


@pytest.fixture
def runs(tmp_path: Path, small: RunConfig) -> Path:
    session = Session.start(tmp_path / "runs", small, "mine")
    session.join(120)
    assert not session.alive
    return tmp_path / "runs"


def test_one_text_by_keyboard(terminal: Callable[..., Terminal], runs: Path, tmp_path: Path) -> None:
    run = Run(runs / "mine")
    best = min(run.evaluations, key=lambda evaluation: evaluation.loss)
    (tmp_path / "data.bin").write_bytes(b"\xff\x00Shall\x1b[31m I")
    screen = terminal(str(runs))
    screen.wait("mine")
    screen.press("5")
    screen.wait(rf"★ +{best.step} .*nats/token")

    # Settings by name, a text, the same text as the shell's.
    screen.press(CTRL["t"])
    screen.wait("Presets")
    screen.press(UP, UP, "\r")
    screen.wait("preset greedy")
    screen.press(CTRL["r"])
    text = screen.wait(r"done +200 tokens.*\n.*copied +\d+ bytes at line \d+")
    greedy = Sampler.open(run.checkpoints[best.name]).stream(
        "To be, or not to be", Sampling(temperature=0, max_tokens=200)
    )
    wanted = re.sub(r"\s+", "", "".join(piece.text for piece in greedy))
    assert wanted[-60:] in re.sub(r"\s+", "", text)

    # Inside it: a token, another one in its place, more of it, and back.
    screen.press("\x1b")
    screen.wait(r"surprise +\d+\.\d\d bits +rank 1 +entropy")
    screen.press(LEFT, LEFT)
    screen.wait("token 198 of 200")
    screen.press("\r", "2")
    screen.wait(r"done +398 tokens")
    screen.wait(r"token 198 of 398(.|\n)*text 2 of 2")
    screen.press("c")
    screen.wait(r"done +598 tokens(.|\n)*text 3 of 3")
    screen.press("u", "u")
    screen.wait(r"done +200 tokens(.|\n)*text 1 of 3")
    screen.press("s", "s")
    screen.wait(r"Under each token, how surprising it was in bits")
    screen.press("s", "o")
    screen.wait(r"bytes stand at line \d+ of sonnet.txt: ")
    screen.press("w")
    screen.wait("Written to ")
    exported = next((tmp_path / "state" / "nexus-tui" / "exports").glob("mine-*.md")).read_text()
    assert run.checkpoints[best.name].sha256 in exported

    # The next seed; a score of what is typed; a file of any bytes; a pasted escape sequence.
    screen.press("e", CTRL["n"])
    screen.wait(r"done +200 tokens(.|\n)*seed 1")
    screen.press("!", CTRL["l"])
    screen.wait(r"scored +20 tokens +\d+\.\d\d nats +\d\.\d{4} bits/byte")
    screen.press(CTRL["o"])
    screen.wait("A file as the prompt")
    screen.process.send(f"{tmp_path}/da\t\r")
    text = screen.wait("data.bin, 14 bytes; no UTF-8 text")
    assert "␛[31m I" in text
    screen.press(CTRL["r"])
    screen.wait(r"done +200 tokens")
    screen.press("\x7f")
    screen.wait("To be, or not to be!")
    screen.process.send("\x1b[200~ king \x1b]0;owned\x07\x12\x1b[A\x1b[201~")
    assert "␛]0;owned␇␒␛[A" in screen.wait("pasted text, ")
    screen.press(CTRL["r"])
    screen.wait(r"king ␛\]0;owned␇␒␛\[A")

    screen.press("\x1b", "\x1b", "q")
    screen.process.expect(pexpect.EOF, timeout=20)
    screen.process.close()
    assert screen.process.exitstatus == 0
    assert screen._screen.title != "owned"

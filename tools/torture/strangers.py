"""Strangers at the control socket of a training: what they send, hold open, or may not even reach.

A run is trained by a process of its own; this one knocks, as its user and, where it may, as another one. The
run's losses and weights are compared with the undisturbed run's, bit for bit, and all of its journal is read.
"""

import contextlib
import json
import os
import random
import resource
import signal
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.channel import FOLDER, MAX_CALLERS, SOCKET, Reply, address
from nexus_tui.training.remote import ask
from tools.torture.figures import Figures
from tools.torture.small import config, losses, process, same, train

STEPS = 500
NOBODY = 65_534
CONNECTIONS = 500
LINES = 2_000
"""Messages that are none, sent one after the other."""
MEMORY = 32.0
"""MiB that the trainer may grow by, whatever is sent to it: its own steps and threads come and go."""
ANSWER = 2.0
"""Seconds within which a wish is carried out meanwhile."""


def connection(run: Path, timeout: float = 5.0) -> socket.socket:
    """A connection to a run's trainer. Raises OSError."""
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(timeout)
    with address(run / FOLDER) as where:
        one.connect(where)
    return one


def said(run: Path, data: bytes) -> Reply | None:
    """What is answered to some bytes; None if it hangs up. Raises OSError if nobody can connect."""
    with connection(run) as one:
        try:
            one.sendall(data)
            line = one.makefile("rb").readline()
        except (ConnectionResetError, BrokenPipeError):
            return None
    return msgspec.json.decode(line, type=Reply) if line else None


def modes(run: Path, child: int, figures: Figures) -> None:
    """Who may reach it at all."""
    folder, file = (stat.S_IMODE(path.stat().st_mode) for path in (run / FOLDER, run / FOLDER / SOCKET))
    found = f"{file:04o} in {folder:04o}"
    figures.holds("the socket is 0600 in a folder of 0700", (file, folder) == (0o600, 0o700), found)
    figures.most("sockets of a network, listening or not", 0, network_sockets(child))


def network_sockets(process: int) -> int:
    """How many TCP and UDP sockets a process has."""
    ours = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            ours.add(str(descriptor.readlink()))
    count = 0
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/net/{table}").read_text("ascii").splitlines()[1:]
            count += sum(f"socket:[{line.split()[9]}]" in ours for line in lines)
    return count


def another_user(run: Path, figures: Figures) -> None:
    """As somebody else: the folder is closed; were it open, the kernel would tell who calls."""
    if os.getuid() != 0:
        print("\nAnother user's process: not tried, for lack of the right to become one.\n")
        return
    for path in (run.parent, run):
        path.chmod(0o755)
    found = as_nobody(run)
    figures.holds("another user is refused, in a run's folder that all may enter", found == "refused", found)
    for path in (run / FOLDER, run / FOLDER / SOCKET):
        path.chmod(0o777)
    found = as_nobody(run)
    (run / FOLDER).chmod(0o700)
    (run / FOLDER / SOCKET).chmod(0o600)
    figures.holds("and is hung up on where the socket is open to all too", found == "hung up on", found)


def as_nobody(run: Path) -> str:
    """What becomes of a wish to stop of another user's: `refused`, `hung up on` or `answered`."""
    told, tell = os.pipe()

    def knock() -> int:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            answer = said(run, b'{"act":"stop"}\n')
            os.write(tell, b"answered" if answer else b"hung up on")
        except OSError:
            os.write(tell, b"refused")
        return 0

    os.waitpid(process(knock), 0)
    os.close(tell)
    with open(told) as words:  # noqa: PTH123 (a descriptor)
        return words.read()


def nonsense(run: Path, figures: Figures) -> None:
    """What is no wish, and what is too long for one."""
    numbers, refused = random.Random(0), 0
    with connection(run) as one, one.makefile("rb") as answers:
        for _ in range(LINES):
            one.sendall(no_wish(numbers) + b"\n")
            refused += "no wish" in msgspec.json.decode(answers.readline(), type=Reply).error
    figures.least("refused of messages that are no wish", LINES, refused)
    figures.holds(
        "an unknown verb is refused", "no wish" in (said(run, b'{"act":"explode"}\n') or Reply()).error
    )
    megabyte = b'{"act":"note","text":"' + b"x" * (1 << 20)
    figures.holds("a message of 1 MB is hung up on", said(run, megabyte) is None)


def no_wish(numbers: random.Random) -> bytes:
    """A message that is none: noise, or almost a wish."""
    kind = numbers.randrange(5)
    if kind == 0:
        return bytes(b for b in numbers.randbytes(200) if b != 10)
    if kind == 1:
        return b"[" * numbers.randrange(1, 9000)
    value = numbers.choice([-1, 1e400, None, "x" * 9000, "\x1b[2J", [], {}, True])
    act = numbers.choice(["rate", "plan", "nothing", "../stop", "__class__"])
    return json.dumps({"act": act, numbers.choice(["scale", "steps", "x"]): value, "more": 1}).encode()


def crowd(run: Path, figures: Figures) -> None:
    """Half messages held open for ever, and far more connections than there is room for."""
    held, took = [], []
    for number in range(CONNECTIONS):
        with contextlib.suppress(OSError):
            one = connection(run)
            held.append(one)
            one.sendall(b'{"act":"no' if number % 2 else b"")
        if number % 50 == 49:
            started = time.monotonic()
            ask(Run(run), c.Note(f"{len(held)} of them"))
            took.append(time.monotonic() - started)
    figures.least("connections opened, every other with half a message", CONNECTIONS, len(held))
    figures.most("a wish is carried out meanwhile, the slowest of 10, in", ANSWER, max(took), "s")
    for one in held:
        one.close()


def memory(child: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{child}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def attack(folder: Path, figures: Figures) -> None:
    """Train, undisturbed and disturbed, and say what was different."""
    plan = config(folder, budget={"steps": STEPS}, evaluation={"every": STEPS}, checkpoint={"every": STEPS})
    assert train(folder, plan, "undisturbed") == 0
    undisturbed, run = Run(folder / "undisturbed"), folder / "run"
    child = process(lambda: train(folder, plan, "run"))
    try:
        reader, end = Run(run), time.monotonic() + 60
        while not (reader.refresh() and reader.step > 20) and time.monotonic() < end:
            time.sleep(0.01)
        before = memory(child)
        for part in (nonsense, crowd):
            part(run, figures)
        modes(run, child, figures)
        another_user(run, figures)
        grown = memory(child) - before
        reader.refresh()
        at = reader.step
        figures.most("the training's memory grows by", MEMORY, grown, "MiB")
        figures.holds(
            "all of this came before the training's end", at < STEPS, f"until step {at:,} of {STEPS:,}"
        )
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    disturbed = Run(run)
    figures.holds("the training ends as planned", status == 0 and disturbed.state == "finished")
    figures.holds("losses and weights are the undisturbed run's", same(disturbed, undisturbed))
    figures.most("damaged lines in its journal", 0, disturbed.damaged_lines)
    assert len(losses(disturbed)) == STEPS
    figures.holds("no socket is left", not (run / FOLDER).exists())


def main() -> int:
    """Print what held. Returns the exit status."""
    figures = Figures()
    print(f"Up to {MAX_CALLERS} callers are heard at once.\n")
    with tempfile.TemporaryDirectory() as folder:
        attack(Path(folder), figures)
    return figures.status


if __name__ == "__main__":
    sys.exit(main())

"""A monkey at the real program: keys, 10,000 resizes, a megabyte pasted at each place, while a run trains.

The program has a real pseudo-terminal and a folder of its own. It trains a small run, and another run grows
beside it. What the monkey does is a function of a seed: keys of every screen, dialogs filled in, mouse,
pastes, sequences that no terminal sends, halves of sequences and of characters, bytes. Five presses are
counted as a second of typing, so an hour is 18,000 (the default), pressed as fast as they are taken. Every
few hundred, the program is asked for its help and to close it again, which it must do whatever was done to
it; if nothing trains, the next run is resumed as a person would, by keys, and the rate of what trains is
changed as from another terminal. If the monkey trains a large model, the program is left and begun again. A
second monkey, which may also leave, presses a tenth as many. Afterwards every run that was trained is trained
again, with the same wishes and without a screen.
"""

import argparse
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from nexus_tui.runs.run import Run
from nexus_tui.training import control as c
from nexus_tui.training.remote import RemoteControl
from tools.torture.held import Held
from tools.torture.keyboard import Act, Monkey
from tools.torture.room import Room
from tools.torture.told import STUCK, Told, report

HOUR = 18_000
RESIZES = 10_000
MEGABYTE = 1 << 20
ROUND = 600
"""Presses between two questions."""
FEWEST = 8
"""Questions without the program having been begun anew, so that its memory can be judged."""
LONG = 10_000
"""Steps of a plan that the monkey has made, which nobody wants to see carried out."""
HELP = b"finds any action by name"
TRAINS_ON = b"trains on here"
BEGUN = b"nexus-tui"
"""Its heading: a filter of before may show no run."""
PLACES = ("1", "1/", "2", "2m", "5e", "n")
"""Where a megabyte is pasted: keys that lead there."""


class StuckError(Exception):
    """It does not answer, or has ended as it should not."""


class Play:
    """The monkey at the program."""

    def __init__(self, room: Room, seed: int) -> None:
        self.room, self.seed, self.told = room, seed, Told()
        self._last: deque[Act] = deque(maxlen=150)
        self._held: Held | None = None

    @property
    def held(self) -> Held:
        """The program, begun again if it was left."""
        if self._held and not self._held.alive:
            self._ended(self._held)
            self.told.lives += 1
        if self._held is None:
            self.room.errors.unlink(missing_ok=True)
            self._held = Held(self.room.environment, self.room.errors, self.room.folder / "here")
            if not self._held.hears(BEGUN, STUCK):
                raise StuckError("it does not begin")
        return self._held

    def _ended(self, held: Held) -> None:
        """It was left, as one may; anything else is a failure."""
        self._held = None
        held.__exit__()
        said = self.room.errors.read_text("utf-8", "replace") if self.room.errors.exists() else ""
        if held.status not in (0, 130) or "Error" in said:
            self._fail(f"it ended with status {held.status}", said)

    def _fail(self, why: str, said: str = "") -> None:
        acts = " ".join(repr(b" ".join(act.parts))[1:] for act in self._last)
        self.told.failures.append(why)
        print(f"{why}, seed {self.seed}, press {self.told.presses}:\n{said}\nafter {acts}", file=sys.stderr)

    def act(self, act: Act) -> None:
        """Do what the monkey wants."""
        self._last.append(act)
        self.told.presses += act.presses
        held = self.held
        for part in act.parts:
            held.write(part)
            held.read(0.003)

    def keys(self, presses: int, monkey: Monkey, *, remember: bool = False) -> None:
        """So many presses, in terminals of any size that shows something."""
        end, asked, sizes = self.told.presses + presses, self.told.presses, Random(self.seed)
        acts, life = iter(monkey), 0
        self.question()
        while self.told.presses < end or (remember and len(self.told.memory) < FEWEST):
            self.act(next(acts))
            if self.told.presses - asked > ROUND:
                asked = self.told.presses
                self.question()
                if remember:
                    if life != self.told.lives:
                        life, self.told.memory = self.told.lives, []
                    self.told.memory.append(self.held.memory())
                self.held.resize(sizes.randint(20, 200), sizes.randint(8, 60))
        self.question()

    def resizes(self, times: int) -> None:
        """So many resizes, with a key now and then."""
        sizes, acts = Monkey(self.seed + 2), iter(Monkey(self.seed + 3))
        for number in range(times):
            self.held.resize(*sizes.size())
            self.held.read(0.002)
            if number % 10 == 0:
                self.act(next(acts))
            if number % 2000 == 1999:
                self.held.doze()
                self.question()
        self.told.resizes += times
        self.question()

    def pastes(self, size: int) -> None:
        """So much pasted at several places, as a paste and as a terminal does that knows no pastes."""
        line = b"To be, or not to be; q \x1b[A \x03 that is the question.\n"
        text = (line * (size // len(line) + 1))[:size]
        plain = text.replace(b"\x1b", b"").replace(b"\x03", b"")
        for keys in PLACES:
            for data in (b"\x1b[200~" + text + b"\x1b[201~", plain):
                self.held.resize(120, 36)
                for key in keys:
                    self.held.write(key.encode())
                    self.held.pause(0.3)
                self.held.write(data)
                self.told.pasted += len(data)
                self.question()

    def question(self) -> None:
        """See that it answers and trains. If it does not, that is told, and it is begun again."""
        try:
            self._ask()
            self._train()
        except (StuckError, TimeoutError) as error:
            held = self._held
            self._fail(str(error), held.picture if held else "")
            if held:
                held.__exit__()
            self._held = None

    def _ask(self) -> None:
        """Have it show its help and close it, whatever it shows now."""
        held, began = self.held, time.monotonic()
        held.resize(159, 90)
        held.pause(0.05)
        held.resize(160, 90)
        waited = 0.0
        while not self._helps(held, 1 + waited / 4):  # on a busy machine the help may take long
            if TRAINS_ON in held.heard:
                held.write(b"\x03")
                if not held.ended(STUCK):
                    raise StuckError("it trains on without a screen, and Ctrl-C does not end it")
            if not held.alive:
                return
            waited = time.monotonic() - began
            if waited > STUCK:
                held.look(160, 90)
                held.pause(2)
                raise StuckError("it does not answer")
            if waited > STUCK / 12:  # esc leaves a paste that has no end: after a silence, and alone
                held.pause(2.2)
                held.write(b"\x1b")
                held.pause(0.5)
        self.told.rest.append(time.monotonic() - began)
        for _ in range(3):
            began = time.monotonic()
            if self._helps(held, STUCK / 4):
                self.told.answers.append(time.monotonic() - began - 0.13)
        held.write(b"\x1b")
        held.pause(0.2)

    def _helps(self, held: Held, seconds: float) -> bool:
        """Whether esc and the key for help, which closes the help if it is there, show the help."""
        held.write(b"\x1b")
        held.pause(0.13)
        if TRAINS_ON in held.heard:
            return False
        held.forget()
        held.write(b"?")
        return held.hears(HELP, seconds)

    def _train(self) -> None:
        """Have it go on with a run, by keys as a person would, unless it trains something."""
        for run in self.room.all_runs():
            if run.holder and run.holder.pid == self.held.pid:
                if not self.room.small(run):
                    self.leave()
                elif run.total_steps > LONG:
                    self._wish(run, c.Stop())
                elif run.step:
                    self._wish(run, c.ScaleRate(1.5 if len(self.told.rest) % 2 else 0.75))
                return
        waiting = (run for run in self.room.trained() if run.state != "finished")
        run = next((run for run in waiting if run.folder.parent == self.room.runs), None)
        if run is None:
            return
        held, name = self.held, run.folder.name
        for _ in range(3):
            held.look(120, 30)
            steps = (
                (b"1", r"nexus-tui +\d"), (b"/", r"^ / "), (b"\x15", ""),
                (f"name:{name}".encode(), f"name:{name}"), (b"\r", r"\d+ of \d+ runs"), (b"\x1b[H", ""),
            )  # fmt: skip
            if all(self._leads(held, key, pattern) for key, pattern in steps):
                held.write(b"r")
                if (
                    held.until(lambda: run.refresh() and run.holder is not None, 15)
                    or run.state == "finished"
                ):
                    held.look_away()
                    return
            held.write(b"\x1b")
            held.pause(0.3)
        if held.alive:
            raise StuckError(f"{name} does not go on ({run.state} at {run.step} of {run.total_steps})")

    def _wish(self, run: Run, act: c.Act) -> None:
        """As from another terminal; the run may end meanwhile."""
        RemoteControl(run, lambda _: None).request(act)

    def _leads(self, held: Held, key: bytes, pattern: str) -> bool:
        held.write(key)
        held.pause(0.1)
        return held.shows(f"(?m){pattern}", 10)

    def leave(self) -> None:
        """End the program as a person would; what it trains is saved."""
        held = self.held
        held.write(b"\x1b")
        held.pause(0.3)
        held.write(b"\x03")
        if not held.ended(STUCK):
            self._fail("Ctrl-C does not end it", held.picture)
        self._ended(held)


def main() -> int:
    """Print what happened."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--presses", type=int, default=HOUR)
    parser.add_argument("--resizes", type=int, default=RESIZES)
    parser.add_argument("--paste", type=int, default=MEGABYTE, help="bytes of each paste")
    arguments = parser.parse_args()
    import nexus_tui.lm.selective_scan.compiled  # noqa: F401 (where kernels are kept: for the program too)

    with tempfile.TemporaryDirectory() as name:
        room = Room(Path(name))
        room.prepare(40)
        play, seed = Play(room, arguments.seed), arguments.seed
        parts: dict[str, Callable[[], None]] = {
            "keys": lambda: play.keys(arguments.presses, Monkey(seed), remember=True),
            "leaving": lambda: play.keys(arguments.presses // 10, Monkey(seed + 1, leaves=True)),
            "resizes": lambda: play.resizes(arguments.resizes),
            "pastes": lambda: play.pastes(arguments.paste),
            "end": play.leave,
        }
        with room.growing():
            for what, do in parts.items():
                began = time.monotonic()
                do()
                print(f"{what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return report(play.told, room)


if __name__ == "__main__":
    sys.exit(main())

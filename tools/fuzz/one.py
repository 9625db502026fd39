"""Feed one parser: `python -m tools.fuzz.one NAME --inputs 50000 --seconds 60 [--unguided]`.

With atheris the inputs are guided by the lines and branches of Python that they reach; a defect is noted, and
the fuzzing goes on. Prints one JSON object: inputs, refused, seconds, the slowest input, memory, defects.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import importlib
import json
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType

from tools.fuzz.targets import check, targets
from tools.fuzz.watching import Watch

SLOW = 1.0
"""Seconds of processor time that no input may take."""
MEMORY = 3 << 30
"""Bytes of address space that the process may have besides what it has when the fuzzing begins."""
LONGEST = 4096
"""Bytes of an input."""
HANGS = 120
"""Seconds after which the process is taken to hang, and says where."""


@dataclass
class Told:
    """What became of the inputs."""

    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    grown: int = 0
    """Bytes of memory at the end beyond those after the first thousand inputs."""
    defects: dict[str, str] = field(default_factory=dict)
    """By where they are raised: what was raised, and the input that did it."""


PIECES = (b"\0", b"\xff", b'"', b"{", b"[" * 50, b"9" * 30, b"\n", b"-", b"\x80", b"e999")


class Feeder:
    """Gives inputs to a parser and notes what must not happen."""

    def __init__(self, name: str, folder: Path, keep: Path, inputs: int, seconds: float) -> None:
        self.told = Told()
        self._target, self._folder, self._keep = targets()[name], folder, keep
        self._inputs = inputs
        self._target.prepare(folder)
        with contextlib.suppress(BaseException):  # imports what is imported when it is first used
            self._once(b"\0" + self._target.seeds()[0])
        self._watch = Watch(folder, Path(os.environ["XDG_CACHE_HOME"]), Path(os.environ["XDG_STATE_HOME"]))
        self._began, self._memory, self._armed = time.monotonic(), 0, 0.0
        self._end = self._began + seconds

    @property
    def done(self) -> bool:
        """Whether enough was given."""
        return self.told.inputs >= self._inputs or time.monotonic() > self._end

    def feed(self, data: bytes) -> None:
        """Give one input."""
        began, used = time.perf_counter(), time.process_time()
        if began > self._armed + 1:  # each arming starts a thread
            faulthandler.dump_traceback_later(HANGS, exit=True)
            self._armed = began
        try:
            with self._watch.on():
                self.told.refused += self._once(data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of Rust is no Exception
            self._note(error, data)
        took = time.process_time() - used
        if took > max(SLOW, self.told.slowest):
            self._defect("slow", f"{took:.1f} s", data)
        if self._watch.seen:
            self._defect("watched", "; ".join(self._watch.seen[:3]), data)
            self._watch.seen.clear()
        self.told.slowest = max(self.told.slowest, took)
        self.told.inputs += 1
        if self.told.inputs == 1000:
            self._memory = resident()

    def finish(self) -> Told:
        """What became of them all."""
        faulthandler.cancel_dump_traceback_later()
        self.told.seconds = time.monotonic() - self._began
        self.told.grown = resident() - self._memory if self._memory else 0
        return self.told

    def _once(self, data: bytes) -> bool:
        return check(self._target, self._folder, data)

    def _note(self, error: BaseException, data: bytes) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "/nexus_tui/" in f.filename] or frames
        where = f"{type(error).__name__} at {own[-1].filename.rpartition('/nexus_tui/')[2]}:{own[-1].lineno}"
        self._defect(where, f"{type(error).__name__}: {error}"[:300], data)

    def _defect(self, where: str, what: str, data: bytes) -> None:
        if where not in self.told.defects:
            digest = hashlib.sha256(data).hexdigest()[:12]
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / digest).write_bytes(data)
            self.told.defects[where] = f"{what} ({digest})"


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def first_inputs(name: str) -> list[bytes]:
    """Valid files, and choices for hostile ones."""
    target, numbers = targets()[name], random.Random(name)
    made = [b"\1" + numbers.randbytes(size) for size in (8, 40, 200, 800)] if target.make else []
    return [b"\0" + seed for seed in target.seeds()] + made


def instrument(modules: Iterable[str]) -> None:
    """Let atheris see which lines and branches of the functions of some modules are reached."""
    import atheris

    for path in modules:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        for function in functions_of(module, module.__name__):
            atheris.instrument_func(function)


def functions_of(place: object, module: str) -> Iterator[FunctionType]:
    """The functions and methods that a module defines, of itself or of one of its classes."""
    for value in vars(place).values():
        if isinstance(value, type) and value.__module__ == module:
            yield from functions_of(value, module)
        for wrapped in ("fget", "func", "__func__", "__wrapped__"):
            value = getattr(value, wrapped, value)
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield value


def guided(feeder: Feeder, firsts: list[bytes], folder: Path, seed: int) -> None:
    """Let atheris choose the inputs. Does not return: libFuzzer ends the process with what it is told."""
    import atheris

    for number, data in enumerate(firsts):
        (folder / f"first-{number}").write_bytes(data)

    def one(data: bytes) -> None:
        feeder.feed(data)
        if feeder.done:
            tell(feeder)
            os._exit(0)

    options = [f"-max_len={LONGEST}", f"-seed={seed}", "-timeout=60", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(folder)], one)
    atheris.Fuzz()


def unguided(feeder: Feeder, firsts: list[bytes], seed: int) -> None:
    """Change valid files at random places; make hostile ones from random choices."""
    numbers = random.Random(seed)
    while not feeder.done:
        feeder.feed(changed(numbers, firsts))
    tell(feeder)


def changed(numbers: random.Random, firsts: list[bytes]) -> bytes:
    """One of the first inputs, changed in a few places; or new choices for `make`."""
    data = bytearray(numbers.choice(firsts))
    if data[0] & 1:
        return b"\1" + numbers.randbytes(numbers.choice((8, 40, 200, 800)))
    for _ in range(numbers.randint(1, 4)):
        at = numbers.randrange(1, len(data) + 1)
        match numbers.randrange(5):
            case 0:
                data[at : at + 1] = numbers.randbytes(1)
            case 1:
                data[at:at] = numbers.choice(
                    (b"\0", b"\xff", b'"', b"{", b"[" * 50, b"9" * 30, b"\n", b"-", b"\x80")
                )
            case 2:
                del data[at : at + numbers.randint(1, 40)]
            case 3:
                other = numbers.choice(firsts)
                data[at:at] = other[numbers.randrange(len(other)) :][: numbers.randint(1, 60)]
            case 4:
                data[at:at] = data[at : at + numbers.randint(1, 200)]
    return bytes(data[:LONGEST])


def tell(feeder: Feeder) -> None:
    """Print what became of the inputs."""
    told = feeder.finish()
    print(json.dumps(vars(told)), file=sys.__stdout__, flush=True)


def main() -> None:
    """Feed the parser that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="Inputs that reached something new are kept there.")
    parser.add_argument("--keep", type=Path, default=Path("/tmp/fuzz-defects"), help="Inputs of defects.")
    parser.add_argument("--unguided", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        place = Path(name)
        for variable in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            os.environ[variable] = str(place / variable)
        (place / "files").mkdir()
        feeder = Feeder(asked.name, place / "files", asked.keep, asked.inputs, asked.seconds)
        firsts = first_inputs(asked.name)
        for data in firsts:
            feeder.feed(data)
        limit = MEMORY + int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        if asked.unguided:
            unguided(feeder, firsts, asked.seed)
        else:
            corpus = asked.corpus or place / "corpus"
            corpus.mkdir(parents=True, exist_ok=True)
            instrument(targets()[asked.name].modules)
            guided(feeder, firsts, corpus, asked.seed)


if __name__ == "__main__":
    main()

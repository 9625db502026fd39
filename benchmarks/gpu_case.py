"""What the benchmarks of a GPU share: where they run, clocks that wait for the device, and learners."""

import argparse
import gc
import importlib.metadata
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from benchmarks.harness import Timing, in_turn
from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import Dataset, prepare
from nexus_tui.training.learner import Learner, Stepped

TINY: dict[str, object] = {
    "model.hidden_size": 16,
    "model.intermediate_size": 16,
    "model.num_hidden_layers": 2,
    "model.attn_layer_period": 2,
    "model.attn_layer_offset": 1,
    "data.window": 16,
}
"""Of a model that shows that something works."""
Work = Callable[[int], object]
"""Does something so many times. What is meant for the device need not be done when it returns."""


@dataclass(frozen=True)
class Place:
    """Where a benchmark runs, and how much of it."""

    device: torch.device
    quick: bool
    """Tiny sizes, which show that it works and measure nothing."""
    repetitions: int

    @property
    def gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def options(self) -> list[str]:
        """What another benchmark is told, to run there too."""
        return ["--device", str(self.device), *(["--quick"] if self.quick else [])]

    def synchronise(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.gpu:
            torch.cuda.synchronize(self.device)

    def free(self) -> None:
        """Give back what nothing refers to any longer, and count the peak of memory from here."""
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak(self) -> float:
        """The most memory that tensors have had since `free`, GB; 0 on a CPU."""
        return torch.cuda.max_memory_allocated(self.device) / 1e9 if self.gpu else 0.0


def place(about: str | None, repetitions: int = 5) -> Place:
    """Read the arguments that all of these benchmarks have, and print what they run on.

    Ends the program with a sentence where a GPU is asked for and there is none.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"), help="default: cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which show that it works")
    parser.add_argument("--repetitions", type=int, default=repetitions, help=f"default: {repetitions}")
    said = parser.parse_args()
    if said.device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"torch {torch.__version__} finds no GPU; --device cpu --quick tries it without.")
    found = Place(said.device, said.quick, 2 if said.quick else said.repetitions)
    print(f"{_hardware(found)}.\n", flush=True)
    return found


def _hardware(where: Place) -> str:
    if not where.gpu:
        return "Without a GPU, on this machine's processor: the figures are none of a GPU"
    gpu = torch.cuda.get_device_properties(where.device)
    words = [f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"]
    try:
        words.append(f"Triton {importlib.metadata.version('triton')}")
    except importlib.metadata.PackageNotFoundError:
        words.append("no Triton")
    return ", ".join(words)


def alternately(
    where: Place, contenders: Mapping[str, Work], repetitions: int = 0, seconds: float = 0.1
) -> tuple[dict[str, Timing], dict[str, str]]:
    """Time contenders in turn, A B A B: seconds that one doing takes, of each repetition.

    In a repetition each does its work so often that this takes `seconds`, and the clock is stopped when the
    device is done. Whoever fails at the first try, by whatever (memory, a package), is left out: the second
    dictionary says why, in a line.
    """
    counts: dict[str, int] = {}
    left_out: dict[str, str] = {}
    for name, work in contenders.items():
        try:
            once = _tried(where, work, 1 if where.quick else 3)
        except Exception as error:  # whatever it is, the others can be measured
            left_out[name] = _reason(error)
        else:
            counts[name] = 1 if where.quick else max(1, math.ceil(seconds / once))
        if name in left_out:
            where.free()  # here, where the error no longer holds what it was raised in

    def waited(name: str) -> Callable[[], None]:
        def run() -> None:
            contenders[name](counts[name])
            where.synchronise()

        return run

    timings = in_turn({name: waited(name) for name in counts}, repetitions or where.repetitions)
    return {name: divided(timing, counts[name]) for name, timing in timings.items()}, left_out


def _tried(where: Place, work: Work, times: int) -> float:
    """Seconds that doing it once takes, when it has compiled, captured and filled what it needs to."""
    for _ in range(2):
        started = time.perf_counter()
        work(times)
        where.synchronise()
    return (time.perf_counter() - started) / times


def divided(timing: Timing, count: int) -> Timing:
    """The time of one of so many things that were timed together."""
    return Timing([[each / count for each in once] for once in timing.rounds])


def milliseconds(timing: Timing) -> str:
    """The cells of a table that say the median repetition, and the fastest and slowest."""
    low, high = min(timing.seconds) * 1e3, max(timing.seconds) * 1e3
    return f"{timing.median * 1e3:.4g} | {low:.4g} – {high:.4g}"


def _reason(error: Exception) -> str:
    """An error's kind and the first sentence of what it says."""
    first = next(iter(str(error).strip().splitlines()), "").split(". ")[0]
    return f"{type(error).__name__}{': ' if first else ''}{first}"


def captured(where: Place, work: Callable[[], object]) -> Callable[[], object]:
    """The work as one CUDA graph, so that what is timed is the device and not Python; on a CPU as it is."""
    if not where.gpu:
        return work
    beside, present = torch.cuda.Stream(where.device), torch.cuda.current_stream(where.device)
    beside.wait_stream(present)
    with torch.cuda.stream(beside):
        for _ in range(2):
            work()
    present.wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Stepping:
    """A learner that is stepped to the end, the GPU's wherever it runs, unless a processor's is asked for.

    On a GPU a step does not wait for the one before.
    """

    def __init__(self, where: Place, config: RunConfig, dataset: Dataset, *, processor: bool = False) -> None:
        self._learner: Learner
        if processor:
            self._learner = Learner(config, dataset)
        else:
            from nexus_tui.training.gpu import GpuLearner

            self._learner = GpuLearner(config, dataset, where.device, captured=where.gpu)

    def __call__(self, count: int) -> list[float]:
        """So many steps. Returns their losses, nats per token, when the last one is known."""
        came: list[Stepped] = []
        for _ in range(count):
            came += self._learner.advance()
        came += self._learner.settle()
        return [stepped.loss for stepped in came]


def configuration(model: str, settings: Mapping[str, object]) -> RunConfig:
    """A preset of `models/` with other settings, planned for longer than any benchmark steps."""
    wanted = {"budget.steps": 1_000_000} | dict(settings)
    return RunConfig.load(model, [f"{key}={_toml(value)}" for key, value in wanted.items()])


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def corpus_of(config: RunConfig) -> Dataset:
    """The text that a configuration trains on, made ready."""
    data = config.data
    return prepare(load_corpus(data.corpus), data.tokenizer, config.model.vocab_size, data.validation)

"""Texts from the 6.74M-parameter byte model, one or many at a time, and what that costs a training beside it.

Speed: tokens of one stream, greedy, against transformers' generate on the same folder (the same text, which
is asserted), and against the bound of reading every weight once a token, at the bandwidth with which one
thread reads as many bytes over and over. Batches: tokens of all texts that are written together. Prompt: how
long it takes to read a long one. Slow-down: training steps with a sampler in another thread, by the share of
a core that it may use; many rounds of one short step each, so that a neighbour who comes or goes is in few
of them.

Wall clock and, for what runs on one thread, its processor time, which a busy neighbour disturbs less.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from benchmarks.harness import Timing, goal, in_turn, spread, table
from benchmarks.step import WINDOW, training_step
from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.lm.batch import new_cache, read_prompt
from nexus_tui.lm.cache import Cache
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.decoding import Compiled
from nexus_tui.lm.drawing import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pace import FULL
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.training.sampling import Piece, Sampler

PROMPT = "To be, or not to be"
TOKENS = 200
SHARES = (0.25, 1.0)
BATCH = 4
COUNTS = (1, 2, 4, 8, 16, 32)
THREADS = (1, 2)
LONG = 4096


def weight_bytes(model: HybridLM) -> int:
    """Bytes that a token reads: every weight but the rows of the embedding that are other tokens'."""
    others = model.model.embed_tokens.weight[1:]
    return sum(4 * parameter.numel() for parameter in model.parameters()) - 4 * others.numel()


def reading(size: int) -> Callable[[], object]:
    """Read so many bytes on one thread, TOKENS times: a dot product does little else."""
    numbers = torch.ones(size // 4)

    def run() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for _ in range(TOKENS):
            torch.dot(numbers, numbers)
        torch.set_num_threads(threads)

    return run


def speed(folder: Path, repetitions: int) -> None:
    """Print a table of tokens/s."""
    sampler = Sampler(load_model(folder).eval(), byte_tokenizer())
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    theirs.generation_config.eos_token_id = None  # byte 2, which here is a byte as any other
    prompt = torch.tensor([list(PROMPT.encode())])
    texts: dict[str, list[int]] = {}

    def ours() -> None:
        pieces = sampler.stream(PROMPT, Sampling(0, max_tokens=TOKENS))
        texts["ours"] = [piece.id for piece in pieces]

    def their_generate() -> None:
        ids = theirs.generate(prompt, do_sample=False, max_new_tokens=TOKENS, eos_token_id=-1, pad_token_id=0)
        texts["theirs"] = ids[0, prompt.shape[1] :].tolist()

    size = weight_bytes(sampler.model)
    processor: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            started = time.thread_time()
            work()
            processor.setdefault(name, []).append(time.thread_time() - started)

        return run

    contenders: dict[str, Callable[[], object]] = {
        "nexus-tui, one thread": timed("nexus-tui", ours),
        f"reading {size / 1e6:.1f} MB once a token, one thread": timed("reading", reading(size)),
        f"transformers' generate, {torch.get_num_threads()} threads": their_generate,
    }
    timings = in_turn(contenders, repetitions)
    assert texts["ours"] == texts["theirs"]
    print(table(timings, "tokens", TOKENS), "\n")
    own, bound, other = timings.values()
    share, faster = statistics.median(bound.over(own)), statistics.median(other.over(own))
    print(goal("one stream's tokens/s are", 0.5, share, "×", "the bound of reading the weights", least=True))
    print(goal("one stream's tokens/s are", 5, faster, "×", "those of transformers' generate", least=True))
    print()
    for name, seconds in processor.items():
        best, median = min(seconds), statistics.median(seconds)
        print(
            f"- {name}: {best / TOKENS * 1e3:.3f} ms of processor time a token at best, "
            f"{median / TOKENS * 1e3:.3f} in the median; {size * TOKENS / best / 1e9:.1f} GB/s"
        )


def batches(folder: Path, repetitions: int) -> None:
    """Print a table of the tokens/s of all texts of a batch, against as many written one after another."""
    sampler = Sampler(load_model(folder).eval(), byte_tokenizer())
    before = torch.get_num_threads()

    def write(seeds: Sequence[int]) -> dict[int, str]:
        texts, written = sampler.together(), dict.fromkeys(seeds, "")
        for seed in seeds:
            texts.add(PROMPT, Sampling(max_tokens=TOKENS, seed=seed))
        while pieces := texts.step():
            for number, piece in pieces:
                assert isinstance(piece, Piece)
                written[seeds[number]] += piece.text
        return written

    def on(threads: int, work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(threads)
            work()

        return run

    def separately(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, [[seed] for seed in range(threads)]))

    assert write(range(8)) == {seed: text for s in range(8) for seed, text in write([s]).items()}
    contenders: dict[str, Callable[[], object]] = {}
    for threads in THREADS:
        contenders[f"{threads}"] = on(threads, partial(separately, threads))
        for count in COUNTS:
            contenders[f"{threads} {count}"] = on(threads, partial(write, range(count)))
    timings = in_turn(contenders, repetitions)
    torch.set_num_threads(before)
    print(
        f"All texts of a batch, of one prompt with different seeds, {TOKENS} tokens each; × of as many\n"
        f"written one at a time by each thread (the same texts, which is asserted). {repetitions} rounds, "
        "medians.\n"
    )
    print("| texts | threads | tokens/s | ms a step | × one at a time (half of rounds) |")
    print("|---:|---:|---:|---:|---:|")
    for threads in THREADS:
        alone = timings[f"{threads}"]
        for count in COUNTS:
            timing = timings[f"{threads} {count}"]
            gain = [count / threads / longer for longer in timing.over(alone)]
            speed = TOKENS * count / timing.median
            step = timing.median / TOKENS * 1e3
            print(f"| {count} | {threads} | {speed:,.0f} | {step:.2f} | {spread(gain)} |")


def prompt(folder: Path, repetitions: int) -> None:
    """Print how long a long prompt takes, read by the training kernels and by the step of a token."""
    model = load_model(folder).eval()
    ids = torch.randint(model.config.vocab_size, (LONG,), generator=torch.Generator().manual_seed(0)).tolist()
    compiled, before = Compiled(model), torch.get_num_threads()

    def chunks(threads: int) -> None:
        torch.set_num_threads(threads)
        read_prompt(model, ids, new_cache(model, LONG), FULL, None)

    def tokens() -> None:
        text = compiled.remember(Cache(model.config), LONG)
        for id in ids:
            compiled.read([text], [id], 1)

    contenders: dict[str, Callable[[], object]] = {
        f"training kernels, {threads} thread{'s' * (threads > 1)}": partial(chunks, threads)
        for threads in THREADS
    }
    contenders["a token at a time, 1 thread"] = tokens
    print(f"A prompt of {LONG:,} tokens:\n")
    print(table(in_turn(contenders, repetitions), "tokens", LONG))
    torch.set_num_threads(before)


class Beside:
    """A sampler in a thread of its own that works while `on`, at one share."""

    def __init__(self, folder: Path, share: float) -> None:
        self._tokens, self._clock, self._processor = 0, 0.0, 0.0
        self._sampler = Sampler(load_model(folder).eval(), byte_tokenizer())
        self._share = share
        self._wanted, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        for _ in self._sampler.stream(PROMPT, Sampling(max_tokens=10**9), share=self._share):
            self._tokens += 1
            self._processor = time.thread_time()
            self._wanted.wait()
            if self._over.is_set():
                break

    @contextmanager
    def on(self) -> Iterator[None]:
        """Sample meanwhile."""
        started = time.perf_counter()
        self._wanted.set()
        yield
        self._wanted.clear()
        self._clock += time.perf_counter() - started

    def figures(self) -> str:
        """What was written, and what of its own thread that took."""
        return (
            f"{self._tokens / self._clock:.0f} tokens/s written meanwhile, its thread took "
            f"{self._processor / self._clock:.0%} of a core"
        )

    def end(self) -> None:
        """End the thread."""
        self._over.set()
        self._wanted.set()
        self._thread.join()


def slow_down(folder: Path, repetitions: int) -> None:
    """Print a table of training steps by the share of a core that sampling may use."""
    model = load_model(folder)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(model.config.vocab_size, (BATCH, WINDOW + 1), generator=generator)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    step = training_step(model, lambda: model.loss(inputs, targets))
    samplers = {share: Beside(folder, share) for share in SHARES}

    def beside(share: float) -> Callable[[], None]:
        def run() -> None:
            with samplers[share].on():
                step()

        return run

    contenders: dict[str, Callable[[], object]] = {"training alone": step}
    contenders |= {f"sampling beside it, at most {share:.0%} of a core": beside(share) for share in SHARES}
    try:
        timings = in_turn(contenders, repetitions)
    finally:
        for sampler in samplers.values():
            sampler.end()
    print(table(timings, "trained tokens", BATCH * WINDOW))
    print()
    alone, *others = timings.values()
    for share, timing in zip(SHARES, others, strict=True):
        print(f"- at most {share:.0%} of a core: {_judged(alone, timing)}; {samplers[share].figures()}")


def _judged(alone: Timing, beside: Timing) -> str:
    slower = [b / a - 1 for a, b in zip(alone.seconds, beside.seconds, strict=True)]
    low, _, high = statistics.quantiles(slower, n=4)
    return (
        f"training slowed by {statistics.median(slower):.1%}, the median of {len(slower)} rounds "
        f"(half of them: {low:.1%} – {high:.1%})"
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=60)
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint's folder (default: a new model)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.checkpoint or Path(temporary)
        if arguments.checkpoint is None:
            save_model(HybridLM(JambaConfig(), seed=1), folder)
        few = max(arguments.repetitions // 12, 3)
        for part in (speed, batches, prompt):
            part(folder, few)
            print()
        slow_down(folder, arguments.repetitions)


if __name__ == "__main__":
    main()

"""Texts written on a GPU by the byte model of 6.74M parameters, one and many at a time.

Each contender writes as many texts from one prompt, in turn: the captured step, which draws on the device;
the same with top-k and top-p; to pieces of text, as screens and commands have them; with weights of 16 bits;
the step of torch, a text at a time; and transformers' generate on the same weights, where it is installed.
Reading the prompt and beginning the texts count. Graphs are captured before the clock runs, and how long the
first time takes is told.

`--device cpu` tries the script without a GPU, on a few tokens; its figures are none of a GPU.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_case import Place, place
from benchmarks.harness import Timing, goal, in_turn, spread
from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.lm.batch import Batch
from nexus_tui.lm.captured import Captured
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.decoding import Decoder, Plain
from nexus_tui.lm.drawing import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.training.sampling import Sampler

PROMPT = b"To be, or not to be"
WANTED = {1: 2_500, 256: 200_000}
"""Tokens/s of so many texts together."""
TOKENS = 1_000
"""Of each text; slower contenders write fewer."""
REPLAYS = 200
CUTS = Sampling(0.8, top_k=40, top_p=0.95)


@dataclass(frozen=True)
class Contender:
    """Who writes so many tokens of each of so many texts when called."""

    write: Callable[[int, int], object]
    tokens: int


def batched(decoder: Decoder, settings: Sampling, texts: int, tokens: int) -> None:
    """Write texts of a batch: tokens, and what the model thought of each."""
    batch, drawn = Batch(decoder), 0
    for seed in range(texts):
        batch.add(PROMPT, Sampling(settings.temperature, settings.top_k, settings.top_p, tokens, seed))
    while told := batch.step():
        drawn += len(told)
    assert drawn == texts * tokens


def pieces(sampler: Sampler, texts: int, tokens: int) -> None:
    """The same as pieces of text."""
    together = sampler.together()
    for seed in range(texts):
        together.add(PROMPT, Sampling(max_tokens=tokens, seed=seed))
    while together.step():
        pass


def generate(theirs: Any, device: torch.device, texts: int, tokens: int) -> None:
    """The same by transformers, which waits for the device at the end."""
    prompt = torch.tensor([list(PROMPT)] * texts, device=device)
    ids = theirs.generate(
        prompt,
        do_sample=True,
        temperature=0.8,
        top_k=0,
        max_new_tokens=tokens,
        pad_token_id=0,
    )
    assert ids.cpu().shape == (texts, len(PROMPT) + tokens)


def quick(where: Place) -> bool:
    """Whether it is only to be seen that it works."""
    return where.quick or not where.gpu


def contenders(folder: Path, where: Place, texts: int) -> tuple[Captured, dict[str, Contender]]:
    """Our decoder; and all by name, it first."""
    tokens, few, theirs_too = (2, 2, 2) if quick(where) else (TOKENS, max(4, 200 // texts), 50)
    device = where.device
    model = load_model(folder).eval().to(device)
    half = load_model(folder, torch.bfloat16).eval().to(device)
    sampler = Sampler(model, byte_tokenizer())
    decoder = Captured(model)
    found = {
        "captured": Contender(partial(batched, decoder, Sampling()), tokens),
        "captured, with top-k and top-p": Contender(partial(batched, decoder, CUTS), tokens),
        "captured, to pieces of text": Contender(partial(pieces, sampler), tokens),
        "captured, weights of 16 bits": Contender(partial(batched, Captured(half), Sampling()), tokens),
        "torch, a text at a time": Contender(partial(batched, Plain(model), Sampling()), few),
    }
    if importlib.util.find_spec("transformers"):
        from transformers import AutoModelForCausalLM

        theirs = AutoModelForCausalLM.from_pretrained(folder).eval().to(device)
        theirs.generation_config.eos_token_id = None  # byte 2, which here is a byte as any other
        found["transformers' generate"] = Contender(partial(generate, theirs, device), theirs_too)
    return decoder, found


def measure(all_of_them: dict[str, Contender], texts: int, repetitions: int) -> dict[str, Timing]:
    """Time them in turn, and say how long the first time took, with whatever is captured and compiled.

    Who fails at the first try, by whatever, is told of and left out, but not the first.
    """
    able: dict[str, Callable[[], object]] = {}
    for name, contender in all_of_them.items():
        started = time.perf_counter()
        try:
            contender.write(texts, contender.tokens)
        except Exception as error:  # whatever it is, the others can be measured
            if not able:
                raise
            print(f"- {name} was left out: {type(error).__name__}: {error}", flush=True)
            continue
        print(f"- {name}, the first time: {time.perf_counter() - started:.2f} s", flush=True)
        able[name] = partial(contender.write, texts, contender.tokens)
    return in_turn(able, repetitions, warm_up=0)


def table(timings: dict[str, Timing], all_of_them: dict[str, Contender], texts: int) -> str:
    """A row for each contender, and its speed over that of the first in each round."""
    lines = [
        "| | tokens/s | ms a token of all (median) | tokens of each | speed × the first's (half of rounds) |",
        "|---|---:|---:|---:|---:|",
    ]
    first = next(iter(timings))
    for name, timing in timings.items():
        tokens = all_of_them[name].tokens
        share = tokens / all_of_them[first].tokens
        faster = [share / longer for longer in timing.over(timings[first])]
        lines.append(
            f"| {name} | {texts * tokens / timing.median:,.0f} | {timing.median / tokens * 1e3:.4g} "
            f"| {tokens} | {spread(faster, 3)} |"
        )
    return "\n".join(lines)


def alone(decoder: Captured, where: Place) -> str:
    """What a step takes the device, with nobody told of it: the rest is the host's."""
    if decoder._graphs is None:
        return ""
    with decoder._device():
        decoder._activate([])  # nothing may change
    lines = []
    for shape in decoder._graphs._captured:
        where.synchronise()
        started = time.perf_counter()
        with decoder._device():
            for _ in range(REPLAYS):
                decoder._graphs.replay(shape)
        where.synchronise()
        seconds = (time.perf_counter() - started) / REPLAYS
        lines.append(f"- replayed alone, {shape}: {seconds * 1e3:.3f} ms a step")
    return "\n".join(lines) + "\n"


def section(folder: Path, where: Place, texts: int, wanted: int) -> None:
    """Print what so many texts take, and the goal for as many."""
    print(f"{texts} text{'s' * (texts > 1)}:\n")
    decoder, all_of_them = contenders(folder, where, texts)
    timings = measure(all_of_them, texts, where.repetitions if where.gpu else 1)
    print(f"\n{table(timings, all_of_them, texts)}\n")
    print(alone(decoder, where))
    name, timing = next(iter(timings.items()))
    speed = texts * all_of_them[name].tokens / timing.median
    what = f"the tokens/s of {texts} text{'s' * (texts > 1)} are"
    print(goal(what, wanted, int(speed), "", least=True))
    print(flush=True)


def main() -> None:
    """Print a table and a goal for one text and for many."""
    where = place(__doc__, repetitions=3)
    with tempfile.TemporaryDirectory() as folder:
        save_model(HybridLM(JambaConfig(), seed=1), Path(folder))
        for texts, wanted in WANTED.items():
            section(Path(folder), where, min(texts, 4) if quick(where) else texts, wanted)


if __name__ == "__main__":
    main()

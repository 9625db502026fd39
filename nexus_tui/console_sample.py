"""What `sample` and `score` read and print."""

import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_tui.console_wait import Wait
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler, TextError
from nexus_tui.training.stopping import read_escapes
from nexus_tui.untrusted import visible

if TYPE_CHECKING:
    from nexus_tui.lm.drawing import Sampling


def read_prompt(argument: str) -> bytes:
    """The prompt's bytes as the shell gave them, UTF-8 or not; `-` means standard input."""
    return sys.stdin.buffer.read() if argument == "-" else os.fsencode(argument)


def read_text(file: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises TextError, in one sentence."""
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise TextError(f"The text {file} cannot be read: {error.strerror}.") from None


def print_sample(
    checkpoint: Checkpoint, prompt: bytes, sampling: "Sampling", stop: Sequence[str], device: str
) -> None:
    """The prompt and what follows it, as it comes."""
    sampler = Sampler.open(checkpoint, device)
    pieces = sampler.stream(prompt, sampling, stop=[read_escapes(text) for text in stop])
    print(visible(sampler.text(sampler.encode(prompt))), end="", flush=True)
    for piece in pieces:
        print(visible(piece.text), end="", flush=True)
    print()


def sampled(
    run: Run, checkpoint: Checkpoint, prompt: bytes, sampling: "Sampling", stop: Sequence[str], device: str
) -> dict[str, Any]:
    """A sample as `sample --json` prints it. `nats` before temperature and cuts."""
    sampler = Sampler.open(checkpoint, device)
    stop = [read_escapes(text) for text in stop]
    pieces, times = [], []
    for piece in sampler.stream(prompt, sampling, stop=stop):
        pieces.append(piece)
        times.append(time.perf_counter())
    nats, covered = -math.fsum(piece.logprob for piece in pieces), sum(piece.bytes for piece in pieces)
    return {
        "run": run.name,
        "step": checkpoint.step,
        "checkpoint": checkpoint.name,
        "prompt": sampler.text(sampler.encode(prompt)),
        "text": "".join(piece.text for piece in pieces),
        "end": pieces[-1].end,
        "tokens": len(pieces),
        "bytes": covered,
        "nats": nats,
        "bits_per_byte": nats / covered / math.log(2),
        "tokens_per_second": (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
        "max_tokens": sampling.max_tokens,
        "stop": stop,
        "seed": sampling.seed,
    }


def scored(run: Run, checkpoint: Checkpoint, text: bytes, tokens: bool, device: str) -> dict[str, Any]:
    """A score as `score --json` prints it; with `tokens`, of every token too. Raises TextError if empty."""
    if not text:
        raise TextError("The text is empty, so there is nothing to score.")
    result = Sampler.open(checkpoint, device).score(text, progress=Wait())
    told: dict[str, Any] = {
        "run": run.name,
        "step": checkpoint.step,
        "checkpoint": checkpoint.name,
        "average": run.averaged(checkpoint.name),
        "tokens": len(result.ids),
        "bytes": result.bytes,
        "nats": result.nats,
        "nats_per_token": result.nats / len(result.ids),
        "bits_per_byte": result.bits_per_byte,
    }
    if tokens:
        told["per_token"] = [
            {"id": id, "text": token.decode(errors="backslashreplace"), "nats": loss}
            for id, token, loss in zip(result.ids, result.tokens, result.losses, strict=True)
        ]
    return told


def print_score(told: dict[str, Any]) -> None:
    """A score for people: every token on a line if there are any, then the sums."""
    for token in told.get("per_token", ()):
        text = token["text"].replace("\n", "\\n")
        print(f"{token['nats']:9.4f}  '{visible(text)}'")
    at = f":{told['checkpoint']}" if told["average"] else f" at step {told['step']:,}"
    print(
        f"{visible(told['run'] + at)}: {told['bits_per_byte']:.4f} bits/byte, "
        f"{told['nats_per_token']:.4f} nats/token over {told['tokens']:,} tokens, {told['bytes']:,} bytes "
        f"({told['nats']:,.1f} nats)"
    )

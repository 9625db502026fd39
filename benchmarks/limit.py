"""A training step beside its matrix products alone, which are its limit, and beside a plain GPT's step.

Forward, backward, clip and AdamW of 6.74M parameters, 16 × 128 tokens, all cores. The products are those of
forward and backward of every linear layer, in the step's own shapes, with nothing between them.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks.gpt import GPT
from benchmarks.harness import goal, in_turn, table
from benchmarks.step import BATCH, WINDOW, training_step
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM, parameter_count

TOKENS = BATCH * WINDOW
Triple = tuple[Tensor, Tensor, Tensor]


def linear(model: HybridLM) -> Iterator[tuple[str, Tensor]]:
    """The matrices that every token is multiplied with."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and not name.endswith(("A_log", "embed_tokens.weight")):
            yield name, parameter.detach()


def products(model: HybridLM) -> Callable[[], None]:
    """Every matrix product of a step: y = x Wᵀ, dx = dy W and dW = dyᵀ x of each linear layer."""
    layers: list[tuple[Triple, Triple]] = []
    for name, parameter in linear(model):
        for weight in parameter.chunk(2 if "in_proj" in name else 1):  # as `Mamba.forward` has it
            outputs, inputs = weight.shape
            x, dy = torch.randn(TOKENS, inputs), torch.randn(TOKENS, outputs)
            layers.append(((x, weight.clone(), dy), (dy.clone(), x.clone(), weight.clone())))

    def run() -> None:
        for (x, weight, dy), (y, dx, dweight) in layers:
            torch.mm(x, weight.t(), out=y)
            torch.mm(dy, weight, out=dx)
            torch.mm(dy.t(), x, out=dweight)

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=15)
    repetitions = parser.parse_args().repetitions
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(256, (BATCH, WINDOW + 1), generator=generator)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    ours, gpt = HybridLM(JambaConfig()), GPT()
    matrices = sum(parameter.numel() for _, parameter in linear(ours))
    contenders = {
        "its matrix products alone": products(ours),
        f"the full step, {parameter_count(ours):,} parameters": training_step(
            ours, lambda: ours.loss(inputs, targets)
        ),
        f"a GPT's full step, {parameter_count(gpt):,} parameters": training_step(
            gpt, lambda: gpt.loss(inputs, targets)
        ),
    }
    timings = in_turn(contenders, repetitions, warm_up=2)
    alone, step, other = timings.values()
    speed = 6 * TOKENS * matrices / alone.median / 1e9
    print(table(timings, "tokens", TOKENS))
    print(f"\n{torch.get_num_threads()} threads; the products run at {speed:,.0f} GFLOP/s.\n")
    ratio, faster = statistics.median(step.over(alone)), statistics.median(other.over(step))
    print(goal("a training step takes", 1.35, ratio, "×", "the time of its matrix products alone"))
    print(goal("its tokens/s are", 0.9, faster, "×", "those of a plain GPT of its size", least=True))


if __name__ == "__main__":
    main()

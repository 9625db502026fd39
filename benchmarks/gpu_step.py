"""Tokens/s of a full training step on a GPU, and of a larger model the share of its arithmetic that is used.

Batch to the device, forward, backward, clip and AdamW, as a training does them, of the two byte models of
6.74M parameters at growing batches and of a model of 130M at a context of 2,048; both recipes of a batch in
turn. A step's floating-point operations are counted thus: 6 for each weight of a matrix product and token;
attention's two products with a causal half of length² positions, 6 × length² × channels for each sequence
and layer; for each channel, state and token of a scan 7 forward (the decay's product and exponential, three
for the state, two for the output), and three times that with backward. Whatever else a step does counts as
none.
"""

from collections.abc import Mapping

import torch

from benchmarks.gpu_case import (
    TINY,
    Place,
    Stepping,
    alternately,
    configuration,
    corpus_of,
    milliseconds,
    place,
)
from benchmarks.harness import Timing, goal
from benchmarks.limit import linear
from nexus_tui.config import RunConfig
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM, parameter_count

RECIPES = ("nexus-byte-tuned", "nexus-byte")
WINDOW = 128
BATCHES = (16, 64, 256, 1024, 4096)
FP32_AT = 256
"""The batch at which 32 bits are measured, too."""
TOKENS_AT_ONCE = 65_536
"""Of a micro-batch: what of a step is in memory."""
LARGE: dict[str, object] = {
    "model.hidden_size": 768,
    "model.intermediate_size": 832,
    "model.num_hidden_layers": 24,
    "model.num_attention_heads": 12,
    "model.num_key_value_heads": 4,
    "model.attn_layer_period": 8,
    "model.attn_layer_offset": 4,
    "model.mamba_d_state": 16,
    "model.mamba_dt_rank": 48,
    "data.window": 2048,
}
"""The 130M-parameter model: its channels, layers and states are those of Mamba's own model of that size."""
LARGE_BATCH = 16
PEAKS = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Operations a second of dense bf16 products, by what the GPU's name has: of NVIDIA's data sheets."""
WANTED = 35.0


def flops(config: JambaConfig, matrices: int, batch: int, length: int) -> dict[str, float]:
    """What one training step of `batch` sequences computes, by kind; `matrices`: weights of its products."""
    tokens, kinds = batch * length, config.layer_kinds
    scanned = config.mamba_channels * config.mamba_d_state * kinds.count("mamba")
    return {
        "matrix products": 6.0 * matrices * tokens,
        "attention": 6.0 * batch * length**2 * config.hidden_size * kinds.count("attention"),
        "scans": 3.0 * 7 * scanned * tokens,
    }


def peaks(where: Place) -> dict[str, float]:
    """Floating-point operations a second that the GPU can do: the data sheet's, and a large product's."""
    size = 8192 if where.gpu else 64
    dtype = torch.bfloat16 if where.gpu else torch.float32
    a, b = (torch.randn(size, size, device=where.device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(a)

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(a, b, out=product)

    timings, _ = alternately(where, {"product": multiply})
    found = {f"a product of {size}³": 2.0 * size**3 / timings["product"].median}
    name = torch.cuda.get_device_name(where.device) if where.gpu else ""
    known = next((peak for part, peak in PEAKS.items() if part in name), 0.0)
    return {"the data sheet": known} | found if known else found


def settings(batch: int, window: int, precision: str) -> dict[str, object]:
    """What is configured otherwise than in a recipe."""
    wanted: dict[str, object] = {"budget.batch": batch, "data.window": window, "budget.precision": precision}
    return wanted | {"budget.micro_batch": max(1, min(batch, TOKENS_AT_ONCE // window))}


def steps(where: Place, configs: Mapping[str, RunConfig]) -> dict[str, Timing]:
    """Time a step of each configuration in turn, and print a row for each. Returns the times by name."""
    where.free()
    learners = {name: Stepping(where, config, corpus_of(config)) for name, config in configs.items()}
    timings, left_out = alternately(where, learners, seconds=0.3)
    for name, timing in timings.items():
        config = configs[name]
        size = f"{config.budget.batch:,} × {config.data.window:,}"
        speed = config.budget.batch * config.data.window / timing.median
        print(
            f"| {size} | {name} | {speed:,.0f} | {milliseconds(timing)} "
            f"| {config.windows_at_once:,} | {where.peak():.1f} |",
            flush=True,
        )
    for name, reason in left_out.items():
        print(f"| {configs[name].budget.batch:,} | {name} | {reason} | | | | |", flush=True)
    return timings


def small(where: Place) -> None:
    """The two byte models of 6.74M parameters at every batch, 32 bits once."""
    for batch in (2,) if where.quick else BATCHES:
        window, tiny = (16, TINY) if where.quick else (WINDOW, {})
        of = {f"{name}, bf16": settings(batch, window, "bf16") for name in RECIPES}
        if batch == FP32_AT:
            of[f"{RECIPES[0]}, fp32"] = settings(batch, window, "fp32")
        steps(where, {name: configuration(name.split(",")[0], said | tiny) for name, said in of.items()})


def large(where: Place) -> None:
    """The model of 130M parameters, and how much of the GPU's arithmetic it uses."""
    batch, window = (2, 16) if where.quick else (LARGE_BATCH, int(str(LARGE["data.window"])))
    said = (TINY if where.quick else LARGE) | settings(batch, window, "bf16")
    config = configuration("nexus-byte", said)
    timing = steps(where, {"130M, bf16": config}).get("130M, bf16")
    if timing is None:
        raise SystemExit("The model of 130M parameters could not be stepped.")
    model = HybridLM(config.model)
    counted = flops(config.model, sum(p.numel() for _, p in linear(model)), batch, window)
    total = sum(counted.values())
    shares = ", ".join(f"{kind} {value / total:.1%}" for kind, value in counted.items())
    print(f"\nThe model of 130M has {parameter_count(model):,} parameters, over bytes.", end=" ")
    rate = total / timing.median
    print(f"A step is {total / 1e12:,.3g} TFLOP ({shares}), at {rate / 1e12:,.4g} TFLOP/s.\n")
    known = peaks(where)
    for name, peak in known.items():
        print(f"- {rate / peak:.1%} of {name}'s {peak / 1e12:,.4g} TFLOP/s")
    print()
    of, peak = next(iter(known.items()))
    what = "the model FLOP utilisation of the model of 130M is"
    print(goal(what, WANTED, 100 * rate / peak, "%", f"of {of}", least=True))


def main() -> None:
    """Print the table and the goal."""
    where = place(__doc__)
    print("| batch | | tokens/s | ms a step (median) | ms (fastest – slowest) | windows at once | peak, GB |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    small(where)
    large(where)


if __name__ == "__main__":
    main()

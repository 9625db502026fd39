"""Compile the GPU's kernels for an H100, which needs none: `python -m tools.kernels`.

Prints, as Triton's own assembler tells, what a thread of each has: registers, and bytes that did not fit into
them. Operands of the layers are bf16, as under autocast. Fails if one does not compile.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import triton.backends.nvidia
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from nexus_tui.lm import causal_conv_cuda, dropout_cuda, rms_norm_cuda, swiglu_cuda
from nexus_tui.lm.captured import fused
from nexus_tui.lm.captured import kernels as step
from nexus_tui.lm.selective_scan import cuda, triton_kernels

TARGET = GPUTarget("cuda", 90, 32)
EXACT = {"A2", "D", "bias", "boundary", "gboundary", "elapsed", "kept", "weight", "scale", "eps", "rate"}
"""Operands in 32 bits; sums of gradients are, too."""
SUMS = {"gA", "gB", "gC", "gD", "gbias", "gweight"}
NUMBERS = {"eps", "rate"}
TENSORS = {
    "u",
    "delta",
    "z",
    "y",
    "gy",
    "gu",
    "gdelta",
    "gz",
    "B",
    "C",
    "x",
    "gx",
    "before",
    "gate",
    "up",
    "ggate",
    "gup",
}
OF_A_TOKEN = {"uz", "memory", "out", "dt_weight", "b_weight", "c_weight", "selected", "A_log", "logits"}
"""Operands of a step of sampling, whose weights are in 32 bits."""
DRAWN = {"how": "*fp64", "told": "*fp64", "newest": "*i64", "read": "*i64", "seen": "*i1", "active": "*i1"}
SCAN = {"TILE": cuda.TILE, "WIDE": cuda.WIDE}
CONVOLUTION = {"TAPS": 4, "TILE": causal_conv_cuda.TILE, "WIDE": causal_conv_cuda.WIDE}
NORM = {"ROWS": 4, "WIDE": 256}
KERNELS: list[tuple[str, Any, dict[str, int | bool], int]] = [
    *((f"scan {name}", getattr(triton_kernels, name), SCAN, cuda.WARPS)
      for name in ("forward", "backward", "summary", "backward_summary")),
    ("scan combine", triton_kernels.combine, {"WIDE": cuda.WIDE, "REVERSE": True}, cuda.WARPS),
    ("convolution forward", causal_conv_cuda._forward, CONVOLUTION, 2),
    ("convolution backward", causal_conv_cuda._backward, CONVOLUTION, 2),
    ("norm forward", rms_norm_cuda._forward, NORM, 4),
    ("norm backward", rms_norm_cuda._backward, NORM, 4),
    ("gate forward", swiglu_cuda._forward, {"BLOCK": 1024}, 4),
    ("gate backward", swiglu_cuda._backward, {"BLOCK": 1024}, 4),
    ("dropout", dropout_cuda._dropped, {"BLOCK": 1024}, 4),
    ("a token's convolution", step.convolve, {"TAPS": 4, "WIDE": fused.WIDE}, 1),
    ("a token's norms", step.select, {"RANK": 16, "STATE": 32}, 1),
    ("a token's recurrence", step.recur, {"STATE": 32, "WIDE": fused.WIDE}, 4),
    ("a token's draw", step.draw, {"LIKELIEST": 10, "WIDE": 256}, 1),
]  # fmt: skip


def kind(name: str) -> str:
    """Triton's type of an argument."""
    if name in NUMBERS:
        return "fp32"
    if name in EXACT | SUMS | OF_A_TOKEN:
        return "*fp32"
    if name in DRAWN:
        return DRAWN[name]
    if name == "place":
        return "*i64"
    return "*bf16" if name in TENSORS else "i32"


def compiled(kernel: Any, constants: dict[str, int | bool], warps: int) -> tuple[int, int, int]:
    """Registers a thread, bytes spilled (stored and loaded), and bytes of shared memory of a program."""
    types = {name: "constexpr" if name in constants else kind(name) for name in kernel.arg_names}
    aligned = {
        (index,): [["tt.divisibility", 16]]
        for index, (name, type_) in enumerate(types.items())
        if type_[0] == "*" or (type_ == "i32" and name not in triton_kernels.STRIDES)
    }
    values = {(index,): constants[name] for index, name in enumerate(types) if name in constants}
    source = ASTSource(fn=kernel, signature=types, constexprs=values, attrs=aligned)
    built = triton.compile(source, target=TARGET, options={"num_warps": warps})
    assembler = Path(triton.backends.nvidia.__file__).parent / "bin" / "ptxas"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "kernel.ptx"
        text.write_text(built.asm["ptx"])
        told = subprocess.run(
            [assembler, "-v", "-arch=sm_90a", text, "-o", text.with_suffix(".cubin")],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
    spilled = sum(int(count) for count in re.findall(r"(\d+) bytes spill", told))
    return int(re.findall(r"Used (\d+) registers", told)[0]), spilled, built.metadata.shared


def main() -> None:
    """Print the table, of all kernels or of those whose names have one of the words that are given."""
    words = sys.argv[1:] or [""]
    print("| kernel | registers | bytes spilled | shared memory |\n|---|---:|---:|---:|")
    for name, kernel, constants, warps in KERNELS:
        if not any(word in name for word in words):
            continue
        registers, spilled, shared = compiled(kernel, constants, warps)
        print(f"| {name} | {registers} | {spilled} | {shared} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())

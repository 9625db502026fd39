"""The optimizer against torch's own, and what a first step may not import."""

import subprocess
import sys
from typing import Any

import torch

from nexus_tui.training.optimizer import AdamW


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((33, 7), (5,), (64, 32), (3,))
    return [torch.nn.Parameter(torch.randn(*shape, generator=generator)) for shape in shapes]


def test_it_computes_to_the_bit_what_torchs_does() -> None:
    ours, theirs = parameters(), parameters()

    def groups(all_of: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        return [{"params": all_of[:2], "weight_decay": 0.1}, {"params": all_of[2:], "weight_decay": 0.0}]

    own = AdamW(groups(ours), lr=1e-2, betas=(0.9, 0.95))
    known = torch.optim.AdamW(groups(theirs), lr=1e-2, betas=(0.9, 0.95), fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 8):
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if number == 3 and step < 3:  # its gradients begin later
                continue
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for group in [*own.param_groups, *known.param_groups]:
            group["lr"] = 1e-2 / step
        own.step()
        known.step()
        own.zero_grad()
        known.zero_grad()
        assert all(a.equal(b) for a, b in zip(ours, theirs, strict=True))
    assert all(parameter.grad is None for parameter in ours)
    for a, b in zip(ours, theirs, strict=True):
        assert own.state[a].keys() == known.state[b].keys()
        assert all(value.equal(known.state[b][key]) for key, value in own.state[a].items())


FIRST_STEP = """
import sys
from nexus_tui.data.corpus import Corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.config import RunConfig
from nexus_tui.training.learner import Learner
model = ["hidden_size=32", "intermediate_size=64", "num_hidden_layers=2", "num_attention_heads=2",
         "num_key_value_heads=1", "attn_layer_period=2", "attn_layer_offset=1", "mamba_dt_rank=4"]
config = RunConfig.load("nexus-byte", [f"model.{x}" for x in model] + ["data.window=8", "budget.batch=1"])
Learner(config, prepare(CORPUS, "byte")).advance()
print(*{"torch._dynamo", "sympy", "transformers", "textual"} & set(sys.modules))
"""


def test_a_first_step_imports_no_compiler_of_torchs() -> None:
    """Each of them takes most of a second, and nothing here needs them."""
    code = FIRST_STEP.replace("CORPUS", "Corpus('x', b'To be, or not to be. ' * 99, '')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""The kernels of a token's step are what torch does, in Triton's interpreter where there is no GPU."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from nexus_tui.lm.batch import Batch
from nexus_tui.lm.captured import Captured, drawing
from nexus_tui.lm.captured.slots import Slots
from nexus_tui.lm.captured.step import step
from nexus_tui.lm.captured.telling import HEAD
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.drawing import Sampling
from nexus_tui.lm.hybrid import HybridLM
from tests.lm.conftest import SMALL, varied
from tests.lm.test_batch import written
from tests.lm.test_captured import check_same

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def fused() -> ModuleType:
    pytest.importorskip("triton")
    from nexus_tui.lm.captured import fused

    return fused


def filled(config: JambaConfig, weight: torch.Tensor) -> Slots:
    """Five slots with memories of anything, of which some are active."""
    slots, generator = Slots(config, weight, 5, 128), torch.Generator().manual_seed(3)
    for state in slots.cache.layers:
        for memory in vars(state).values():
            if isinstance(memory, torch.Tensor):
                memory.copy_(torch.randn(memory.shape, generator=generator))
    slots.active.copy_(torch.tensor([True, False, True, True, False]))
    slots.length.copy_(torch.tensor([3, 9, 0, 126, 127]))
    slots.newest.copy_(torch.randint(config.vocab_size, (5,), generator=generator))
    slots.seen.copy_(torch.rand(slots.seen.shape, generator=generator) < 0.3)
    slots.seen.scatter_(1, slots.newest[:, None], True)
    how = np.ones(slots.how.shape)
    for number, sampling in enumerate(
        [Sampling(0), Sampling(1.2, seed=3), Sampling(0.7, min_p=0.1, seed=2**64 - 1),
         Sampling(1.5, repetition_penalty=1.4), Sampling(0, repetition_penalty=0.5)]
    ):  # fmt: skip
        drawing.write_how(how[number], sampling, max(0, int(slots.length[number]) + 1 - 5 * number))
    slots.how.copy_(torch.from_numpy(how))
    return slots


SIZES = {
    "small": SMALL,
    "odd": SMALL | {"vocab_size": 7, "mamba_d_state": 5, "mamba_dt_rank": 1, "mamba_d_conv": 1},
    "wide": SMALL | {"vocab_size": 300, "mamba_d_state": 1, "mamba_dt_rank": 9, "mamba_d_conv": 2},
}


@pytest.mark.parametrize(
    ("fields", "dtype"),
    [*((fields, torch.float32) for fields in SIZES.values()), (SMALL, torch.bfloat16)],
    ids=[*SIZES, "16 bits"],
)
def test_a_step_is_torchs(fused: ModuleType, fields: dict[str, Any], dtype: torch.dtype):
    """All that is told, and every memory after it; those of the others stay."""
    model = varied(HybridLM(JambaConfig(**fields)), by=0.2).to(DEVICE, dtype)
    weight = next(model.parameters())
    ours, theirs, before = (filled(model.config, weight) for _ in range(3))
    half = dtype == torch.bfloat16
    exact = {"rtol": 0.05, "atol": 0.05} if half else {"rtol": 1e-4, "atol": 1e-4}
    for _ in range(2 if fields is SMALL and not half else 1):
        step(model, fused, ours, 4, 128, False)
        step(model, None, theirs, 4, 128, False)
        assert torch.equal(ours.length, theirs.length)
        likeliest = (ours.told.shape[1] - HEAD) // 2
        for figures in (slice(2, 3), slice(HEAD + likeliest, None)):  # entropy, and the likeliest's logprobs
            torch.testing.assert_close(ours.told[:, figures], theirs.told[:, figures], **exact)
        if not half:  # of 16 bits the roundings may change places
            assert torch.equal(ours.newest, theirs.newest)
            assert torch.equal(ours.seen, theirs.seen)
            torch.testing.assert_close(ours.told, theirs.told, **exact)
    for own, their, old in zip(*(each.cache.layers for each in (ours, theirs, before)), strict=True):
        for name, memory in vars(own).items():
            if isinstance(memory, torch.Tensor):
                torch.testing.assert_close(memory, getattr(their, name), **exact)
                if name in ("conv", "ssm"):
                    idle = [1, 4]
                    assert torch.equal(memory[idle], getattr(old, name)[idle])


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # the interpreter's
def test_a_logit_that_is_no_number_is_told(fused: ModuleType, small_config: JambaConfig):
    slots = filled(small_config, torch.empty(0, device=DEVICE))
    logits = torch.zeros(4, small_config.vocab_size, device=DEVICE)
    for row, wrong in enumerate((float("nan"), float("inf"), float("-inf"))):
        logits[row, 20] = wrong
    fused.draw(slots, logits)
    assert (slots.told[:4, 1] == 0).tolist() == [True, True, True, False]


@pytest.mark.parametrize("size", [2, 256])
def test_it_draws_and_thinks_as_torch_does(fused: ModuleType, size: int):
    """Of logits that are often equal, too."""
    config = JambaConfig(**SMALL | {"vocab_size": size})
    generator = torch.Generator().manual_seed(size)
    for coarse in (2, 1000):
        ours, theirs = (filled(config, torch.empty(0, device=DEVICE)) for _ in range(2))
        logits = (torch.randn(5, size, generator=generator) * coarse).round() / coarse * 2
        logits = (logits - 0.0 * (logits == 0)).to(DEVICE)
        fused.draw(ours, logits)
        chosen = drawing.draw(logits, theirs.how, theirs.length + 1, theirs.seen, order=False)
        figures = drawing.think(logits, chosen)
        likeliest = slice(HEAD, (figures.shape[1] + HEAD) // 2)
        for whole in (slice(2), likeliest):
            assert torch.equal(ours.told[:, whole], figures[:, whole])
        torch.testing.assert_close(ours.told, figures, rtol=1e-12, atol=1e-12)
        newest = torch.where(theirs.active, chosen, theirs.newest)
        assert torch.equal(ours.newest, newest)


def test_texts_are_those_of_torch(fused: ModuleType, small_model: HybridLM):
    model = small_model.to(DEVICE)
    texts = []
    for own in (fused, None):
        decoder = Captured(model)
        decoder._fused = own
        batch = Batch(decoder)
        for number, prompt in enumerate(([3, 1, 4], [7])):
            batch.add(prompt, Sampling(0.8, max_tokens=4 - 2 * number, seed=number))
        texts.append(written(batch))
    for number in range(2):
        check_same(texts[0][number], texts[1][number])

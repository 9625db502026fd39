"""The decoder of a GPU, on the CPU: the texts and figures of the one that takes a text at a time."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nexus_tui.lm import drawing
from nexus_tui.lm.batch import Batch
from nexus_tui.lm.cache import MambaState
from nexus_tui.lm.captured import Captured
from nexus_tui.lm.captured import drawing as device
from nexus_tui.lm.captured.slots import AHEAD, NUMBERS
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.decoding import Decoder, Plain, decoder
from nexus_tui.lm.drawing import Sampling, Token
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.text import Drawn
from tests.lm.conftest import SMALL, varied
from tests.lm.test_batch import PROMPTS, SETTINGS, written

MODELS = {
    "hybrid": SMALL,
    "mamba alone": SMALL | {"attn_layer_period": 9, "attn_layer_offset": 8},
    "attention alone": SMALL | {"attn_layer_period": 1, "attn_layer_offset": 0},
    "few tokens": SMALL | {"vocab_size": 6, "num_key_value_heads": 4, "tie_word_embeddings": True},
}
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def model_of(fields: dict[str, Any]) -> HybridLM:
    return varied(HybridLM(JambaConfig(**fields)), by=0.2).eval()


def all_texts(decoder: Decoder, most: int = 16) -> dict[int, list[Drawn]]:
    """Texts with prompts of several lengths, each with other settings, of so many tokens at most.

    In 16 bits a prompt is read by the definition of the scan, which is slow: there none is long.
    """
    prompts = PROMPTS[: 3 if decoder.model.lm_head.weight.dtype == torch.bfloat16 else 4]
    batch, vocabulary = Batch(decoder), decoder.model.config.vocab_size
    for number, sampling in enumerate(SETTINGS):
        wish = replace(sampling, max_tokens=min(sampling.max_tokens, most - number))
        batch.add([id % vocabulary for id in prompts[number % len(prompts)]], wish)
    return written(batch)


def check_same(ours: list[Drawn], theirs: list[Drawn], error: float = 1e-4) -> None:
    """The same tokens, and figures that are as exact as 32 bits are."""
    assert len(ours) == len(theirs)
    for own, their in zip(ours, theirs, strict=True):
        assert isinstance(own, Token)
        assert isinstance(their, Token)
        assert own.id == their.id
        assert [a.id for a in own.alternatives] == [a.id for a in their.alternatives]
        assert (own.rank, own.entropy, own.logprob, *(a.logprob for a in own.alternatives)) == pytest.approx(
            (their.rank, their.entropy, their.logprob, *(a.logprob for a in their.alternatives)), abs=error
        )


@pytest.mark.parametrize("fields", MODELS.values(), ids=MODELS)
def test_texts_and_figures_are_those_of_a_text_at_a_time(fields: dict[str, Any]):
    model = model_of(fields)
    ours, theirs = all_texts(Captured(model)), all_texts(Plain(model))
    assert ours.keys() == theirs.keys()
    for number, text in ours.items():
        check_same(text, theirs[number])


def test_texts_come_and_go_and_leave_their_slots_to_others(small_model: HybridLM):
    alone = []
    for prompt, sampling in zip(PROMPTS, SETTINGS, strict=True):
        batch = Batch(Plain(small_model))
        batch.add(prompt, sampling)
        alone.append(written(batch)[0])
    decoder = Captured(small_model)
    batch, other = Batch(decoder), Batch(decoder)
    texts: dict[int, list[Drawn]] = {number: [] for number in range(5)}
    others: list[Drawn] = []
    for number in (0, 1):
        batch.add(PROMPTS[number], SETTINGS[number])
    other.add(PROMPTS[4], SETTINGS[4])
    for step in range(60):
        for number, token in batch.step():
            texts[number].append(token)
        others += [token for _, token in other.step()] if step % 3 else []
        if step == 4:
            batch.remove(0)
            batch.add(PROMPTS[2], SETTINGS[2])
        if step == 6:
            batch.add(PROMPTS[3], SETTINGS[3])
            batch.add(PROMPTS[4], SETTINGS[4])
            batch.remove(4)
    assert 3 < len(texts[0]) < 6
    for number in range(4):
        check_same(texts[number], alone[number][: len(texts[number])])
        assert number == 0 or len(texts[number]) == SETTINGS[number].max_tokens
    check_same(others, alone[4])
    assert decoder._slots.count == 4
    assert sorted(decoder._free) == [0, 1, 2, 3]


def test_every_text_gets_a_token_a_step(small_model: HybridLM):
    batch = Batch(Captured(small_model))
    for tokens in (3, 5, 2, 0):
        batch.add(PROMPTS[0], Sampling(max_tokens=tokens))
    steps = []
    while drawn := batch.step():
        steps.append([number for number, _ in drawn])
        if len(steps) == 2:  # the others are ahead of it by then
            batch.add(PROMPTS[1], Sampling(max_tokens=3))
    assert steps == [[0, 1, 2], [0, 1, 2], [4], [0, 1, 4], [1, 4], [1]]


def test_texts_outgrow_their_room_and_their_random_numbers(
    small_model: HybridLM, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("nexus_tui.lm.batch.ROOM", 1)
    monkeypatch.setattr("nexus_tui.lm.captured.decoder.LEAST", 8)
    for module in ("slots", "drawing", "decoder"):
        monkeypatch.setattr(f"nexus_tui.lm.captured.{module}.AHEAD", 16)
    capacities, texts = set(), []
    for each in (Captured(small_model), Plain(small_model)):
        batch = Batch(each)
        for seed in range(3):
            batch.add(PROMPTS[seed], Sampling(1.5, max_tokens=50 - seed, seed=seed))
        written_now: dict[int, list[Drawn]] = {}
        while drawn := batch.step():
            for number, token in drawn:
                written_now.setdefault(number, []).append(token)
            capacities.add(each._slots.capacity if isinstance(each, Captured) else 8)
        texts.append(written_now)
    assert capacities == {8, 16, 32, 64}
    for number in range(3):
        check_same(texts[0][number], texts[1][number])


def test_one_without_numbers_ends_and_its_slot_is_as_new(small_model: HybridLM):
    whole = small_model.model.embed_tokens.weight.detach().clone()
    with torch.no_grad():
        small_model.model.embed_tokens.weight[7] = math.nan
    decoder = Captured(small_model)
    batch = Batch(decoder)
    for prompt in ([1, 2], [3]):
        batch.add(prompt, Sampling(1.5, max_tokens=90, seed=4))
    texts = written(batch)
    assert any(isinstance(text[-1], FloatingPointError) for text in texts.values())
    for text in texts.values():
        if isinstance(text[-1], FloatingPointError):
            before = text[-2]
            assert isinstance(before, Token) and before.id == 7
            assert "no finite number at position" in str(text[-1])
        else:
            assert len(text) == 90
    with torch.no_grad():  # in place, as training changes weights: the decoder goes on with them
        small_model.model.embed_tokens.weight.copy_(whole)
    theirs = all_texts(Plain(small_model))
    for number, text in all_texts(decoder).items():
        check_same(text, theirs[number])


def test_weights_of_16_bits_have_a_state_of_32(small_model: HybridLM):
    model = small_model.bfloat16()
    decoder = Captured(model)
    assert {state.ssm.dtype for state in decoder._slots.cache.layers if isinstance(state, MambaState)} == {
        torch.float32
    }
    ours, theirs = all_texts(decoder, 6), all_texts(Plain(model), 6)
    for number, text in ours.items():
        own, their = text[1], theirs[number][1]  # the first of the decoder; later ones may part in rounding
        assert isinstance(own, Token)
        assert isinstance(their, Token)
        assert own.entropy == pytest.approx(their.entropy, abs=0.01)
        assert own.alternatives[0].logprob == pytest.approx(their.alternatives[0].logprob, abs=0.05)


class Tape(TorchFunctionMode):
    """A CUDA graph of a CPU: every call with its very tensors, and its results kept in theirs."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self._calls.append((function, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        with torch.inference_mode():
            for function, args, kwargs, result in self._calls:
                for new, old in zip(tensors(function(*args, **kwargs)), tensors(result), strict=True):
                    if new.data_ptr() != old.data_ptr():
                        old.copy_(new)


def tensors(result: Any) -> list[Tensor]:
    """Those that a call gave."""
    return [each for each in (result if isinstance(result, tuple) else (result,)) if isinstance(each, Tensor)]


class Tapes:
    """As `Graphs`."""

    def __init__(self) -> None:
        self.captured: dict[Any, Tape] = {}
        self.forgotten = 0

    def __contains__(self, key: Any) -> bool:
        return key in self.captured

    def capture(self, key: Any, work: Callable[[], None]) -> None:
        work()
        self.captured[key] = Tape()
        with self.captured[key]:
            work()

    def replay(self, key: Any) -> None:
        self.captured[key].replay()

    def forget(self) -> None:
        self.forgotten += bool(self.captured)
        self.captured.clear()


def test_what_is_captured_freezes_nothing(small_model: HybridLM, monkeypatch: pytest.MonkeyPatch):
    """Replayed with its numbers as they were, it writes the texts that are written without."""
    monkeypatch.setattr("nexus_tui.lm.batch.ROOM", 1)
    model = small_model.bfloat16()  # in 32 bits some work is in kernels that a tape does not see
    taped, plain = Captured(model), Captured(model)
    tapes = Tapes()
    taped._graphs = tapes  # type: ignore[assignment]
    ours, theirs = all_texts(taped, 9), all_texts(plain, 9)
    assert ours == theirs
    assert tapes.captured
    with torch.no_grad():  # in place, as training does: the same tapes go on
        for weight in model.parameters():
            weight.mul_(1.1)
    before = dict(tapes.captured)
    again = all_texts(taped, 9)
    assert again == all_texts(Captured(model), 9)
    assert again != ours
    assert before.items() <= tapes.captured.items()
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.flip(0))
    assert all_texts(taped, 9) == all_texts(Captured(model), 9) != again


@settings(deadline=None, max_examples=60)
@given(
    quarters=st.lists(st.lists(st.integers(-12, 12), min_size=13, max_size=13), min_size=1, max_size=4),
    exact=st.booleans(),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_k=st.integers(0, 15),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
    min_p=st.sampled_from([0.0, 0.1, 1.0]),
    penalty=st.sampled_from([0.7, 1.0, 1.4]),
    seed=st.integers(0, 2**64 - 1),
    position=st.integers(0, 10**9),
)
def test_it_draws_what_the_host_draws(
    quarters: list[list[int]], exact: bool, temperature: float, top_k: int, top_p: float, min_p: float,
    penalty: float, seed: int, position: int,
):  # fmt: skip
    """From the same logits, often equal ones: the same token, and the same thoughts of it."""
    sampling = Sampling(temperature, top_k, top_p, 1, seed, min_p, penalty)
    logits = np.array(quarters, np.float32) / 4
    if not exact:
        logits = np.sin(logits * 9 + np.arange(13, dtype=np.float32))
    seen = np.sin(logits * 5) > 0.3
    how = np.ones((len(logits), NUMBERS + AHEAD))
    for row in how:
        device.write_how(row, sampling, position)
    for ahead in (0, 1, AHEAD - 1):
        places = torch.full((len(logits),), position + ahead)
        table, tensor = torch.from_numpy(how), torch.from_numpy(logits)
        chosen = device.draw(tensor, table, places, torch.from_numpy(seen), order=device.ordered(sampling))
        same = device.draw(tensor, table, places, torch.from_numpy(seen), order=True)
        figures = device.think(tensor, chosen).numpy()
        assert torch.equal(chosen, same)
        for row, (own, here) in enumerate(zip(logits, seen, strict=True)):
            token = drawing.draw(own.astype(np.float64), sampling, position + ahead, here)
            ids, logprobs = zip(*token.alternatives, strict=True)
            expected = [token.id, token.rank, token.entropy, token.logprob, *ids, *logprobs]
            np.testing.assert_allclose(figures[row], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_no_number_is_told(wrong: float):
    logits = torch.zeros(3, 13)
    logits[1, 12] = wrong
    figures = device.think(logits, torch.tensor([0, 0, 12]))
    assert (figures[:, 1] == torch.tensor([1, 0, 13])).all()


def test_a_number_next_to_1_draws_no_token_that_was_cut():
    """Nor one behind the last, whatever the order in which its weight was summed."""
    weights = torch.tensor([[0.1, 0.7, 0.0], [0.0, 0.3, 0.4], [0.0, 0.0, 1e-300]], dtype=torch.float64)
    for number, expected in ((math.nextafter(1, 0), [1, 2, 2]), (0.0, [0, 1, 2])):
        numbers = torch.full((3, 1), number, dtype=torch.float64)
        assert device._pick(weights, numbers).tolist() == expected


def test_who_decodes_what(small_model: HybridLM):
    assert not isinstance(decoder(small_model), Captured)
    assert not isinstance(decoder(small_model.bfloat16()), Captured)


@GPU
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fields", MODELS.values(), ids=MODELS)
def test_captured_is_what_it_is_without_capture(fields: dict[str, Any], dtype: torch.dtype):
    model = model_of(fields).to("cuda", dtype)
    assert isinstance(decoder(model), Captured)
    captured = Captured(model)
    ours, theirs = all_texts(captured), all_texts(Captured(model, capture=False))
    assert captured._graphs is not None
    assert ours == theirs


@GPU
def test_a_gpu_writes_what_the_processor_writes(small_model: HybridLM):
    theirs = all_texts(Plain(small_model))
    ours = all_texts(Captured(small_model.cuda()))
    for number, text in ours.items():
        check_same(text, theirs[number], error=1e-3)


@GPU
def test_weights_that_change_in_place_are_read(small_model: HybridLM):
    model = small_model.cuda()
    captured = Captured(model)
    before = all_texts(captured)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.1)
    after = all_texts(captured)
    assert after != before
    assert after == all_texts(Captured(model, capture=False))

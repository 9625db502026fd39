"""Texts that are continued together: each is what it is alone, whatever the others do."""

import itertools
import math

import pytest
import torch

from nexus_tui.lm.batch import Batch
from nexus_tui.lm.decoding import Compiled, Decoder, Plain
from nexus_tui.lm.generation import Sampling, generate
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pace import Pace
from nexus_tui.lm.text import Drawn

PROMPTS = [[3, 1, 4, 1, 5, 9], [7], [3, 1, 4, 1, 5, 9], list(range(40)) * 20, [2, 7]]
SETTINGS = [
    Sampling(0, max_tokens=30),
    Sampling(0.8, max_tokens=12, seed=1),
    Sampling(0.8, max_tokens=25, seed=2**64 - 1),
    Sampling(1.3, 12, 0.9, 20, seed=3, min_p=0.01),
    Sampling(1.0, max_tokens=30, seed=4, repetition_penalty=1.3),
]


def written(batch: Batch) -> dict[int, list[Drawn]]:
    texts: dict[int, list[Drawn]] = {}
    while drawn := batch.step():
        for number, token in drawn:
            texts.setdefault(number, []).append(token)
    return texts


@pytest.fixture(params=[Compiled, Plain])
def decoder(request: pytest.FixtureRequest, small_model: HybridLM) -> Decoder:
    decoder: Decoder = request.param(small_model)
    return decoder


@pytest.mark.parametrize("threads", [1, 2])
def test_each_text_is_what_it_is_alone(small_model: HybridLM, threads: int):
    """Tokens and figures, to the last bit: prompts of other lengths, ends at other times, other settings."""
    torch.set_num_threads(threads)  # set back by the fixture of all these tests
    batch = Batch(Compiled(small_model))
    wishes = list(itertools.product(PROMPTS, SETTINGS))
    numbers = [batch.add(prompt, sampling) for prompt, sampling in wishes]
    texts = written(batch)
    assert numbers == list(range(25))
    for number, (prompt, sampling) in zip(numbers, wishes, strict=True):
        assert texts[number] == list(generate(small_model, prompt, sampling))
        assert len(texts[number]) == sampling.max_tokens


def test_texts_come_and_go(decoder: Decoder):
    alone = []
    for prompt, sampling in zip(PROMPTS, SETTINGS, strict=True):
        batch = Batch(decoder)
        batch.add(prompt, sampling)
        alone.append(written(batch)[0])
    batch = Batch(decoder)
    texts: dict[int, list[Drawn]] = {number: [] for number in range(5)}
    batch.add(PROMPTS[0], SETTINGS[0])
    batch.add(PROMPTS[1], SETTINGS[1])
    for step in range(60):
        for number, token in batch.step():
            texts[number].append(token)
        if step == 4:
            batch.remove(0)
            batch.add(PROMPTS[2], SETTINGS[2])
        if step == 6:
            batch.add(PROMPTS[3], SETTINGS[3])
            batch.add(PROMPTS[4], SETTINGS[4])
            batch.remove(4)
    assert texts[0] == alone[0][: len(texts[0])] and 3 < len(texts[0]) < 6
    assert texts[4] == []
    assert [texts[number] for number in (1, 2, 3)] == alone[1:4]
    assert batch.step() == []


def test_a_prompt_that_several_have_is_read_once(small_model: HybridLM):
    lengths = []
    batch = Batch(Compiled(small_model))
    for seed in range(5):
        batch.add(PROMPTS[0], Sampling(max_tokens=9, seed=seed))
    batch.add([1, 2], Sampling(max_tokens=9))
    small_model.register_forward_pre_hook(lambda model, arguments: lengths.append(arguments[0].shape[1]))
    texts = written(batch)
    assert lengths == [6, 2]
    assert [len(text) for text in texts.values()] == [9] * 6
    assert len({tuple(token.id for token in text) for text in texts.values()}) == 6


def test_every_text_gets_a_token_a_step(decoder: Decoder):
    batch = Batch(decoder)
    for tokens in (3, 5, 2):
        batch.add(PROMPTS[0], Sampling(max_tokens=tokens))
    batch.add(PROMPTS[1], Sampling(max_tokens=0))
    steps = []
    while drawn := batch.step():
        steps.append([number for number, _ in drawn])
    assert steps == [[0, 1, 2], [0, 1, 2], [0, 1], [1], [1]]


def test_one_without_numbers_ends_and_the_others_go_on(small_model: HybridLM):
    with torch.no_grad():
        small_model.model.embed_tokens.weight[49] = math.nan
    batch = Batch(Compiled(small_model))
    for prompt in ([1, 2], [1, 49], [3]):
        batch.add(prompt, Sampling(0, max_tokens=6))
    texts = written(batch)
    (error,) = texts[1]
    assert isinstance(error, FloatingPointError)
    assert "no finite number at position 2" in str(error)
    assert [len(texts[number]) for number in (0, 2)] == [6, 6]


def test_less_than_a_core_is_one_thread(small_model: HybridLM, monkeypatch: pytest.MonkeyPatch):
    torch.set_num_threads(2)
    decoder, used = Compiled(small_model), []
    read = decoder.read
    monkeypatch.setattr(decoder, "read", lambda texts, ids, n: used.append(n) or read(texts, ids, n))
    for share in (1.0, 0.99):
        batch = Batch(decoder, Pace(share))
        batch.add([1], Sampling(max_tokens=2))
        batch.add([2], Sampling(max_tokens=2))
        written(batch)
    assert used == [2, 1]


def test_ids_that_the_model_does_not_have(decoder: Decoder):
    batch = Batch(decoder)
    with pytest.raises(ValueError, match="position 1 has id 50, but the model knows 0 to 49"):
        batch.add([3, 50], Sampling())
    assert batch.step() == []


def test_who_is_told_of_a_prompt_may_end_it(small_model: HybridLM):
    told = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done:
            raise KeyboardInterrupt

    batch = Batch(Compiled(small_model), progress=progress)
    batch.add([5] * 1300, Sampling())
    with pytest.raises(KeyboardInterrupt):
        batch.step()
    assert told == [(0, 1300), (512, 1300)]

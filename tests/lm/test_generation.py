"""What is drawn, what it is drawn from, and that nothing else changes."""

import math
import re
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nexus_tui.lm import batch, decoding, generation
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.generation import Sampling, draw, generate, probabilities, score, uniform
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.step import tokens
from tests.lm.conftest import SMALL, varied

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6]


def ids_of(tokens: object) -> list[int]:
    return [token.id for token in tokens]


@pytest.mark.parametrize("sampling", [Sampling(max_tokens=30), Sampling(1.2, 12, 0.9, 30, seed=2**64 - 1)])
def test_the_seed_decides_the_text(small_model: HybridLM, sampling: Sampling):
    torch.manual_seed(1)
    np.random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = list(generate(small_model, PROMPT, sampling))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])
    torch.manual_seed(2)
    assert list(generate(small_model, PROMPT, sampling)) == first
    other = Sampling(sampling.temperature, sampling.top_k, sampling.top_p, 30, sampling.seed - 1 & 0xFF)
    assert ids_of(generate(small_model, PROMPT, other)) != ids_of(first)
    assert len(first) == 30


def test_the_text_so_far_continues_as_it_would_have(small_model: HybridLM):
    whole = ids_of(generate(small_model, PROMPT, Sampling(max_tokens=25, seed=4)))
    rest = ids_of(generate(small_model, PROMPT + whole[:10], Sampling(max_tokens=15, seed=4)))
    assert rest == whole[10:]


def test_figures_of_a_token_are_those_of_the_unmodified_model(small_model: HybridLM):
    sampling = Sampling(temperature=1.7, top_k=20, top_p=0.8, max_tokens=20, seed=8)
    tokens = list(generate(small_model, PROMPT, sampling))
    with torch.no_grad():
        logits = small_model(torch.tensor([PROMPT + ids_of(tokens)]))[0, len(PROMPT) - 1 : -1].double()
    logprobs = logits.log_softmax(-1)
    for token, row in zip(tokens, logprobs, strict=True):
        assert token.logprob == pytest.approx(row[token.id].item(), abs=1e-4)
        assert token.entropy == pytest.approx(-(row.exp() * row).sum().item(), abs=1e-4)
        assert row.argsort(descending=True)[token.rank - 1] == token.id
    losses = score(small_model, PROMPT + ids_of(tokens))
    assert losses.shape == (len(PROMPT) + 20 - 1,)
    expected = torch.tensor([-token.logprob for token in tokens])
    torch.testing.assert_close(losses[len(PROMPT) - 1 :], expected, rtol=0, atol=1e-4)


def test_greedy_takes_the_most_probable(small_model: HybridLM):
    greedy = list(generate(small_model, PROMPT, Sampling(temperature=0, max_tokens=12)))
    assert all(token.rank == 1 for token in greedy)
    first_of_one = ids_of(generate(small_model, PROMPT, Sampling(5.0, top_k=1, max_tokens=12, seed=3)))
    assert ids_of(greedy) == first_of_one
    nearly = ids_of(generate(small_model, PROMPT, Sampling(temperature=1e-300, max_tokens=12, seed=3)))
    assert ids_of(greedy) == nearly
    assert draw(np.array([1.0, 2.0, 2.0]), Sampling(temperature=0), 0).id == 1  # of equals the lower id
    drawn = [draw(np.array([2.0, 1.0, 2.0]), Sampling(seed=seed), 0) for seed in range(50)]
    assert {(token.id, token.rank) for token in drawn} == {(0, 1), (1, 3), (2, 2)}


def plain_probabilities(
    logits: list[float], temperature: float, top_k: int, top_p: float
) -> NDArray[np.float64]:
    """The definition, one candidate after the other."""
    weights = np.exp((np.array(logits) - max(logits)) / temperature)
    candidates = sorted(range(len(logits)), key=lambda token: (-logits[token], token))
    if top_k:
        candidates = candidates[:top_k]
    total, reached, kept = sum(weights[token] for token in candidates), 0.0, []
    for token in candidates:
        kept.append(token)
        reached += weights[token]
        if reached >= top_p * total:
            break
    result = np.zeros(len(logits))
    result[kept] = weights[kept]
    return result / result.sum()


@settings(max_examples=300, deadline=None)
@given(
    # quarters, so that equals are frequent
    logits=st.lists(st.integers(-20, 20).map(lambda n: n / 4), min_size=1, max_size=30),
    temperature=st.floats(0.1, 3),
    top_k=st.integers(0, 35),
    top_p=st.floats(0.01, 1),
)
def test_top_k_and_top_p_are_as_defined(logits: list[float], temperature: float, top_k: int, top_p: float):
    sampling = Sampling(temperature, top_k, top_p)
    weights = probabilities(np.array(logits), sampling)
    expected = plain_probabilities(logits, temperature, top_k, top_p)
    np.testing.assert_allclose(weights / weights.sum(), expected, rtol=1e-9, atol=1e-12)


def test_draws_follow_the_distribution():
    logits = np.log(np.array([0.5, 0.2, 1e-9, 0.15, 0.1, 0.05]))
    sampling = Sampling(temperature=0.7, top_p=0.95, seed=12)
    expected = plain_probabilities(list(logits), 0.7, 0, 0.95)
    count = 5_000
    drawn = np.bincount([draw(logits, sampling, position).id for position in range(count)], minlength=6)
    assert (drawn[expected == 0] == 0).all()
    possible = expected > 0
    chi_squared = ((drawn - count * expected)[possible] ** 2 / (count * expected[possible])).sum()
    assert chi_squared < 20  # 3 degrees of freedom: by chance above 20 once in 6000


@given(seed=st.integers(0, 2**64 - 1), position=st.integers(0, 2**31))
def test_random_numbers_depend_on_seed_and_position_alone(seed: int, position: int):
    number = uniform(seed, position)
    assert 0 <= number < 1
    uniform(seed, position + 1)
    assert uniform(seed, position) == number
    assert uniform(seed, position + 1) != number
    philox = np.random.Philox(key=seed, counter=position)
    assert number == np.random.Generator(philox).random()
    assert uniform(seed ^ 1, position) != number


def test_random_numbers_never_change():
    """Texts on record are made again from their seeds, with every version of numpy and of this program."""
    numbers = [uniform(0, 0), uniform(7, 3), uniform(2**64 - 1, 10**6)]
    assert numbers == [0.011546754286331562, 0.44205212947108785, 0.4614255439484173]


@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_the_prompt_is_read_in_chunks_to_the_same_end(
    small_model: HybridLM, chunk: int, monkeypatch: pytest.MonkeyPatch
):
    expected_losses = score(small_model, PROMPT)
    expected = list(generate(small_model, PROMPT, Sampling(max_tokens=8)))
    for module in (batch, generation):
        monkeypatch.setattr(module, "PROMPT_CHUNK", chunk)
    tokens = list(generate(small_model, PROMPT, Sampling(max_tokens=8)))
    assert ids_of(tokens) == ids_of(expected)
    assert [t.logprob for t in tokens] == pytest.approx([t.logprob for t in expected], abs=1e-5)
    torch.testing.assert_close(score(small_model, PROMPT), expected_losses, rtol=0, atol=1e-5)


def test_a_prompt_is_read_by_the_chunk_and_not_by_the_token(small_model: HybridLM):
    lengths = []
    small_model.register_forward_pre_hook(lambda model, arguments: lengths.append(arguments[0].shape[1]))
    list(generate(small_model, [7] * 1100, Sampling(max_tokens=3)))
    assert lengths == [512, 512, 76]  # what is drawn goes through the compiled step


def test_an_empty_prompt_is_a_line_break(small_model: HybridLM):
    sampling = Sampling(max_tokens=6)
    assert list(generate(small_model, [], sampling)) == list(generate(small_model, [10], sampling))
    other = list(generate(small_model, [], sampling, empty_prompt_id=2))
    assert other == list(generate(small_model, [2], sampling))


def test_no_tokens_asked_none_given(small_model: HybridLM):
    assert list(generate(small_model, PROMPT, Sampling(max_tokens=0))) == []


def test_closing_stops_and_the_caller_is_left_alone(small_model: HybridLM):
    tokens = generate(small_model, PROMPT, Sampling(max_tokens=100))
    next(tokens)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    weight = torch.ones(2, requires_grad=True)
    (weight * 2).sum().backward()  # the caller may train between two tokens
    next(tokens)
    tokens.close()
    with pytest.raises(StopIteration):
        next(tokens)


@pytest.mark.parametrize("token", [-1, 50, 256])
def test_ids_the_model_does_not_have(small_model: HybridLM, token: int):
    with pytest.raises(ValueError, match=rf"position 1 has id {token}, but the model knows 0 to 49"):
        generate(small_model, [3, token], Sampling())
    with pytest.raises(ValueError, match=rf"position 1 has id {token}"):
        score(small_model, [3, token])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("max_tokens", -1),
        ("seed", -1),
        ("seed", 2**64),
    ],
)
def test_impossible_sampling(name: str, value: float):
    with pytest.raises(ValueError, match=re.escape(f"{name} is {value}; it must be ")):
        Sampling(**{name: value})


@pytest.mark.parametrize("prompt", [PROMPT, [3]], ids=["whole prompt", "one token"])
def test_a_diverged_model_is_named(small_model: HybridLM, prompt: list[int]):
    with torch.no_grad():
        for parameter in small_model.parameters():
            parameter.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=f"no finite number at position {len(prompt)}"):
        next(generate(small_model, prompt, Sampling()))


@pytest.mark.parametrize("ids", [[], [4]])
def test_too_short_to_score(small_model: HybridLM, ids: list[int]):
    assert score(small_model, ids).shape == (0,)


def test_score_is_the_loss(small_model: HybridLM):
    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        expected = small_model.loss(ids[:, :-1], ids[:, 1:], reduction="none")[0]
    torch.testing.assert_close(score(small_model, PROMPT), expected, rtol=0, atol=1e-5)


def test_warming_up_compiles_the_step(small_model: HybridLM):
    decoding.warm_up(small_model)
    compiled = list(tokens.step.signatures)
    assert compiled
    list(generate(small_model, PROMPT, Sampling(max_tokens=5)))
    assert tokens.step.signatures == compiled  # sampling compiles nothing more


def test_sampling_while_another_thread_trains(small_model: HybridLM):
    """Neither changes what the other computes."""

    def train(steps: int) -> list[float]:
        model = varied(HybridLM(JambaConfig(**SMALL), seed=2))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        ids = torch.randint(0, 50, (4, 33), generator=torch.Generator().manual_seed(0))
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model.loss(ids[:, :-1], ids[:, 1:])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    sampling = Sampling(max_tokens=60, seed=5)
    texts = [list(generate(small_model, prompt, sampling)) for prompt in (PROMPT, PROMPT * 9)]
    losses = train(25)

    results: dict[str, list[object]] = {"train": [], "sample": []}
    barrier = threading.Barrier(3)

    def train_too() -> None:
        barrier.wait()
        results["train"] += train(25)

    def sample() -> None:
        barrier.wait()
        own = [list(generate(small_model, prompt, sampling)) for prompt in (PROMPT, PROMPT * 9)]
        results["sample"] += own

    threads = [threading.Thread(target=work) for work in (train_too, sample, sample)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results["train"] == losses
    assert results["sample"] == texts * 2

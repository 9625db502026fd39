"""Penalty and cuts are those of transformers' generate; alternatives are the most probable tokens."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nexus_tui.lm.drawing import ALTERNATIVES, Sampling, SamplingError, draw, probabilities
from nexus_tui.lm.generation import generate
from nexus_tui.lm.hybrid import HybridLM
from tests.lm.test_hybrid import peer_of


def transformers_probabilities(
    logits: NDArray[np.float64], sampling: Sampling, seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What transformers' own processors make of logits, in the order in which its generate puts them."""
    from transformers import GenerationConfig, JambaConfig, JambaForCausalLM

    how = GenerationConfig(
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p or None,
        repetition_penalty=sampling.repetition_penalty,
    )
    small = JambaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        num_key_value_heads=1, num_experts=1, num_experts_per_tok=1,
    )  # fmt: skip
    processors = JambaForCausalLM(small)._get_logits_processor(how)
    ids = torch.from_numpy(np.flatnonzero(seen))[None]
    scores = processors(ids, torch.from_numpy(logits)[None])
    found: NDArray[np.float64] = scores.softmax(-1)[0].numpy()
    return found


def our_probabilities(
    logits: NDArray[np.float64], sampling: Sampling, seen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    weights = probabilities(logits, sampling, seen)
    return weights / weights.sum()


SETTINGS = list(
    itertools.product((0.3, 1.0, 1.9), (0, 1, 7), (0.4, 0.93, 1.0), (0.0, 0.03, 0.5), (0.7, 1, 1.3))
)


@pytest.mark.filterwarnings("ignore:Passing `repetition_penalty`")  # which ids it is for is told below
@pytest.mark.parametrize("seed", range(4))
def test_every_combination_keeps_the_tokens_and_probabilities_that_transformers_keeps(seed: int):
    random = np.random.default_rng(seed)
    cut = 0
    for number, (temperature, top_k, top_p, min_p, penalty) in enumerate(SETTINGS):
        if number % 4 != seed:
            continue
        logits, seen = random.normal(0, 2.5, 50), random.random(50) < 0.4
        sampling = Sampling(temperature, top_k, top_p, min_p=min_p, repetition_penalty=penalty)
        expected = transformers_probabilities(logits, sampling, seen)
        ours = our_probabilities(logits, sampling, seen)
        assert np.array_equal(ours > 0, expected > 0), sampling
        np.testing.assert_allclose(ours, expected, rtol=1e-12)
        cut += np.count_nonzero(ours == 0) > 0
    assert cut > 40


def test_order_matters_and_is_ours():
    """Min-p after temperature and top-p; before either, another set would be left."""
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    hot = probabilities(logits, Sampling(temperature=2, min_p=0.5))
    assert list(hot > 0) == [True, True, True, False]  # sqrt(0.15 / 0.5) = 0.55
    cold = probabilities(logits, Sampling(temperature=0.5, min_p=0.5))
    assert list(cold > 0) == [True, False, False, False]


def test_the_most_probable_token_always_stays():
    logits = np.array([0.0, 1.0, 3.0, 2.0])
    for sampling in (Sampling(min_p=1), Sampling(0.01, min_p=1), Sampling(top_k=1), Sampling(top_p=1e-9)):
        assert list(np.flatnonzero(probabilities(logits, sampling))) == [2]


@pytest.mark.parametrize("penalty", [1.0, 1.5, 0.5])
def test_greedy_with_a_penalty_is_transformers_greedy(small_model: HybridLM, penalty: float):
    prompt = [3, 1, 4, 1, 5, 9, 2, 6]
    sampling = Sampling(0, max_tokens=30, repetition_penalty=penalty)
    ours = [token.id for token in generate(small_model, prompt, sampling)]
    theirs = peer_of(small_model).generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=30, repetition_penalty=penalty,
        eos_token_id=-1, pad_token_id=0,
    )  # fmt: skip
    assert ours == theirs[0, len(prompt) :].tolist()
    without = [token.id for token in generate(small_model, prompt, Sampling(0, max_tokens=30))]
    assert (ours == without) == (penalty == 1)


def test_a_penalty_changes_the_draw_and_not_what_the_model_thought():
    logits, seen = np.array([2.0, 1.9, -1.0]), np.array([True, False, True])
    token = draw(logits, Sampling(0, repetition_penalty=2), 0, seen)
    assert (token.id, token.rank) == (1, 2)
    plain = draw(logits, Sampling(0), 0, seen)
    assert token.alternatives == plain.alternatives
    assert token.entropy == plain.entropy


@settings(deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=40), st.integers(0, 5))
def test_alternatives_are_the_most_probable_of_equals_the_lower_id(quarters: list[int], seed: int):
    logits = np.array(quarters) / 4
    token = draw(logits, Sampling(2.0, seed=seed), 0)
    order = sorted(range(len(logits)), key=lambda id: (-logits[id], id))
    assert [alternative.id for alternative in token.alternatives] == order[:ALTERNATIVES]
    exact = logits - np.log(np.exp(logits).sum())
    assert [a.logprob for a in token.alternatives] == pytest.approx([exact[i] for i in order[:ALTERNATIVES]])
    assert order[token.rank - 1] == token.id
    if token.rank <= ALTERNATIVES:
        assert token.alternatives[token.rank - 1] == (token.id, token.logprob)


@pytest.mark.parametrize(
    ("name", "value"),
    [("min_p", -0.1), ("min_p", 1.1), ("min_p", float("nan")), ("repetition_penalty", 0.0),
     ("repetition_penalty", float("nan")), ("repetition_penalty", 1e9)],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(name: str, value: float):
    with pytest.raises(SamplingError, match=f"^{name} is {value}; it must be .*\\.$"):
        Sampling(**{name: value})


@pytest.mark.parametrize("penalty", [0.01, 100])
def test_the_strongest_penalty_is_still_a_number(penalty: float):
    logits, seen = np.array([80.0, -90.0, 3.0]), np.array([True, True, False])
    for temperature in (1e-3, 1.0):
        draw(logits, Sampling(temperature, repetition_penalty=penalty), 0, seen)

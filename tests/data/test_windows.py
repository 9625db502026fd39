"""Splits, batches and validation windows."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.data.corpus import Corpus, CorpusError
from nexus_tui.data.dataset import prepare
from nexus_tui.data.random import generator
from nexus_tui.data.windows import batch, split, target_bytes, validation_windows


def corpus_of(text: str) -> Corpus:
    data = text.encode()
    return Corpus("text", data, hashlib.sha256(data).hexdigest())


def test_the_usual_split(shakespeare: Corpus) -> None:
    dataset = prepare(shakespeare, "byte")
    assert len(dataset.train) == 1_003_854
    assert len(dataset.validation) == 111_540
    assert dataset.text.train + dataset.text.validation == shakespeare.data
    assert (dataset.train_bytes, dataset.validation_bytes) == (1_003_854, 111_540)


@given(st.text(min_size=1), st.floats(0.01, 0.99))
def test_a_split_loses_nothing_and_cuts_no_character(text: str, validation: float) -> None:
    parts = split(text.encode(), validation)
    assert parts.train.decode() + parts.validation.decode() == text
    ideal = len(text.encode()) * (1 - validation)
    assert ideal - 4 < len(parts.train) <= ideal


def test_the_validation_windows_are_fixed_and_complete(shakespeare: Corpus) -> None:
    validation = prepare(shakespeare, "byte").validation
    inputs, targets = validation_windows(validation, 128)
    assert inputs.shape == targets.shape == (871, 128)
    assert inputs.dtype == targets.dtype == np.int64
    np.testing.assert_array_equal(inputs.ravel(), validation[: 871 * 128])
    np.testing.assert_array_equal(targets.ravel(), validation[1 : 871 * 128 + 1])


@given(st.integers(2, 300), st.integers(1, 40))
def test_every_full_window_and_no_other(length: int, window: int) -> None:
    tokens = np.arange(length, dtype=np.int32)
    if length < window + 1:
        with pytest.raises(CorpusError, match="too short"):
            validation_windows(tokens, window)
        return
    inputs, targets = validation_windows(tokens, window)
    np.testing.assert_array_equal(targets, inputs + 1)
    assert length - 1 - window < targets[-1, -1] <= length - 1


@given(
    st.integers(0, 2**63), st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 30), st.integers(0, 400)
)
def test_a_batch_is_a_pure_function_of_seed_and_step(
    seed: int, step: int, size: int, window: int, more: int
) -> None:
    tokens = np.arange(window + 1 + more, dtype=np.int32)
    inputs, targets = batch(tokens, window, size, seed, step)
    batch(tokens, window, size, seed + 1, step + 7)  # what others draw in between changes nothing
    again, _ = batch(tokens, window, size, seed, step)
    np.testing.assert_array_equal(inputs, again)
    assert inputs.shape == targets.shape == (size, window)
    assert inputs.dtype == targets.dtype == np.int64
    np.testing.assert_array_equal(targets, inputs + 1)
    np.testing.assert_array_equal(np.diff(inputs, axis=1), 1)


def test_these_are_the_batches_of_every_version() -> None:
    """A run is resumed by later versions of the program and of numpy: the batches must not change."""
    inputs, _ = batch(np.arange(100_000, dtype=np.int32), 128, 4, 1, 600)
    assert inputs[:, 0].tolist() == [67346, 5266, 82962, 3602]


def test_seeds_and_steps_give_different_batches() -> None:
    tokens = np.arange(100_000, dtype=np.int32)
    first = batch(tokens, 16, 8, 1, 1)[0]
    assert not np.array_equal(first, batch(tokens, 16, 8, 1, 2)[0])
    assert not np.array_equal(first, batch(tokens, 16, 8, 2, 1)[0])


def test_an_epoch_covers_the_corpus_once() -> None:
    window, size, length = 8, 4, 8 * 50 + 3
    tokens = np.arange(length, dtype=np.int32)
    slots = (length - window) // window
    steps = 3 * slots // size  # three whole epochs, as slots is no multiple of size
    assert slots % size and 3 * slots % size
    targets = np.concatenate([batch(tokens, window, size, 5, step)[1] for step in range(steps + 1)])
    for epoch in range(3):
        seen = targets[epoch * slots : (epoch + 1) * slots].ravel()
        assert len(np.unique(seen)) == len(seen) == slots * window
        assert np.ptp(seen) + 1 == len(seen)


def test_epochs_differ_in_order_and_phase() -> None:
    tokens = np.arange(8 * 50, dtype=np.int32)
    epochs = [batch(tokens, 8, 49, 5, epoch)[0][:, 0] for epoch in range(6)]
    assert len({int(starts.min()) for starts in epochs}) > 1
    assert len({tuple(starts // 8) for starts in epochs}) == 6


def test_too_short_a_text_is_refused_before_training() -> None:
    dataset = prepare(corpus_of("a" * 100), "byte")
    with pytest.raises(CorpusError, match="validation part has 10 tokens and one window takes 17"):
        dataset.require(16)
    dataset.require(9)
    with pytest.raises(CorpusError, match="training part"):
        batch(dataset.train, 90, 1, 1, 0)


def test_too_short_a_text_for_the_vocabulary() -> None:
    with pytest.raises(CorpusError, match=r"too short for 1,000 BPE tokens \(it gives 265"):
        prepare(corpus_of("to be or not " * 3), "bpe", 1000)


def test_target_bytes_count_the_text() -> None:
    dataset = prepare(corpus_of("the fair king, the fair queen; " * 40), "bpe", 262)
    _, targets = validation_windows(dataset.validation, 7)
    counted = target_bytes(targets, dataset.token_bytes)
    texts = [b"".join(dataset.token_bytes[id] for id in row) for row in targets]
    assert counted.tolist() == [len(text) for text in texts]
    assert counted.max() > targets.shape[1]
    assert b"".join(texts) in dataset.text.validation


def test_the_protocol_names_text_tokens_and_window() -> None:
    corpus = corpus_of("the fair king, the fair queen; " * 40)
    byte, bpe = prepare(corpus, "byte"), prepare(corpus, "bpe", 262)
    other = prepare(corpus_of("the fair king, the fair quean; " * 40), "byte")
    elsewhere = Corpus("renamed", corpus.data, corpus.sha256)
    assert byte.protocol(16) == prepare(elsewhere, "byte").protocol(16)
    names = [byte.protocol(16), byte.protocol(17), bpe.protocol(16), other.protocol(16)]
    assert len(set(names)) == 4
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in names)


def test_a_given_tokenizer_is_used_as_it_is() -> None:
    corpus = corpus_of("the fair king, the fair queen; " * 40)
    bpe = prepare(corpus, "bpe", 262)
    resumed = prepare(corpus, "bpe", 262, tokenizer=bpe.tokenizer)
    assert resumed.tokenizer is bpe.tokenizer
    np.testing.assert_array_equal(resumed.train, bpe.train)


def test_generators_differ_by_seed_purpose_and_step() -> None:
    def draw(seed: int, purpose: str, step: int) -> tuple[int, ...]:
        return tuple(generator(seed, purpose, step).bit_generator.random_raw(4).tolist())

    assert draw(1, "sample", 3) == draw(1, "sample", 3)
    assert len({draw(1, "sample", 3), draw(2, "sample", 3), draw(1, "batches", 3), draw(1, "sample", 4)}) == 4
    assert draw(2**64 - 1, "sample", 3) != draw(0, "sample", 3)

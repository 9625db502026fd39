"""All pairs at once: equal checkpoints are seldom told apart, different ones are; bits of equal bytes."""

import math
from itertools import combinations

import numpy as np
import pytest

from nexus_tui.runs.pairs import critical_value, paired, paired_bits
from nexus_tui.runs.ties import BLOCKS
from nexus_tui.runs.token_losses import TokenLosses

from .test_ties import equal_checkpoints

TEXT = b"the quick brown fox jumps over the lazy dog. " * 60


def told_apart(losses: list[np.ndarray]) -> bool:
    pairs = (paired(a, b, len(losses)) for a, b in combinations(losses, 2))
    return any(not apart.low <= 0 <= apart.high for apart in pairs)


def rate(count: int, slow: float, runs: int, walk: bool = False, better: float = 0.0) -> float:
    """How often any pair of equal checkpoints (the first `better` by so much) is told apart."""
    random = np.random.default_rng([count, int(100 * slow), walk])
    found = 0
    for _ in range(runs):
        losses = np.stack(list(equal_checkpoints(random, count, slow).values()))
        if walk:  # each continues the one before, as checkpoints of one run do
            losses = np.cumsum(losses - 1.5, axis=0)
        losses[0] -= better
        found += told_apart(list(losses))
    return found / runs


@pytest.mark.parametrize(("count", "slow"), [(2, 0.0), (4, 0.08), (8, 0.0), (8, 0.08)])
def test_no_pair_of_equal_checkpoints_is_told_apart_95_percent_of_the_time(count: int, slow: float) -> None:
    # 300 runs: standard error of the rate 0.013 at the nominal 0.05, so 0.09 is three of them above it.
    # Over 1000 runs: 0.042 (2, independent), 0.061 (4, slow), 0.059 (8, independent), 0.071 (8, slow).
    assert 0.005 <= rate(count, slow, runs=300) <= 0.1


def test_checkpoints_that_continue_one_another_are_told_apart_even_less() -> None:
    # Their differences have steps in common, so fewer of them are chances to be wrong: 0.009 over 1000 runs.
    assert rate(8, 0.0, runs=200, walk=True) <= 0.05


@pytest.mark.parametrize("count", [2, 8])
def test_a_real_difference_is_found(count: int) -> None:
    # One window's noise is 0.035 nats, so the standard error of a difference is about 0.0017.
    assert rate(count, 0.0, runs=60, better=0.012) >= 0.95


def test_every_pair_of_a_real_order_is_found_and_has_its_sign() -> None:
    losses = list(equal_checkpoints(np.random.default_rng(3), 6, 0.08).values())
    for place, each in enumerate(losses):
        each -= 0.02 * place
    for a, b in combinations(range(6), 2):
        apart = paired(losses[a], losses[b], 6)
        assert apart.high < 0
        assert apart.low < -0.02 * (b - a) < apart.high
        assert apart.blocks == BLOCKS


def test_the_critical_value_of_two_is_students_and_grows_with_the_pairs() -> None:
    values = [critical_value(count, BLOCKS) for count in range(2, 9)]
    assert values[0] == pytest.approx(2.262, abs=0.03)  # t, 9 degrees of freedom, 97.5 %
    assert values == sorted(values)
    assert values[-1] < 4.8  # Bonferroni's for 28 pairs


def test_identical_losses_differ_by_nothing_and_a_constant_difference_is_sure() -> None:
    losses = np.linspace(1, 2, 50, dtype=np.float32)
    same = paired(losses, losses, 8)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    higher = paired(losses, losses + 0.5, 8)
    assert 0.499 < higher.low <= higher.mean <= higher.high < 0.501


def test_windows_that_make_no_pairs_are_refused() -> None:
    for a, b in ((np.ones(3), np.ones(4)), (np.ones(1), np.ones(1)), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError, match="make no pairs"):
            paired(a, b)


def scored(text: bytes, tokens: list[bytes], length: int, bits: np.ndarray, protocol: str) -> TokenLosses:
    """Token losses of a text in which every byte costs what `bits` says, whatever the tokens: [bytes]."""
    vocabulary = sorted(set(tokens))
    ids = np.array([vocabulary.index(token) for token in tokens])
    count = (len(ids) - 1) // length
    ends = np.cumsum([len(token) for token in tokens])
    cost = np.diff(np.concatenate(([0.0], np.cumsum(bits)))[np.concatenate(([0], ends))]) * math.log(2)
    kept = slice(1, count * length + 1)
    return TokenLosses(
        losses=cost[kept].reshape(count, length).astype(np.float32),
        inputs=ids[: count * length].reshape(count, length),
        targets=ids[kept].reshape(count, length),
        token_bytes=vocabulary,
        protocol=protocol,
    )


def words(text: bytes) -> list[bytes]:
    """Tokens as of BPE: a word with the space before it."""
    return [b" " + word if place else word for place, word in enumerate(text.split(b" "))]


def as_bytes(text: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in text]


def test_token_losses_know_their_text() -> None:
    bits = np.full(len(TEXT), 2.0)
    by_word = scored(TEXT, words(TEXT), 7, bits, "w")
    assert TEXT.startswith(by_word.text)
    assert by_word.start == len(b"the")
    assert by_word.bytes == len(by_word.text) - 3
    assert by_word.bits_per_byte == pytest.approx(2.0)
    by_byte = scored(TEXT, as_bytes(TEXT), 16, bits, "b")
    assert by_byte.loss == pytest.approx(2 * math.log(2))


def test_bits_per_byte_compare_the_same_bytes_whatever_the_tokens() -> None:
    # The second half of the text costs both more; they cover it to different ends, so that their plain
    # bits per byte differ although each byte costs them the same.
    bits = np.where(np.arange(len(TEXT)) < len(TEXT) // 2, 1.0, 3.0)
    by_word = scored(TEXT, words(TEXT), 101, bits, "w")
    by_byte = scored(TEXT, as_bytes(TEXT), 16, bits, "b")
    assert abs(by_word.bits_per_byte - by_byte.bits_per_byte) > 0.05
    apart = paired_bits(by_word, by_byte)
    assert apart.mean == pytest.approx(0, abs=1e-6)
    assert apart.bytes == min(len(by_word.text), len(by_byte.text)) - by_word.start
    dearer = scored(TEXT, as_bytes(TEXT), 16, bits + 0.25, "b")
    apart = paired_bits(by_word, dearer)
    assert apart.mean == pytest.approx(0.25, abs=1e-5)
    assert apart.low > 0.24
    assert apart.blocks == BLOCKS
    other = paired_bits(dearer, by_word)
    assert other.mean == pytest.approx(-apart.mean)


def test_chance_widens_the_interval_of_bits_per_byte() -> None:
    random = np.random.default_rng(0)
    bits = random.normal(2, 0.5, len(TEXT))
    by_word = scored(TEXT, words(TEXT), 11, bits, "w")
    by_byte = scored(TEXT, as_bytes(TEXT), 16, random.normal(2, 0.5, len(TEXT)), "b")
    apart = paired_bits(by_word, by_byte)
    assert apart.low < 0 < apart.high


def test_the_text_of_a_pair_is_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second for a large text, and a screen asks again with everything that becomes known."""
    cut = []
    intersect = np.intersect1d
    monkeypatch.setattr(np, "intersect1d", lambda *ends: cut.append(1) or intersect(*ends))
    bits = np.random.default_rng(3).random(len(TEXT))
    a, b = scored(TEXT, words(TEXT), 8, bits, "a"), scored(TEXT, as_bytes(TEXT), 16, bits, "b")
    two, eight = paired_bits(a, b), paired_bits(a, b, 8)
    assert len(cut) == 1
    assert two.mean == eight.mean and two.high < eight.high


def test_another_text_or_no_common_ends_are_refused() -> None:
    bits = np.full(len(TEXT), 2.0)
    mine = scored(TEXT, as_bytes(TEXT), 16, bits, "b")
    other = TEXT.replace(b"fox", b"cat")
    with pytest.raises(ValueError, match="were validated on different texts"):
        paired_bits(mine, scored(other, as_bytes(other), 16, bits, "c"))
    even = [TEXT[at : at + 2] for at in range(0, len(TEXT), 2)]
    odd = [TEXT[:1], *(TEXT[at : at + 2] for at in range(1, len(TEXT), 2))]
    with pytest.raises(ValueError, match="share no ends"):
        paired_bits(scored(TEXT, even, 9, bits, "e"), scored(TEXT, odd, 9, bits, "o"))

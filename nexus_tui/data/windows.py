"""From a corpus to batches: split, tokenise, and cut into windows.

Targets are the inputs one token later, so a window of `window` tokens takes `window` + 1 tokens of text.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from nexus_tui.data.corpus import Corpus, CorpusError
from nexus_tui.data.random import generator
from nexus_tui.data.tokenizer import byte_tokenizer, encode, token_bytes, train_bpe

Tokens = npt.NDArray[np.int32]
Windows = npt.NDArray[np.int64]

# How the validation text is cut. Another rule gives other losses, so the name is part of the protocol.
RULE = "consecutive full windows, 1"


@dataclass(frozen=True)
class Split:
    """The two parts of a text, as bytes: `train` comes first in the text, `validation` last."""

    train: bytes = field(repr=False)
    validation: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A corpus made ready for training: its parts as ids, and the tokenizer that made them."""

    corpus: Corpus
    text: Split = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)
    train: Tokens = field(repr=False)
    """[tokens] of the training part."""
    validation: Tokens = field(repr=False)
    """[tokens] of the validation part."""

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return int(self.tokenizer.get_vocab_size())

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of every id: [vocabulary]."""
        return token_bytes(self.tokenizer)

    def require(self, window: int) -> None:
        """Raise CorpusError unless each part fills one window."""
        _require(self.train, window, "training")
        _require(self.validation, window, "validation")

    def protocol(self, window: int) -> str:
        """What a validation loss was measured on, in 16 hexadecimal digits; only equal ones compare.

        It names the validation text, its tokens, the window and the rule by which windows are cut.
        """
        digest = hashlib.sha256()
        # The tokens, rather than tokenizer.json: how a library writes that file changes no loss.
        ids = self.validation.astype("<i4").tobytes()
        for part in (self.text.validation, ids, str(window).encode(), RULE.encode()):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()[:16]


def prepare(
    corpus: Corpus,
    tokenizer_kind: Literal["byte", "bpe"],
    vocab_size: int = 256,
    validation: float = 0.1,
    *,
    tokenizer: Tokenizer | None = None,
) -> Dataset:
    """Split a corpus and tokenise its parts separately, in 2 seconds for a megabyte of BPE.

    A given `tokenizer`, that of a run to be resumed, is used as it is. Otherwise "bpe" is trained on the
    training part to `vocab_size` ids. Raises CorpusError if the text is too short for that.
    """
    text = split(corpus.data, validation)
    if tokenizer is None:
        byte = tokenizer_kind == "byte"
        tokenizer = byte_tokenizer() if byte else train_bpe(text.train.decode(), vocab_size)
        reached = tokenizer.get_vocab_size()
        if not byte and reached < vocab_size:
            raise CorpusError(
                f"The corpus {corpus.name} is too short for {vocab_size:,} BPE tokens (it gives "
                f"{reached:,}): use a longer text, a smaller model.vocab_size or the byte tokenizer."
            )
    return Dataset(corpus, text, tokenizer, encode(tokenizer, text.train), encode(tokenizer, text.validation))


def split(data: bytes, validation: float = 0.1) -> Split:
    """The first bytes to train on and the last `validation` of them to evaluate on.

    A character that the cut would divide goes to the validation part.
    """
    cut = int(len(data) * (1 - validation))
    while 0 < cut < len(data) and data[cut] & 0xC0 == 0x80:  # a continuation byte of UTF-8
        cut -= 1
    return Split(data[:cut], data[cut:])


def batch(tokens: Tokens, window: int, size: int, seed: int, step: int) -> tuple[Windows, Windows]:
    """The inputs and targets of one step: int64 [size, window] each; micro-batches are slices of them.

    A pure function of its arguments. Each epoch cuts the tokens into slots of one window, from a random
    phase on, and visits them in random order: every token is learned from once an epoch, but for less than
    two windows at the ends, where offsets drawn freely would miss 1/e of them. The phase is drawn anew each
    epoch, so a token meets different contexts. Steps may count from 0 or 1.
    Raises CorpusError if the tokens do not fill one window.
    """
    _require(tokens, window, "training")
    slots = max(1, (len(tokens) - window) // window)
    epochs, places = np.divmod(step * size + np.arange(size, dtype=np.int64), slots)
    starts = np.empty(size, dtype=np.int64)
    for epoch in np.unique(epochs):
        phase, order = _epoch(seed, int(epoch), slots, len(tokens) - slots * window)
        starts[epochs == epoch] = phase + window * order[places[epochs == epoch]]
    taken = tokens[starts[:, None] + np.arange(window + 1)].astype(np.int64)
    return taken[:, :-1], taken[:, 1:]


@lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, slots: int, phases: int) -> tuple[int, npt.NDArray[np.int64]]:
    """Where the epoch's first slot begins, in [0, phases), and the order of its slots: [slots]."""
    # Raw words are Philox's own, the same in every version of numpy; `permutation` need not be.
    words = generator(seed, "batches", epoch).bit_generator.random_raw(slots + 1)
    return int(words[0] % phases), np.argsort(words[1:], kind="stable")


def validation_windows(tokens: Tokens, window: int) -> tuple[Windows, Windows]:
    """All full windows, one after the other, always the same: inputs and targets, int64 [windows, window].

    The last tokens, too few for a window, are left out. Raises CorpusError if there is no full window.
    """
    _require(tokens, window, "validation")
    count = (len(tokens) - 1) // window
    inputs = tokens[: count * window].reshape(count, window).astype(np.int64)
    targets = tokens[1 : count * window + 1].reshape(count, window).astype(np.int64)
    return inputs, targets


def target_bytes(targets: Windows, token_bytes: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """How many bytes of text each window's targets cover, [windows]: what bits per byte divides by."""
    lengths = np.array([len(token) for token in token_bytes], dtype=np.int64)
    covered: npt.NDArray[np.int64] = lengths[targets].sum(axis=1)
    return covered


def _require(tokens: Tokens, window: int, part: str) -> None:
    if len(tokens) < window + 1:
        raise CorpusError(
            f"The corpus is too short: its {part} part has {len(tokens):,} tokens and one window takes "
            f"{window + 1:,}: use a longer text or a smaller data.window."
        )

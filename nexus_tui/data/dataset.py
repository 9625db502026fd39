"""A corpus made ready: split, tokenised, and known by what an evaluation on it means."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from nexus_tui.data import cache
from nexus_tui.data.cache import CorpusError, Mapping, Progress, silent
from nexus_tui.data.corpus import Corpus, Text
from nexus_tui.data.tokenizer import byte_tokenizer, end_of_text, load_tokenizer, token_bytes, train_bpe
from nexus_tui.data.tokens import tokenised
from nexus_tui.data.windows import Shuffle, Split, Tokens, Windows, batch, require_window, split

# How the validation text is cut. Another rule gives other losses, so the name is part of the protocol.
RULE = "consecutive full windows, 1"
SAMPLE = 32 << 20
"""Bytes of a larger text that its tokens are learned from."""
SAMPLE_PIECES = 1024
"""Places that they are taken from, evenly spread."""
_TOKENS_AT_ONCE = 1 << 20


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
    holdout: Tokens = field(default_factory=lambda: np.empty(0, np.int32), repr=False)
    """[tokens] of the part that is kept from selection; mostly empty."""

    shuffle: Shuffle = "sort"
    """How the windows of an epoch are put in order."""
    mapping: Mapping | None = field(default=None, repr=False)
    """What the tokens lie in, if they are mapped."""

    def batch(self, window: int, size: int, seed: int, step: int) -> tuple[Windows, Windows]:
        """The inputs and targets of one step: int64 [size, window] each, a pure function of all of it."""
        drawn = batch(self.train, window, size, seed, step, self.shuffle)
        if self.mapping:
            self.mapping.release()
        return drawn

    @property
    def train_bytes(self) -> int:
        """Bytes of text in the training part."""
        return len(self.text.train)

    @property
    def validation_bytes(self) -> int:
        """Bytes of text in the validation part."""
        return len(self.text.validation)

    @property
    def vocab_size(self) -> int:
        """The number of ids."""
        return int(self.tokenizer.get_vocab_size())

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of text that every id stands for: [vocabulary]. Between documents that is a newline."""
        tokens = token_bytes(self.tokenizer)
        if len(self.corpus.separators) and (end := end_of_text(self.tokenizer)) is not None:
            tokens[end] = b"\n"
        return tokens

    def require(self, window: int) -> None:
        """Raise CorpusError unless each part fills one window."""
        require_window(self.train, window, "training")
        require_window(self.validation, window, "validation")
        if len(self.text.holdout):
            require_window(self.holdout, window, "holdout")

    def protocol(self, window: int, part: Literal["validation", "holdout"] = "validation") -> str:
        """What a validation loss was measured on, in 16 hexadecimal digits; only equal ones compare.

        It names the text of the part, its tokens, the window and the rule by which windows are cut.
        """
        digest = hashlib.sha256()
        text, tokens = getattr(self.text, part), getattr(self, part)
        # The tokens, rather than tokenizer.json: how a library writes that file changes no loss.
        ids = hashlib.sha256()
        for start in range(0, len(tokens), _TOKENS_AT_ONCE):
            ids.update(tokens[start : start + _TOKENS_AT_ONCE].astype("<i4").tobytes())
        digest.update(hashlib.sha256(text).digest())
        digest.update(ids.digest())
        for piece in (str(window).encode(), RULE.encode()):
            digest.update(hashlib.sha256(piece).digest())
        return digest.hexdigest()[:16]


def prepare(
    corpus: Corpus,
    tokenizer_kind: str,
    vocab_size: int = 256,
    validation: float = 0.1,
    *,
    holdout: float = 0.0,
    tokenizer: Tokenizer | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Split a corpus and tokenise its parts separately, in a second for a megabyte of BPE and a thread.

    A given `tokenizer`, that of a run to be resumed, is used as it is. Otherwise "bpe" is trained on the
    training part to `vocab_size` ids, "byte" is the bytes, and anything else the path of a tokenizer.json.
    Raises CorpusError if the text is too short for that, TokenizerError for a file that is none or has not
    `vocab_size` ids, and whatever `progress` raises.
    """
    text = split(corpus.data, validation, holdout)
    if tokenizer is None:
        if tokenizer_kind == "byte":
            tokenizer = byte_tokenizer()
        elif tokenizer_kind == "bpe":
            tokenizer = _trained(corpus, text.train, vocab_size, progress)
        else:
            tokenizer = load_tokenizer(tokenizer_kind, vocab_size)
    done = tokenised(corpus, text, tokenizer, progress)
    train, selection, kept = done.parts
    return Dataset(corpus, text, tokenizer, train, selection, kept, mapping=done.mapping)


def _trained(corpus: Corpus, text: Text, vocab_size: int, progress: Progress) -> Tokenizer:
    """BPE learned from a text, or from SAMPLE bytes of it. What a mapped text gave is kept in the cache."""
    key = f"bpe-{corpus.entry}-{len(text)}-{vocab_size}-{cache.VERSION}"
    known = cache.read_file(key) if corpus.mapping else None
    if known is not None:
        return Tokenizer.from_str(known)
    tokenizer = train_bpe(_told(_sample(text), min(len(text), SAMPLE), progress), vocab_size)
    reached = tokenizer.get_vocab_size()
    if reached < vocab_size:
        raise CorpusError(
            f"The corpus {corpus.name} is too short for {vocab_size:,} BPE tokens (it gives "
            f"{reached:,}): use a longer text, a smaller model.vocab_size or the byte tokenizer."
        )
    if corpus.mapping:
        cache.keep_file(key, tokenizer.to_str())
    return tokenizer


def _told(pieces: Iterator[str], total: int, progress: Progress) -> Iterator[str]:
    done = 0
    for piece in pieces:
        progress("learning the tokens", done, total)
        done += len(piece)
        yield piece


def _sample(text: Text) -> Iterator[str]:
    """A text, or evenly spread pieces of a long one."""
    if len(text) <= SAMPLE:
        yield str(text, "utf-8")
        return
    size = SAMPLE // SAMPLE_PIECES
    for number in range(SAMPLE_PIECES):
        start = number * (len(text) - size) // (SAMPLE_PIECES - 1)
        yield str(text[start : start + size], "utf-8", "ignore")  # a character that is cut is none

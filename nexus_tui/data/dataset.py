"""A corpus made ready: split, tokenised, and known by what an evaluation on it means."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from tokenizers import Tokenizer

from nexus_tui.data.corpus import Corpus, CorpusError
from nexus_tui.data.tokenizer import byte_tokenizer, encode, token_bytes, train_bpe
from nexus_tui.data.windows import Split, Tokens, require_window, split

# How the validation text is cut. Another rule gives other losses, so the name is part of the protocol.
RULE = "consecutive full windows, 1"


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
        """The bytes of every id: [vocabulary]."""
        return token_bytes(self.tokenizer)

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
        ids = tokens.astype("<i4").tobytes()
        for piece in (text, ids, str(window).encode(), RULE.encode()):
            digest.update(hashlib.sha256(piece).digest())
        return digest.hexdigest()[:16]


def prepare(
    corpus: Corpus,
    tokenizer_kind: Literal["byte", "bpe"],
    vocab_size: int = 256,
    validation: float = 0.1,
    *,
    holdout: float = 0.0,
    tokenizer: Tokenizer | None = None,
) -> Dataset:
    """Split a corpus and tokenise its parts separately, in 2 seconds for a megabyte of BPE.

    A given `tokenizer`, that of a run to be resumed, is used as it is. Otherwise "bpe" is trained on the
    training part to `vocab_size` ids. Raises CorpusError if the text is too short for that.
    """
    text = split(corpus.data, validation, holdout)
    if tokenizer is None:
        byte = tokenizer_kind == "byte"
        tokenizer = byte_tokenizer() if byte else train_bpe(text.train.decode(), vocab_size)
        reached = tokenizer.get_vocab_size()
        if not byte and reached < vocab_size:
            raise CorpusError(
                f"The corpus {corpus.name} is too short for {vocab_size:,} BPE tokens (it gives "
                f"{reached:,}): use a longer text, a smaller model.vocab_size or the byte tokenizer."
            )
    train, selection, kept = (encode(tokenizer, part) for part in (text.train, text.validation, text.holdout))
    return Dataset(corpus, text, tokenizer, train, selection, kept)

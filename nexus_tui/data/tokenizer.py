"""Byte-level tokenizers: any text becomes ids and the same text again.

Both kinds are `tokenizers.Tokenizer`, so that a `tokenizer.json` is what every other tool of the field reads.
"""

import codecs
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from nexus_tui.untrusted_files import read_file

BYTES = 256
ENDS_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
"""What tokenizers call the end of a text; a tokenizer.json does not say which of its tokens is that."""
LARGEST = 64 << 20
"""Bytes of a tokenizer.json."""


class TokenizerError(ValueError):
    """A tokenizer that cannot be loaded or used; the message is one sentence for the user."""


@cache
def byte_alphabet() -> tuple[str, ...]:
    """The printable character that stands for each byte in a byte-level vocabulary: [256].

    Printable bytes stand for themselves, the others are numbered from U+0100 on.

    Source: Radford et al., Language models are unsupervised multitask learners (GPT-2, 2019).
    """
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    others = iter(range(BYTES, 2 * BYTES))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(BYTES))


def byte_tokenizer() -> Tokenizer:
    """A token for each of the 256 bytes, its id the byte's value."""
    vocabulary = {character: byte for byte, character in enumerate(byte_alphabet())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_bpe(text: str | Iterable[str], vocab_size: int = 1000) -> Tokenizer:
    """Train byte-pair encoding on a text, or pieces of one: 256 bytes and up to `vocab_size` - 256 merges.

    Merges stay inside GPT-2's pre-tokens (a word with the space before it, a run of digits, of punctuation or
    of white space). The same text gives the same tokenizer. A text too short for that many merges gives a
    smaller vocabulary. Raises TokenizerError for a vocabulary below 256.

    Source: Sennrich et al., arXiv 1508.07909; GPT-2 (2019) for the byte alphabet and the pre-tokens.
    """
    if vocab_size < BYTES:
        raise TokenizerError(f"A byte-level vocabulary has at least {BYTES} tokens, not {vocab_size}.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=list(byte_alphabet()), special_tokens=[], show_progress=False
    )
    tokenizer.train_from_iterator([text] if isinstance(text, str) else text, trainer)
    return tokenizer


def load_tokenizer(path: str | Path, vocab_size: int = 0) -> Tokenizer:
    """Read a `tokenizer.json`, or that of a folder. Raises TokenizerError if it is missing or not one.

    With `vocab_size`, it is to encode a corpus: it must have that many ids, and what it would change in a
    text before it encodes it (its normalizer) is left out, so that it keeps every byte.
    """
    path = Path(path).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        content = read_file(path, LARGEST).decode()
    except FileNotFoundError:
        raise TokenizerError(f"There is no tokenizer {path}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TokenizerError(f"The tokenizer {path} cannot be read: {reason}.") from None
    try:
        tokenizer = Tokenizer.from_str(content)
        tokenizer.no_truncation()  # a text is read to its end, whatever was set for another use
        tokenizer.no_padding()
        token_bytes(tokenizer)
    except BaseException as error:  # the library raises bare Exception; where it panics, not even that
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise TokenizerError(f"{path} is not a tokenizer.json that can be used: {error}") from None
    if vocab_size:
        size = tokenizer.get_vocab_size()
        if size != vocab_size:
            raise TokenizerError(
                f"The tokenizer {path} has {size:,} ids and the model {vocab_size:,}: "
                f"use --set model.vocab_size={size}."
            )
        tokenizer.normalizer = None
    return tokenizer


def token_bytes(tokenizer: Tokenizer) -> list[bytes]:
    """The exact bytes of every id: [vocabulary].

    Raises TokenizerError if the vocabulary is not byte-level or has gaps between its ids.
    """
    value = {character: byte for byte, character in enumerate(byte_alphabet())}
    added = {id: token.content for id, token in tokenizer.get_added_tokens_decoder().items()}
    tokens = []
    for id in range(tokenizer.get_vocab_size()):
        token = tokenizer.id_to_token(id)
        if token is None:
            raise TokenizerError(
                f"The tokenizer has no token with id {id}: only gapless vocabularies can be used."
            )
        try:
            tokens.append(
                added[id].encode() if id in added else bytes(value[character] for character in token)
            )
        except KeyError:
            raise TokenizerError(
                f"The token {token!r} is not byte-level: only such tokenizers can be used."
            ) from None
    return tokens


def end_of_text(tokenizer: Tokenizer) -> int | None:
    """The id of the special token that ends a text; None if there is none of a usual name."""
    special = {
        token.content: id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special
    }
    return next((special[name] for name in ENDS_OF_TEXT if name in special), None)


def encode(tokenizer: Tokenizer, text: str | bytes) -> npt.NDArray[np.int32]:
    """The ids of a text: [tokens]. A megabyte takes about a second of BPE, and no time byte by byte.

    Bytes need to be UTF-8 unless the tokenizer has exactly the 256 bytes. Raises UnicodeError otherwise, and
    for a text with lone surrogates.
    """
    if is_bytes(tokenizer):
        data = text.encode() if isinstance(text, str) else text
        return np.frombuffer(data, dtype=np.uint8).astype(np.int32)
    if isinstance(text, bytes):
        text = text.decode()
    else:
        text.encode()  # the library takes lone surrogates for a wrong type: say what is wrong instead
    # `fast` leaves out the offsets, which nothing here needs.
    encoding = tokenizer.encode_batch_fast([text], add_special_tokens=False)[0]
    return np.array(encoding.ids, dtype=np.int32)


def decode_bytes(tokenizer: Tokenizer, ids: Iterable[int]) -> bytes:
    """The exact bytes that the ids stand for, whether they are whole characters or not."""
    tokens = token_bytes(tokenizer)
    return b"".join(tokens[int(id)] for id in ids)


def is_bytes(tokenizer: Tokenizer) -> bool:
    """Whether id and byte are the same thing."""
    return tokenizer.get_vocab_size() == BYTES and token_bytes(tokenizer) == [
        bytes([id]) for id in range(BYTES)
    ]


class StreamDecoder:
    """Turns tokens into text one at a time; what is shown is never taken back.

    A character may be spread over several tokens: its bytes are held back until it is whole. `tokens` are
    those of `token_bytes`, from who has them.
    """

    def __init__(self, tokenizer: Tokenizer, tokens: Sequence[bytes] | None = None) -> None:
        self._tokens: Sequence[bytes] = token_bytes(tokenizer) if tokens is None else tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, id: int) -> str:
        """The characters that this token completes, perhaps none; bytes that are no UTF-8 become U+FFFD."""
        return self._decoder.decode(self._tokens[id])

    def finish(self) -> str:
        """What was held back, as U+FFFD; the decoder is then ready for another text."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest

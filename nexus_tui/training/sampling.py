"""The one way to sample a checkpoint: for the screens, the shell and the trainer's fixed prompts."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint, CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from nexus_tui.lm.generation import Sampling
    from nexus_tui.lm.hybrid import HybridLM

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
KEPT_OPEN = 2
"""Samplers kept in memory: enough to go back and forth between two checkpoints."""


@dataclass(frozen=True)
class Piece:
    """What one drawn token adds to the text, and what the model thought of it.

    `text` is empty while a character is not yet whole; `bytes` is the token's own length. `logprob` and
    `entropy` in nats, before temperature and cuts; `rank` 1 is the most probable token.
    """

    text: str
    id: int
    bytes: int
    logprob: float
    rank: int
    entropy: float


class Sampler:
    """A model and its tokenizer, ready to write. Sampling reads no global generator and changes no weights.

    Raises ValueError if the tokenizer is not the model's.
    """

    _open: ClassVar[OrderedDict[tuple[str, ...], Sampler]] = OrderedDict()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, model: HybridLM, tokenizer: Tokenizer) -> None:
        from nexus_tui.data.tokenizer import encode, token_bytes

        self.model = model
        self.tokenizer = tokenizer
        self._lengths = [len(token) for token in token_bytes(tokenizer)]
        if len(self._lengths) != model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {len(self._lengths)} tokens and the model {model.config.vocab_size}"
            )
        # Without a prompt a text begins as after a line break, in any vocabulary.
        self._line_break = int(encode(tokenizer, "\n")[-1])

    @classmethod
    def open(cls, checkpoint: Checkpoint) -> Sampler:
        """Load a checkpoint, its files verified against the manifest; the newest few stay in memory.

        Slow the first time (imports torch, reads and hashes the weights): not for the thread of a screen.
        Raises CheckpointError, in one sentence, if a file is damaged or no model of ours.
        """
        names = (WEIGHTS, CONFIG, TOKENIZER)
        key = tuple(str(checkpoint.files.get(name, {}).get("sha256")) for name in names)
        with cls._lock:
            sampler = cls._open.get(key) or cls._load(checkpoint, names)
            cls._open[key] = sampler
            cls._open.move_to_end(key)
            while len(cls._open) > KEPT_OPEN:
                cls._open.popitem(last=False)
        return sampler

    @classmethod
    def _load(cls, checkpoint: Checkpoint, names: tuple[str, ...]) -> Sampler:
        from nexus_tui.data.tokenizer import load_tokenizer
        from nexus_tui.lm.pretrained import load_model

        checkpoint.verify(*names)
        try:
            return cls(load_model(checkpoint.path).eval(), load_tokenizer(checkpoint.path / TOKENIZER))
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise CheckpointError(f"{checkpoint.path} cannot be sampled: {reason}.") from error

    def stream(self, prompt: str, sampling: Sampling) -> Iterator[Piece]:
        """Continue a prompt, token by token; close the iterator to stop. The same seed gives the same text.

        Raises ValueError for a prompt that is no Unicode text, FloatingPointError when the model computes no
        finite number.
        """
        from nexus_tui.data.tokenizer import StreamDecoder, encode
        from nexus_tui.lm.generation import generate

        try:
            ids = encode(self.tokenizer, prompt).tolist()
        except UnicodeError:
            raise ValueError("The prompt is no valid Unicode text; type it again.") from None
        decoder = StreamDecoder(self.tokenizer)
        tokens = generate(self.model, ids, sampling, empty_prompt_id=self._line_break)
        for written, token in enumerate(tokens, start=1):
            text = decoder.push(token.id)
            if written == sampling.max_tokens:
                text += decoder.finish()
            yield Piece(text, token.id, self._lengths[token.id], token.logprob, token.rank, token.entropy)

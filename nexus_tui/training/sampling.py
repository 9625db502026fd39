"""The one way to sample a checkpoint: for the screens, the shell and the trainer's fixed prompts."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint, CheckpointError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from nexus_tui.lm.decoding import Decoder
    from nexus_tui.lm.drawing import Alternative, Sampling
    from nexus_tui.lm.hybrid import HybridLM
    from nexus_tui.lm.pace import Pace
    from nexus_tui.training.texts import Texts

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
KEPT_OPEN = 2
"""Samplers kept in memory: enough to go back and forth between two checkpoints."""
_Bytes = bytes  # also the name of a field
Progress = Callable[[int, int], None]
"""Told how many tokens of how many have been read; may raise to end it."""


class TextError(ValueError):
    """A text that a tokenizer cannot encode; the message is one sentence for the user."""


class Piece(NamedTuple):
    """What one drawn token adds to the text, and what the model thought of it.

    `text` is empty while a character is not yet whole, or while the text may become a stop text; `bytes` is
    the token's own length and `token` its own bytes. `position` in the sequence, whose first token, the
    prompt's, is at 0. `logprob` and `entropy` in nats, before penalty, temperature and cuts; `rank` 1 is the
    most probable token; `alternatives` are the ten most probable ones, best first. `end` says why this is the
    last piece; a text that its reader stopped has no last one.
    """

    text: str
    id: int
    bytes: int
    logprob: float
    rank: int
    entropy: float
    position: int = 0
    alternatives: Sequence[Alternative] = ()
    token: _Bytes = b""
    end: Literal["", "stop text", "max tokens"] = ""


@dataclass(frozen=True)
class Scored:
    """What a given text costs under a checkpoint: token by token, each given those before it."""

    ids: tuple[int, ...]
    tokens: tuple[_Bytes, ...]
    """The bytes of each token."""
    losses: tuple[float, ...]
    """Nats of each token; the first as after a line break."""

    @property
    def bytes(self) -> int:
        """Bytes of the text."""
        return sum(map(len, self.tokens))

    @property
    def nats(self) -> float:
        """Of the whole text."""
        return math.fsum(self.losses)

    @property
    def bits_per_byte(self) -> float:
        """The same in bits per byte, which compares checkpoints of different tokenizers; NaN if empty."""
        return self.nats / self.bytes / math.log(2) if self.bytes else math.nan


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
        self.token_bytes = token_bytes(tokenizer)
        """The bytes of every id: [vocabulary]."""
        if len(self.token_bytes) != model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {len(self.token_bytes)} tokens and the model {model.config.vocab_size}"
            )
        self.line_break = int(encode(tokenizer, "\n")[-1])
        """Without a prompt a text begins as after a line break, in any vocabulary."""
        self._decoder: Decoder | None = None

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str = "auto") -> Sampler:
        """Load a checkpoint, its files verified against the manifest; the newest few stay in memory.

        `device` is `cpu`, `cuda`, or `auto`: a GPU if there is one. Slow the first time (imports torch, reads
        and hashes the weights): not for the thread of a screen. Raises CheckpointError, in one sentence, if a
        file is damaged or no model of ours, LaunchError for a GPU that is not there.
        """
        from nexus_tui.training.device import choose

        place, names = choose(device), (WEIGHTS, CONFIG, TOKENIZER)
        key = (str(place), *(str(checkpoint.files.get(name, {}).get("sha256")) for name in names))
        with cls._lock:
            sampler = cls._open.get(key) or cls._load(checkpoint, names, place)
            cls._open[key] = sampler
            cls._open.move_to_end(key)
            while len(cls._open) > KEPT_OPEN:
                cls._open.popitem(last=False)
        return sampler

    @classmethod
    def _load(cls, checkpoint: Checkpoint, names: tuple[str, ...], device: torch.device) -> Sampler:
        import torch

        from nexus_tui.data.tokenizer import load_tokenizer
        from nexus_tui.lm.pretrained import load_model

        checkpoint.verify(*names)
        try:
            model = load_model(checkpoint.path).eval().to(device)
            return cls(model, load_tokenizer(checkpoint.path / TOKENIZER))
        except torch.OutOfMemoryError:
            raise CheckpointError(
                f"{checkpoint.path} does not fit into what is left of the GPU's memory; free some of it, or "
                "use --device cpu."
            ) from None
        except (OSError, ValueError) as error:
            reason = str(error).rstrip(".")
            raise CheckpointError(f"{checkpoint.path} cannot be sampled: {reason}.") from error

    def encode(self, text: str | bytes) -> list[int]:
        """The ids of a text. Raises TextError, in one sentence, for what the tokenizer cannot encode.

        A tokenizer of bytes takes any bytes; others need UTF-8, and a string must be Unicode text.
        """
        from nexus_tui.data.tokenizer import encode

        try:
            return [int(id) for id in encode(self.tokenizer, text)]
        except UnicodeDecodeError as error:
            raise TextError(
                f"The text is no UTF-8 (at byte {error.start}), which is all that its tokenizer "
                "reads; convert it first."
            ) from None
        except UnicodeError:
            raise TextError("The text is no valid Unicode text; type it again.") from None

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, without a character at its end that is not whole: a stream may complete it."""
        from nexus_tui.data.tokenizer import StreamDecoder

        decoder = StreamDecoder(self.tokenizer, self.token_bytes)
        return "".join(decoder.push(id) for id in ids)

    def stream(
        self,
        prompt: str | bytes,
        sampling: Sampling,
        *,
        first_ids: Sequence[int] | None = None,
        stop: Sequence[str] = (),
        share: float | Callable[[], float] = 1.0,
        progress: Progress | None = None,
    ) -> Iterator[Piece]:
        """Continue a prompt, token by token; close the iterator to stop. The same seed gives the same text.

        Arguments and exceptions are those of `together` and `Texts.add`, but that FloatingPointError is
        raised.
        """
        texts = self.together(share=share, progress=progress)
        texts.add(prompt, sampling, first_ids=first_ids, stop=stop)
        return _only(texts)

    def together(
        self, *, share: float | Callable[[], float] = 1.0, progress: Progress | None = None
    ) -> Texts:
        """Several texts to be written side by side; `add` them.

        Args:
            share: of one core, the most to use over time, and the most by which to slow others (sleeps after
                each step and each piece of a prompt); as a function it is asked every time. With a whole core
                a step may use others too. It changes no token.
            progress: told, while a prompt is read and at least every 0.1 s of sleep, how many of its tokens
                have been; may raise to end it.

        Raises SamplingError for a share that is not above 0.
        """
        from nexus_tui.lm.decoding import decoder
        from nexus_tui.training.texts import Texts

        pace, watch = _paced(share, progress)
        with self._lock:
            if self._decoder is None or self._decoder.model is not self.model:
                self._decoder = decoder(self.model)
        return Texts(self, self._decoder, pace, watch)

    def read(
        self,
        text: str | bytes,
        *,
        share: float | Callable[[], float] = 1.0,
        progress: Progress | None = None,
    ) -> Iterator[Piece]:
        """A given text, token by token, with what the model thinks of each; the first as after a line break.

        The losses are those of `score`; `share` and `progress` as for `stream`. Raises ValueError for a text
        that the tokenizer cannot encode, FloatingPointError when the model computes no finite number.
        """
        from nexus_tui.data.tokenizer import StreamDecoder
        from nexus_tui.lm.generation import read

        ids = self.encode(text)
        pace, watch = _paced(share, progress)
        decoder = StreamDecoder(self.tokenizer, self.token_bytes)
        tokens = read(self.model, [self.line_break, *ids], pace=pace, progress=watch)
        for position, token in enumerate(tokens, start=1):
            written = decoder.push(token.id) + (decoder.finish() if position == len(ids) else "")
            yield Piece(
                written,
                token.id,
                len(self.token_bytes[token.id]),
                token.logprob,
                token.rank,
                token.entropy,
                position,
                token.alternatives,
                self.token_bytes[token.id],
            )

    def score(
        self,
        text: str | bytes,
        *,
        share: float | Callable[[], float] = 1.0,
        progress: Progress | None = None,
    ) -> Scored:
        """What a text costs: every token, the first as after a line break.

        `share` and `progress` as for `stream`. Raises TextError for a text that the tokenizer cannot encode,
        FloatingPointError when the model computes no finite number.
        """
        from nexus_tui.lm.generation import score

        ids = self.encode(text)
        pace, watch = _paced(share, progress)
        losses = score(self.model, [self.line_break, *ids], pace=pace, progress=watch)
        if not losses.isfinite().all():
            raise FloatingPointError(
                "The model gives no finite number for this text: its weights are damaged or diverged."
            )
        return Scored(tuple(ids), tuple(self.token_bytes[id] for id in ids), tuple(losses.tolist()))


def _only(texts: Texts) -> Iterator[Piece]:
    """The pieces of a single text."""
    while pieces := texts.step():
        ((_, piece),) = pieces
        if isinstance(piece, FloatingPointError):
            raise piece
        yield piece


def _paced(share: float | Callable[[], float], progress: Progress | None) -> tuple[Pace, Progress | None]:
    """A pace that tells, while it sleeps, the progress that it was told last."""
    from nexus_tui.lm.pace import Pace

    if progress is None:
        return Pace(share), None
    newest = (0, 0)

    def watch(done: int, total: int) -> None:
        nonlocal newest
        newest = (done, total)
        progress(done, total)

    return Pace(share, lambda: progress(*newest)), watch

"""A text as ids: encoded in pieces by several threads, kept in the user's cache if it is large."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from nexus_tui.data import cache
from nexus_tui.data.cache import CorpusError, Draft, Mapping, Progress
from nexus_tui.data.corpus import Corpus, Text
from nexus_tui.data.tokenizer import end_of_text, is_bytes, token_bytes
from nexus_tui.data.windows import Split, Tokens

PIECE = 1 << 18
"""Bytes of text that are encoded in one go, for which tokenizers take a hundred times the memory. Part of
what makes a text's tokens: they are cut there."""
DOCUMENTS = 4096
"""… and documents."""
GROUPS_HELD = 64
"""Such goes after which the mapped text is let go of."""
THREADS = 8
"""At most; fewer where there are fewer cores."""
TOKENS = "tokens.bin"
_BETWEEN_WORDS = re.compile(rb"[A-Za-z](?= [A-Za-z])")
_BEFORE_SPACE = re.compile(rb"[!-~\x80-\xff](?=[ \n])")
_NEAR = 1 << 12


@dataclass(frozen=True)
class _Span:
    """A stretch of the text, and whether the end of its document follows."""

    start: int
    stop: int
    ends: bool


@dataclass(frozen=True)
class Tokenised:
    """The parts of a text as ids."""

    parts: tuple[Tokens, Tokens, Tokens]
    mapping: Mapping | None
    """What they lie in, if they are mapped."""


def tokenised(corpus: Corpus, text: Split, tokenizer: Tokenizer, progress: Progress) -> Tokenised:
    """The training, validation and holdout part of a corpus as ids, each encoded by itself.

    Between two documents stands the tokenizer's end of text if it has one, else the newline. Of a corpus that
    is kept in the cache the ids are kept there too, in the fewest bytes that hold them; otherwise they are
    int32. Raises CorpusError and what `progress` raises.
    """
    pieces = (text.train, text.validation, text.holdout)
    if is_bytes(tokenizer):
        # Byte and id are the same thing: the text, once it is mapped, is its own tokens.
        ids = [np.frombuffer(part, np.uint8) for part in pieces]
        first, second, third = ids if corpus.mapping else [part.astype(np.int32) for part in ids]
        return Tokenised((first, second, third), corpus.mapping)
    work = _Encoding(corpus, pieces, tokenizer)
    if not corpus.mapping:
        first, second, third = (
            np.concatenate([np.empty(0, np.int32), *work.encoded(part, progress)]).astype(np.int32)
            for part in range(3)
        )
        return Tokenised((first, second, third), None)
    return _kept(corpus, work, progress)


def _kept(corpus: Corpus, work: "_Encoding", progress: Progress) -> Tokenised:
    """From the cache, or made and put there."""
    name = f"tokens-{work.key()[:40]}"
    entry = cache.kept(name)
    if entry is None:
        with cache.alone(name, progress):
            entry = cache.kept(name) or _made(name, corpus, work, progress)
    ids = entry.files[TOKENS].bytes.view(entry.about["dtype"]) if TOKENS in entry.files else np.empty(0, "u1")
    first, second, third = np.split(ids, np.cumsum(entry.about["parts"])[:2])
    return Tokenised((first, second, third), entry.files.get(TOKENS))


def _made(name: str, corpus: Corpus, work: "_Encoding", progress: Progress) -> cache.Entry:
    # Four bytes of text to a token are rather many: two bytes for each are half of the text.
    needed = len(corpus.data) // 4 * work.dtype.itemsize
    counts = [0, 0, 0]
    with Draft(f"the tokens of {corpus.name}", needed) as draft:
        for part in range(3):
            for ids in work.encoded(part, progress):
                counts[part] += len(ids)
                draft.write(TOKENS, ids.tobytes())
        return draft.keep(name, dtype=work.dtype.str, parts=counts, sha256=corpus.sha256, path=corpus.name)


class _Encoding:
    """A text that is being encoded."""

    def __init__(self, corpus: Corpus, parts: tuple[Text, Text, Text], tokenizer: Tokenizer) -> None:
        self._corpus, self._parts, self._tokenizer = corpus, parts, tokenizer
        self._end = end_of_text(tokenizer) if len(corpus.separators) else None
        self._bytes = token_bytes(tokenizer)
        self._lengths = np.array([len(token) for token in self._bytes], np.int64)
        size = tokenizer.get_vocab_size()
        self.dtype = np.dtype(np.uint8 if size <= 2**8 else np.uint16 if size <= 2**16 else np.uint32)
        """Of the ids."""

    def key(self) -> str:
        """What the ids are a function of."""
        digest = hashlib.sha256(f"{cache.VERSION} {PIECE} {self._corpus.entry} {self._end}".encode())
        for part in self._parts:
            digest.update(f" {len(part)}".encode())
        digest.update(self._tokenizer.to_str().encode())
        return digest.hexdigest()

    def encoded(self, part: int, progress: Progress) -> Iterator[npt.NDArray[Any]]:
        """The ids of a part, in its order, a piece of the text at a time."""
        before = sum(len(other) for other in self._parts[:part])
        total = sum(map(len, self._parts))
        threads = min(THREADS, len(os.sched_getaffinity(0)))
        waiting: deque[tuple[int, Future[npt.NDArray[Any]]]] = deque()
        tokenizer = self._tokenizer
        # The end of a document is where it ends: nothing that is written in one can stand for it.
        as_text, tokenizer.encode_special_tokens = tokenizer.encode_special_tokens, True
        try:
            with ThreadPoolExecutor(threads, "encode") as pool:
                try:
                    for number, group in enumerate(self._groups(before, before + len(self._parts[part]))):
                        if number % GROUPS_HELD == 0 and self._corpus.mapping:
                            self._corpus.mapping.release()
                        waiting.append((group[-1].stop, pool.submit(self._encode, group)))
                        if len(waiting) > threads:
                            stop, ids = waiting.popleft()
                            yield ids.result()
                            progress("tokenising the corpus", stop, total)
                    while waiting:
                        stop, ids = waiting.popleft()
                        yield ids.result()
                        progress("tokenising the corpus", stop, total)
                finally:
                    pool.shutdown(cancel_futures=True)
        finally:
            tokenizer.encode_special_tokens = as_text

    def _groups(self, start: int, end: int) -> Iterator[list[_Span]]:
        """What is encoded in one go: about PIECE bytes."""
        group: list[_Span] = []
        size = 0
        for span in self._spans(start, end):
            group.append(span)
            size += span.stop - span.start
            if size >= PIECE // 2 or len(group) == DOCUMENTS:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _spans(self, start: int, end: int) -> Iterator[_Span]:
        """The documents from `start` to `end`, those that are too long in pieces."""
        if self._end is not None:
            first, last = np.searchsorted(self._corpus.separators, (start, end))
            for at in range(int(first), int(last)):
                separator = int(self._corpus.separators[at])
                yield from self._cut(start, separator, ends=True)
                start = separator + 1
        yield from self._cut(start, end, ends=False)

    def _cut(self, start: int, end: int, ends: bool) -> Iterator[_Span]:
        while end - start > PIECE:
            stop = start + _last_cut(self._corpus.data[start : start + PIECE])
            yield _Span(start, stop, False)
            start = stop
        yield _Span(start, end, ends)

    def _encode(self, group: list[_Span]) -> npt.NDArray[Any]:
        data = self._corpus.data
        texts = [str(data[span.start : span.stop], "utf-8") for span in group]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids: list[int] = []
        ends = 0
        for span, encoding in zip(group, encodings, strict=True):
            ids += encoding.ids
            if span.ends and self._end is not None:
                ids.append(self._end)
                ends += 1
        found = np.array(ids, self.dtype)
        given = sum(span.stop - span.start for span in group)
        if self._end is not None:
            given += ends * len(self._bytes[self._end])
        if int(self._lengths[found].sum()) != given:
            raise CorpusError(
                "The tokenizer gives another text back than it was given: only those that keep every "
                "byte can be used (one without a normalizer, and without a space that it puts before a text)."
            )
        return found


def _last_cut(text: Text) -> int:
    """Where a long text is cut in two: the last place between two words, near its end if there is one.

    Before a space between two letters every usual pre-tokenizer begins anew, so that the pieces' tokens are
    those of the whole. Without one, it is before white space, and else between any two characters.
    """
    for pattern in (_BETWEEN_WORDS, _BEFORE_SPACE):
        for start in (max(0, len(text) - _NEAR), 0):
            found = [match.end() for match in pattern.finditer(text, start)]
            for end in reversed(found):
                if not str(text[max(0, end - 4) : end], "utf-8", "ignore")[-1:].isspace():
                    return end
    end = len(text)
    while end > 1 and text[end - 1] & 0xC0 == 0x80:
        end -= 1
    return end - 1 if end > 1 and text[end - 1] >= 0xC0 else len(text)

"""A text that is made of tokens: which characters of it, as they are shown, belong to which token."""

from __future__ import annotations

import codecs
from array import array
from bisect import bisect_left, bisect_right
from collections import deque

from nexus_tui.untrusted import visible


class TokenText:
    """A prompt and the tokens after it, as shown: control characters are symbols, and so are stray bytes.

    A character may be spread over several tokens, and a stop text may be held back; what is shown is never
    taken back. A token has every character that a byte of it is in, whether that is shown yet or not.
    """

    def __init__(self, prompt: str | bytes = "", ascii: bool = False) -> None:
        self._ascii = ascii
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._first = self._last = 0
        """The tokens whose bytes wait for the rest of a character."""
        self._held: deque[str] = deque()
        """Characters, as shown, of tokens that are not shown yet."""
        self._starts, self._ends = array("l"), array("l")
        before = self._decoder.decode(prompt) if isinstance(prompt, bytes) else prompt
        self._shown, self._more = visible(before, ascii), list[str]()
        """What is shown, and what came since it was asked for: a growing text is not copied each time."""
        self.head = self._end = self._limit = len(self._shown)
        """Characters of the prompt as shown."""

    @property
    def shown(self) -> str:
        """All that is shown."""
        if self._more:
            self._shown += "".join(self._more)
            self._more.clear()
        return self._shown

    def __len__(self) -> int:
        """Tokens."""
        return len(self._starts)

    def add(self, token: bytes, text: str | None = None) -> str:
        """Add a token's bytes. `text` is what of the text comes with it; by default all that is whole.

        Returns what is new in `shown`.
        """
        self._starts.append(self._end)
        self._ends.append(self._end)
        for byte in token:
            self._decode(byte)
        return self._show(len(self._held) if text is None else len(text))

    def span(self, token: int) -> tuple[int, int]:
        """Where a token's characters start and end in `shown`; nowhere while they are not shown."""
        return min(self._starts[token], self._limit), min(self._ends[token], self._limit)

    def tokens(self, start: int, end: int) -> range:
        """The tokens that have characters between two places of `shown`."""
        return range(bisect_right(self._ends, start), bisect_left(self._starts, end))

    def at(self, place: int) -> int | None:
        """The first token that has the character at a place of `shown`; None in the prompt."""
        found = bisect_right(self._ends, place)
        return found if found < len(self) and self._starts[found] <= place else None

    def _waiting(self) -> int:
        return len(self._decoder.getstate()[0])

    def _decode(self, byte: int) -> None:
        """Take one byte of the last token."""
        token = len(self._starts) - 1
        waited = self._waiting()
        characters = self._decoder.decode(bytes((byte,)))
        waits = self._waiting()
        own = not waits and (not waited or len(characters) > 1)
        # What came before this byte and is no character ends without it.
        for character in characters[:-1] if own else characters:
            self._grow(character, self._first, self._last if waits or own else token)
        if own:
            self._grow(characters[-1], token, token)
        if waits and (characters or not waited):
            self._first = token
        self._last = token

    def _grow(self, character: str, first: int, last: int) -> None:
        """One more character, which belongs to some tokens."""
        shown = visible(character, self._ascii)
        for token in range(first, last + 1):
            if self._ends[token] == self._starts[token]:
                self._starts[token] = self._end
            self._ends[token] = self._end + len(shown)
        for token in range(last + 1, len(self._starts)):
            self._starts[token] = self._ends[token] = self._end + len(shown)
        self._end += len(shown)
        self._held.append(shown)

    def _show(self, characters: int) -> str:
        """Show so many more; one more than there is stands for a character that ends unfinished."""
        more = ""
        for _ in range(characters):
            if not self._held and self._waiting():
                self._grow("�", self._first, self._last)
                self._decoder.reset()
            more += self._held.popleft() if self._held else ""
        if more:
            self._more.append(more)
            self._limit += len(more)
        return more

"""The longest span that two texts share, byte for byte.

The short text becomes a suffix automaton, the smallest machine that knows all its substrings; the long text
is run through it once. So a megabyte costs milliseconds, whatever is asked, and no index of it is kept.

Source: Blumer et al., The smallest automaton recognizing the subwords of a text (1985).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nexus_tui.jit import numba as nb

AT_ONCE = 2**16
"""Bytes of the short text that one automaton is built for: at most 2 · AT_ONCE states."""


class Copy(NamedTuple):
    """A span of `length` bytes that starts at `here` in the short text and at `there` in the long one."""

    length: int
    here: int
    there: int


def longest_copy(short: bytes, long: bytes) -> Copy:
    """The longest span of `short` that is in `long`; of several, the one that ends first there.

    A `short` of more than AT_ONCE bytes is taken in parts of that many, which overlap by half: a span longer
    than that half may count as less. Without a byte in common, all is 0.
    """
    best = Copy(0, 0, 0)
    for start in range(0, max(len(short) - AT_ONCE // 2, 1), AT_ONCE // 2):
        length, here, there = _longest(*_compressed(short[start : start + AT_ONCE]), _bytes(long))
        if length > best.length:
            best = Copy(int(length), start + int(here), int(there))
    return best


def _bytes(text: bytes) -> Any:
    return np.frombuffer(text, np.uint8)


def _compressed(text: bytes) -> tuple[Any, Any, int]:
    """The text in numbers from 0, of every byte its number (-1: not in the text), and how many there are."""
    found, numbers = np.unique(_bytes(text), return_inverse=True)
    number = np.full(256, -1, np.int32)
    number[found] = np.arange(len(found))
    return numbers.astype(np.int32), number, len(found)


def _jit(function: Callable[..., Any]) -> Any:
    try:
        return nb.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder can be written: compile in every process
        return nb.njit(nogil=True)(function)


@_jit
def _automaton(text: Any, letters: int) -> Any:
    """The suffix automaton: transitions [state, letter] (0: none), suffix links, lengths, first ends."""
    states = max(2 * len(text), 1)
    edges = np.zeros((states, letters), np.int32)  # the start, state 0, is where no edge leads
    link, length, end = np.zeros(states, np.int32), np.zeros(states, np.int32), np.zeros(states, np.int32)
    link[0] = -1
    last, count = 0, 1
    for i in range(len(text)):
        letter = text[i]
        new, count = count, count + 1
        length[new], end[new] = length[last] + 1, i + 1
        state = last
        while state >= 0 and edges[state, letter] == 0:
            edges[state, letter] = new
            state = link[state]
        if state >= 0:
            after = edges[state, letter]
            if length[after] == length[state] + 1:
                link[new] = after
            else:
                copy, count = count, count + 1
                for other in range(letters):  # a loop: Numba compiles it sooner than a slice
                    edges[copy, other] = edges[after, other]
                length[copy], link[copy], end[copy] = length[state] + 1, link[after], end[after]
                while state >= 0 and edges[state, letter] == after:
                    edges[state, letter] = copy
                    state = link[state]
                link[after] = link[new] = copy
        last = new
    return edges, link, length, end


@_jit
def _longest(text: Any, number: Any, letters: int, long: Any) -> tuple[int, int, int]:
    """Length and starts, in the text and in the long one, of the longest span in both."""
    edges, link, length, end = _automaton(text, letters)
    state, matched = 0, 0
    best, here, there = 0, 0, 0
    for i in range(len(long)):
        letter = number[long[i]]
        if letter < 0:
            state, matched = 0, 0
            continue
        while state and edges[state, letter] == 0:
            state = link[state]
            matched = length[state]
        if edges[state, letter]:
            state = edges[state, letter]
            matched += 1
        if matched > best:
            best, here, there = matched, end[state] - matched, i + 1 - matched
    return best, here, there

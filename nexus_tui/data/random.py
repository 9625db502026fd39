"""Random numbers as a pure function of (seed, purpose, step): nothing about randomness is ever saved."""

import hashlib

import numpy as np

_WORD = 2**64 - 1


def generator(seed: int, purpose: str, step: int) -> np.random.Generator:
    """The generator for one purpose at one step: always the same numbers, whatever was drawn elsewhere.

    Philox is counter-based: seed and purpose are its key, and the step is the highest word of its counter,
    so streams of different steps cannot meet before 2^194 draws. Seed and step count modulo 2^64.

    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
    """
    word = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    key = np.array([seed & _WORD, word], dtype=np.uint64)
    counter = np.array([0, 0, 0, step & _WORD], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))

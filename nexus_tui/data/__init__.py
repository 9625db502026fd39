"""Corpora, tokenizers and windows: from text to batches, everything a pure function of its inputs."""

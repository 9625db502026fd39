"""Corpora, tokenizers and windows: what a model is trained and evaluated on."""

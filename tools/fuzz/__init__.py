"""Hostile files for every parser that reads what a stranger may have written.

`targets` are the parsers, each with what it may refuse by; `making` builds hostile content that still has the
shape of its format; `one` feeds one parser, guided by coverage; `tools.torture.fuzz` runs them all.
"""

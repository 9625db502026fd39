"""One more token of each of several texts on a GPU: a CUDA graph that is replayed for every token.

Drawing is part of it, so that the token drawn is fed back without the host, which learns of it some steps
later. A graph computes with the tensors that it was captured with and freezes every number, so whatever
changes from token to token is a tensor that stays where it is: the memories of all texts, each in a slot of
its own (`slots`), how each is drawn (`drawing`), and which of them go on. Weights are read where they are at
each replay: weights changed in place, as training does, need no other graph.
"""

from nexus_tui.lm.captured.decoder import Captured

__all__ = ["Captured"]

"""The weights of an average: each tensor the weighted mean of the checkpoints', summed in 64 bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from safetensors import SafetensorError, safe_open

from nexus_tui.analysis.subject import Subject, checkpoint_of
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import load_config, weights
from nexus_tui.runs.averages import oldest_first
from nexus_tui.runs.checkpoints import WEIGHTS
from nexus_tui.runs.run import RunError


def mixed(subjects: Sequence[Subject], shares: Sequence[float]) -> HybridLM:
    """A model whose every number is the mean of the subjects', each counted by its share.

    One tensor of each is in memory at a time. The same subjects and shares in any order give the same bits.
    Raises RunError for weights of different architectures or that cannot be read.
    """
    order = oldest_first(subjects)
    # Relative to the largest, so that equal shares are 1: a sum divided once is rounded once.
    counts = [shares[subjects.index(subject)] / max(shares) for subject in order]
    subjects = order
    folders = [checkpoint_of(subject).path for subject in subjects]
    configs = [load_config(folder) for folder in folders]
    for subject, config in zip(subjects, configs, strict=True):
        if config != configs[-1]:
            raise RunError(
                f"{subject.label} and {subjects[-1].label} are of different architectures: "
                "only checkpoints of one architecture have an average."
            )
    model = HybridLM(configs[-1])
    try:
        with ExitStack() as files, torch.no_grad():
            stored = [files.enter_context(safe_open(folder / WEIGHTS, "pt")) for folder in folders]
            for name, tensor in weights(model).items():
                total = torch.zeros(tensor.shape, dtype=torch.float64)
                for file, count in zip(stored, counts, strict=True):
                    total.add_(file.get_tensor(name).double(), alpha=count)
                tensor.copy_(total.div_(math.fsum(counts)))
    except (OSError, SafetensorError, RuntimeError) as error:  # a shape that does not fit is a RuntimeError
        raise RunError(f"the weights of {subjects[-1].label} or another cannot be read: {error}.") from None
    return model

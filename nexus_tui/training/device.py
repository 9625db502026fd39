"""What a run is trained on: this machine's processor, or a GPU."""

from __future__ import annotations

import os

import torch

from nexus_tui.training.launch import LaunchError

CPU = torch.device("cpu")


def choose(wish: str = "auto") -> torch.device:
    """For `cpu`, `cuda` or `auto`, a GPU if there is one; under torchrun each process has its own.

    Raises LaunchError where a GPU is wished for and there is none, or not one for each process.
    """
    if wish == "cpu":
        return CPU
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(os.environ.get("LOCAL_RANK", "0") or "0")
    if number < count:
        return torch.device("cuda", number)
    if wish == "cuda" and count:
        raise LaunchError(f"process {number} of this machine has no GPU: there are {count}; start fewer.")
    if wish == "cuda":
        raise LaunchError(f"torch {torch.__version__} finds no GPU here; --device cpu needs none.")
    return CPU


def name(device: torch.device) -> str:
    """`cpu`, or what a GPU calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

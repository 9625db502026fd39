"""Which other tools' logs a journal can be mirrored in. Imports nothing large: it is asked before a fork."""

import importlib.util

from nexus_tui.exchange.place import ExchangeError

TENSORBOARD, WANDB = "tensorboard", "wandb"
"""Also what their folders in a run's are called."""
TOOLS = (TENSORBOARD, WANDB)


def check(tool: str) -> None:
    """Raise ExchangeError, with what to do, if a tool is unknown or its package missing."""
    if tool not in TOOLS:
        raise ExchangeError(f"--log {tool}: choose {' or '.join(TOOLS)}.")
    if tool == WANDB and importlib.util.find_spec("wandb") is None:
        raise ExchangeError("--log wandb needs the package wandb: pip install 'nexus-tui[wandb]'.")

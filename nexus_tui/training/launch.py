"""The place of this process among those that train one run together, as torchrun tells it.

Imports no torch: a process that trains alone finds out that it does, and no more.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from nexus_tui.runs.lock import SILENT, RunLockedError

_T = TypeVar("_T")
_CONTRACT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torch.distributed's `env://` asks for; torchrun sets them all."""
_DRIVERS = ("nvidiactl", "dxg", "kfd")
"""What is there where a GPU can be used: NVIDIA's driver, Windows' own of its Linux, AMD's."""


class LaunchError(Exception):
    """Several processes cannot train like this; the message says why and what to do."""


@dataclass(frozen=True)
class Launch:
    """Who this process is. Process 0 leads: it alone writes the run, and listens to whoever steers it."""

    rank: int = 0
    size: int = 1
    shard: bool = False
    """Each holds a part of weights and optimizer (FSDP2), instead of all of them (DDP)."""
    restarts: int = 0
    """How often torchrun has started all of them anew."""
    most_restarts: int = 0
    """How often it may."""
    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: a GPU if there is one."""

    @property
    def leads(self) -> bool:
        """Whether this is process 0, or the only one."""
        return self.rank == 0


def launched(
    shard: bool = False, environment: Mapping[str, str] | None = None, device: str = "auto"
) -> Launch:
    """Read the environment that torchrun made. Raises LaunchError for `shard` in a process that is alone."""
    known = os.environ if environment is None else environment
    if not all(known.get(name) for name in _CONTRACT):
        rank, size = 0, 1
    else:
        try:
            rank, size = int(known["RANK"]), int(known["WORLD_SIZE"])
        except ValueError:
            raise LaunchError(
                "RANK and WORLD_SIZE are no numbers; start the processes with torchrun."
            ) from None
    if shard and size == 1:
        raise LaunchError(
            "--shard divides a model among processes, and this one is alone; start them with "
            "torchrun --nproc-per-node N -m nexus_tui train --shard …"
        )
    restarts, most = (
        int(known.get(f"TORCHELASTIC_{name}", "0")) for name in ("RESTART_COUNT", "MAX_RESTARTS")
    )
    return Launch(rank, size, shard, restarts, most, device)


def trains_on_gpu(launch: Launch, root: Path = Path("/")) -> bool:
    """Whether it is a GPU that will train; `root` is where /dev is. Imports torch only where one may be.

    Raises LaunchError as `device.choose` does.
    """
    if launch.device == "cpu":
        return False
    if launch.device == "auto" and not any((root / "dev" / driver).exists() for driver in _DRIVERS):
        return False
    from nexus_tui.training.device import choose

    return choose(launch.device).type == "cuda"


def require_share(launch: Launch, batch: int) -> None:
    """Raise LaunchError unless every process gets windows of a batch; with `shard`, equally many."""
    if batch < launch.size:
        raise LaunchError(
            f"a batch of {batch} windows cannot be shared among {launch.size} processes; start fewer, or "
            "choose a larger budget.batch."
        )
    if launch.shard and batch % launch.size:
        raise LaunchError(
            f"with --shard each process takes equally many windows, and {batch} are no multiple of "
            f"{launch.size}; start another number, or choose another budget.batch."
        )


def patiently(launch: Launch, begin: Callable[[], _T], sleep: Callable[[float], None] = time.sleep) -> _T:
    """Begin; started again by torchrun, wait for a lock that a machine that has gone left behind.

    Another machine's lock counts until it has been silent for SILENT seconds. Raises RunLockedError if
    somebody still has it after that, at once if this is the first start.
    """
    waited = 0.0
    while True:
        try:
            return begin()
        except RunLockedError:
            if not launch.restarts or waited > SILENT:
                raise
        sleep(1.0)
        waited += 1.0

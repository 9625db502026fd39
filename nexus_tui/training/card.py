"""What a GPU says of itself: memory, how busy it is, how warm, and what it draws."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Card:
    """Reads a GPU through NVML, which is no part of a CUDA context: it waits for no stream and no graph.

    All figures are the whole card's, not this process': what others hold and do there counts as well, and in
    a container NVML cannot tell whose is whose. Where the package nvidia-ml-py or NVML itself is missing,
    memory alone is told, by torch.cuda.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._asks: dict[str, Callable[[], float]] = {}
        with contextlib.suppress(Exception):  # no package, no driver, no such card
            self._asks = _questions(*_handle(device))

    def read(self) -> dict[str, float]:
        """What it says now, without what it refuses to say; never raises.

        `gpu_memory` and `gpu_memory_total` in bytes; `gpu_utilization`, the percentage of the last second, or
        of a part of it, in which a kernel ran; `gpu_temperature` in °C; `gpu_power` in watts.
        """
        values: dict[str, float] = {}
        for name, ask in self._asks.items():
            with contextlib.suppress(Exception):
                values[name] = float(ask())
        if "gpu_memory" not in values or "gpu_memory_total" not in values:
            with contextlib.suppress(Exception):
                values |= _memory(self._device)
        return values


def _handle(device: torch.device) -> tuple[Any, Any]:
    """NVML, and what it calls the card: found by its UUID, however CUDA_VISIBLE_DEVICES numbers the cards."""
    import pynvml
    import torch

    pynvml.nvmlInit()
    uuid = str(torch.cuda.get_device_properties(device).uuid)  # as NVML has it, but for the kind in front
    try:
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")  # a part of a card that acts as one


def _questions(nvml: Any, handle: Any) -> dict[str, Callable[[], float]]:
    return {
        "gpu_memory": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
        "gpu_memory_total": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "gpu_utilization": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "gpu_temperature": lambda: _temperature(nvml, handle),
        "gpu_power": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,  # of milliwatts
    }


def _temperature(nvml: Any, handle: Any) -> float:
    """In °C. Asked by the name that is to stay, then by that which older drivers know."""
    try:
        return float(nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU))
    except Exception:
        return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))


def _memory(device: torch.device) -> dict[str, float]:
    """The card's memory in bytes, as CUDA has it."""
    import torch

    free, total = torch.cuda.mem_get_info(device)
    return {"gpu_memory": float(total - free), "gpu_memory_total": float(total)}

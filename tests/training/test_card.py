"""What a GPU says of itself, by an NVML that is made up: its figures, and what it refuses to say."""
# ruff: noqa: N802 (NVML's own names)

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nexus_tui.config import RunConfig
from nexus_tui.runs.run import Run
from nexus_tui.training import vitals
from nexus_tui.training.card import Card
from nexus_tui.training.session import Session
from nexus_tui.training.vitals import EVERY, Vitals

DEVICE = torch.device("cuda", 0)
OTHER, OURS = "11111111-0000-0000-0000-000000000000", "22222222-0000-0000-0000-000000000000"
SAID = {
    "gpu_memory": 12e9,
    "gpu_memory_total": 85e9,
    "gpu_utilization": 97.0,
    "gpu_temperature": 64.0,
    "gpu_power": 688.5,
}


class NVMLError(Exception):
    """What NVML says no by."""


class FakeNvml:
    """Two cards, of which the second is visible to CUDA, and says what is in SAID."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0
    uuids: tuple[str, ...] = (f"GPU-{OTHER}", f"GPU-{OURS}")

    def nvmlInit(self) -> None:
        """Succeeds."""

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        if uuid not in self.uuids:
            raise NVMLError("Not Found")
        return self.uuids.index(uuid)

    def nvmlDeviceGetMemoryInfo(self, card: int) -> Any:
        return SimpleNamespace(used=int(12e9) * card, total=int(85e9))

    def nvmlDeviceGetUtilizationRates(self, card: int) -> Any:
        return SimpleNamespace(gpu=97 * card, memory=50)

    def nvmlDeviceGetTemperatureV(self, card: int, sensor: int) -> int:
        return 64 * card + sensor

    def nvmlDeviceGetTemperature(self, card: int, sensor: int) -> int:
        return 64 * card + sensor

    def nvmlDeviceGetPowerUsage(self, card: int) -> int:
        return 688_500 * card


def refuses(*_: object) -> Any:
    raise NVMLError("Not Supported")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)  # type: ignore[arg-type]
    # with CUDA_VISIBLE_DEVICES=1 the second card is number 0 here
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid=OURS))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(80e9), int(85e9)))
    return fake


def test_it_reads_the_card_that_cuda_means_by_this_number(nvml: FakeNvml) -> None:
    assert Card(DEVICE).read() == SAID


def test_a_part_of_a_card_is_found_too(nvml: FakeNvml) -> None:
    nvml.uuids = (f"MIG-{OTHER}", f"MIG-{OURS}")
    assert Card(DEVICE).read() == SAID


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        ("nvmlDeviceGetUtilizationRates", {"gpu_utilization"}),
        ("nvmlDeviceGetPowerUsage", {"gpu_power"}),
        ("nvmlDeviceGetTemperatureV", set()),  # a driver that knows the older name alone
        ("nvmlDeviceGetTemperature", set()),  # and one that no longer does
    ],
)
def test_what_a_card_refuses_to_say_costs_nothing_else(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, function: str, missing: set[str]
) -> None:
    monkeypatch.setattr(nvml, function, refuses)
    assert Card(DEVICE).read() == {name: value for name, value in SAID.items() if name not in missing}


def test_a_temperature_that_is_refused_by_both_names_is_missing(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
        monkeypatch.setattr(nvml, function, refuses)
    assert "gpu_temperature" not in Card(DEVICE).read()


def no_package(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "pynvml", None)  # type: ignore[arg-type]


def no_driver(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(nvml, "nvmlInit", refuses)


def no_such_card(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    nvml.uuids = (f"GPU-{OTHER}",)


def no_uuid(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace())


def no_memory(nvml: FakeNvml, patch: pytest.MonkeyPatch) -> None:
    for name in ("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage"):
        patch.setattr(nvml, name, refuses)
    for name in ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"):
        patch.setattr(nvml, name, refuses)


@pytest.mark.parametrize("absent", [no_package, no_driver, no_such_card, no_uuid, no_memory])
def test_without_nvml_memory_is_told_by_torch(
    nvml: FakeNvml,
    monkeypatch: pytest.MonkeyPatch,
    absent: Callable[[FakeNvml, pytest.MonkeyPatch], None],
) -> None:
    absent(nvml, monkeypatch)
    assert Card(DEVICE).read() == {"gpu_memory": 5e9, "gpu_memory_total": 85e9}


def test_a_card_of_which_nothing_can_be_had_stops_no_training(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_package(nvml, monkeypatch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuses)
    assert Card(DEVICE).read() == {}


def test_a_card_that_is_lost_while_it_trains_says_nothing_more(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Card(DEVICE)
    assert card.read() == SAID
    no_memory(nvml, monkeypatch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuses)
    assert card.read() == {}


@pytest.mark.parametrize(("device", "told"), [(DEVICE, True), (torch.device("cpu"), False), (None, False)])
def test_vitals_of_a_training_on_a_gpu_have_its_figures(
    nvml: FakeNvml, device: torch.device | None, told: bool
) -> None:
    now = [0.0]
    measured = Vitals(device, clock=lambda: now[0])
    assert measured.due() == {}
    now[0] = EVERY
    values = measured.due()
    assert {name: value for name, value in values.items() if name.startswith("gpu")} == (SAID if told else {})
    assert "cpu" in values


def test_the_functions_are_those_of_the_package() -> None:
    pynvml = pytest.importorskip("pynvml")
    for name in (name for name in vars(FakeNvml) if not name.startswith("_") and name != "uuids"):
        assert hasattr(pynvml, name), name
    assert pynvml.NVML_TEMPERATURE_GPU == FakeNvml.NVML_TEMPERATURE_GPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_the_package_without_a_driver_says_nothing() -> None:
    pytest.importorskip("pynvml")
    assert Card(DEVICE).read() == {}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_card_has_as_much_memory_as_torch_says_and_less_of_it_after_an_allocation() -> None:
    card = Card(torch.device("cuda", torch.cuda.device_count() - 1))
    before = card.read()
    held = torch.ones(1 << 28, dtype=torch.uint8, device=card._device)
    after = card.read()
    assert after["gpu_memory"] - before["gpu_memory"] >= held.numel()
    total = torch.cuda.get_device_properties(card._device).total_memory
    assert after["gpu_memory_total"] == pytest.approx(total, rel=0.05)
    if "gpu_temperature" in after:  # with nvidia-ml-py, on a card that tells
        assert 0 < after["gpu_temperature"] < 120
    if "gpu_power" in after:
        assert 1 < after["gpu_power"] < 2000
    assert 0 <= after.get("gpu_utilization", 0) <= 100


def test_a_training_has_what_the_device_tells_on_record(
    tmp_path: Path, small: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "EVERY", 0.0)
    session = Session.start(tmp_path, small, "run")
    session.join()
    run = Run(session.folder)
    told = {name for name in run.metrics if name.startswith("gpu")}
    assert run.state == "finished" and "cpu" in run.metrics and run.device is not None
    if torch.cuda.is_available():
        assert told >= {"gpu_memory", "gpu_memory_total"}
        assert run.device.device == torch.cuda.get_device_name(0)
    else:
        assert not told and run.device.device == "cpu"

"""What a GPU says of itself, as charts: as far as it tells, with its units, and from the first moment on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_tui.exchange.logged import Rows, events_of
from nexus_tui.runs import journal as j
from nexus_tui.runs.run import Run
from nexus_tui.tui.app import NexusApp
from nexus_tui.tui.metrics import metrics_of
from nexus_tui.tui.run_curves import RunCurves
from tests.tui.conftest import ready, settled
from tests.tui.fake_runs import FakeRun
from tests.tui.screens import press, text

H100 = "NVIDIA H100 80GB HBM3"
ALL = ("gpu_memory", "gpu_utilization", "gpu_power", "gpu_temperature")
Make = Callable[..., NexusApp]


def on_gpu(run: FakeRun, processes: int = 1) -> FakeRun:
    """A training that begins on a GPU."""
    run.append(
        lambda t: j.DeviceEvent(time=t, pid=1, host="here", device=H100, threads=2, processes=processes)
    )
    return run


def measured(run: FakeRun, *refused: str) -> FakeRun:
    """Trained for two hundred steps, with what a GPU says at every tenth, but for what it refuses."""
    while run.step < 200:
        run.train(run.step + 10)
        share = run.step / 200
        values: dict[str, float | None] = {
            "cpu": 1.04, "memory": 2.1e9, "gpu_memory": 9e9 + 2e9 * share, "gpu_memory_total": 85.0e9,
            "gpu_utilization": 90 + run.step % 7, "gpu_temperature": 35 + 30 * share,
            "gpu_power": 350 + 300 * share,
        }  # fmt: skip
        told = {name: value for name, value in values.items() if name not in refused}
        run.append(lambda t, told=told: j.MeasuredEvent(time=t, step=run.step, values=told))
    return run


def gpu_metrics(run: FakeRun) -> tuple[str, ...]:
    return tuple(metric.id for metric in metrics_of(Run(run.folder)) if metric.id.startswith("gpu"))


@pytest.mark.parametrize("refused", [(), ("gpu_power",), ALL[1:], (*ALL, "gpu_memory_total")])
def test_a_gpu_has_charts_as_far_as_it_tells(tmp_path: Path, refused: tuple[str, ...]) -> None:
    run = measured(on_gpu(FakeRun(tmp_path / "run")), *refused)
    assert gpu_metrics(run) == tuple(name for name in ALL if name not in refused)


def test_a_training_on_a_gpu_has_their_places_before_the_first_measurement(tmp_path: Path) -> None:
    run = on_gpu(FakeRun(tmp_path / "run").train(3))
    assert gpu_metrics(run) == ()
    run.hold()
    try:
        assert gpu_metrics(run) == ALL
        run.append(lambda t: j.MeasuredEvent(time=t, step=3, values={"cpu": 1.0, "gpu_memory": 1e9}))
        assert gpu_metrics(run) == ("gpu_memory",), "the others will not come"
    finally:
        run.release()


def test_a_training_on_the_processor_has_none(tmp_path: Path) -> None:
    run = FakeRun(tmp_path / "run").train(3)
    run.hold()
    assert gpu_metrics(run) == ()
    run.release()


def test_units_and_the_memory_that_there_is(tmp_path: Path) -> None:
    curves = RunCurves(Run(measured(on_gpu(FakeRun(tmp_path / "run"))).folder), "step", None)
    told = {
        metric.id: (curves.legend(metric)[0][2], curves.unit(metric))
        for metric in curves.metrics
        if metric.id in ALL
    }
    assert told == {
        "gpu_memory": ("11.0 GB", "of 85.0 GB"),
        "gpu_utilization": ("93", "%"),
        "gpu_power": ("508", "W"),  # the mean of the newest, as of all that is smoothed
        "gpu_temperature": ("65", "°C"),
    }


def test_exports_carry_them_with_their_units(tmp_path: Path) -> None:
    run = Run(measured(on_gpu(FakeRun(tmp_path / "run"))).folder)
    tags = {tag for row in Rows().take(events_of(run)) for tag in row.values}
    assert {tag for tag in tags if "gpu" in tag} == {
        "system/gpu_memory_bytes",
        "system/gpu_memory_total_bytes",
        "system/gpu_utilization_percent",
        "system/gpu_temperature_celsius",
        "system/gpu_power_watts",
    }


async def test_the_dashboard_has_them_with_their_units(make_app: Make, folder: Path) -> None:
    run = measured(on_gpu(FakeRun(folder / "nexus-byte-2"), processes=4))
    app = make_app(run, here=True)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        await press(pilot, "2", "pagedown")
        await settled(pilot)
        shown = text(app)
        assert shown.splitlines()[0].endswith("1,941 tok/s · 4 × NVIDIA H100 80GB HBM3")
        await press(pilot, "pagedown")
        shown += text(app)
        for title in (
            "GPU memory of 85.0 GB   ─ 11.0 GB",
            "GPU utilisation %   ─ 93",
            "GPU power W   ─ 508",
            "GPU temperature °C   ─ 65",
        ):
            assert f" {title} " in shown, title
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        assert (
            text(app)
            .splitlines()[0]
            .endswith("● training               1,941 tok/s · 4 × NVIDIA H100 80GB HBM3")
        )

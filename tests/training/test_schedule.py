"""The learning rate, against the tables of the reference log."""

import pytest

from nexus_tui.config import RunConfig
from nexus_tui.training.schedule import learning_rate

BYTE = {
    **{600: "2.52e-04", 800: "2.10e-04", 1000: "1.62e-04", 1200: "1.13e-04"},
    **{1400: "6.80e-05", 1600: "3.16e-05", 1800: "8.13e-06", 2000: "0.00e+00"},
}
BPE = {
    **{20: "4.00e-05", 40: "8.00e-05", 60: "1.20e-04", 80: "1.60e-04", 100: "2.00e-04"},
    **{120: "2.40e-04", 140: "2.80e-04", 160: "3.00e-04", 180: "3.00e-04", 200: "3.00e-04"},
}


@pytest.mark.parametrize(("preset", "table"), [("nexus-byte", BYTE), ("nexus-bpe", BPE)])
def test_presets_give_the_rates_of_the_log_in_every_printed_digit(preset: str, table: dict[int, str]) -> None:
    config = RunConfig.load(preset)
    assert {step: f"{learning_rate(config, step):.2e}" for step in table} == table


@pytest.mark.parametrize("shape", ["cosine", "linear", "constant"])
def test_shapes_rise_to_the_peak_and_never_rise_again(shape: str) -> None:
    config = RunConfig.load("nexus-byte", [f"schedule.shape={shape}"])
    rates = [learning_rate(config, step) for step in range(1, 2001)]
    assert rates[99] == max(rates) == config.optimizer.lr
    assert rates[:100] == sorted(rates[:100])
    assert rates[99:] == sorted(rates[99:], reverse=True)
    assert rates[-1] == (config.optimizer.lr if shape == "constant" else 0)

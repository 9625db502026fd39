import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_tui.runs.comparison import signed
from nexus_tui.tui import format as fmt


@pytest.mark.parametrize(
    ("write", "number", "text"),
    [
        (fmt.count, 1412, "1,412"),
        (fmt.count, 0, "0"),
        (fmt.short, 6_739_088, "6.74M"),
        (fmt.short, 999_999, "1.00M"),
        (fmt.short, 980, "980"),
        (fmt.short, -41_000, "-41.0k"),
        (fmt.loss, 1.40214, "1.4021"),
        (fmt.delta, 0.00219, "+0.0022"),
        (fmt.delta, -0.1, "-0.1000"),
        (fmt.perplexity, 4.0637, "4.06"),
        (fmt.perplexity, 12345.6, "12,346"),
        (fmt.perplexity, 1.0686e13, "1.07e+13"),
        (fmt.learning_rate, 6.6121e-05, "6.61e-05"),
        (fmt.percent, 0.706, "71 %"),
        (fmt.percent, 0.9999, "99 %"),
        (fmt.percent, 1.0, "100 %"),
        (fmt.duration, 45, "0:45"),
        (fmt.duration, 621, "10:21"),
        (fmt.duration, 3723, "1:02:03"),
        (fmt.duration, 3599.7, "1:00:00"),
        (fmt.duration, 93_784, "1 d 02:03"),
        (fmt.duration, -1, "–"),
        (fmt.age, 2, "now"),
        (fmt.age, 40, "40 s"),
        (fmt.age, 200, "3 min"),
        (fmt.age, 5 * 3600, "5 h"),
        (fmt.age, 12 * 86400, "12 d"),
        (fmt.age, 1200 * 86400, "3 y"),
        (fmt.size, 25_800_000, "25.8 MB"),
        (fmt.size, 512, "512 B"),
        (fmt.size, 999_600, "1.00 MB"),
        (fmt.speed, 1942.3, "1,942 tok/s"),
        (fmt.speed, 3.21, "3.2 tok/s"),
        (fmt.value, 1.4021, "1.4021"),
        (fmt.value, 1942.31, "1,942.3"),
        (fmt.value, 6.6e-5, "6.60e-05"),
        (fmt.value, 0.0, "0"),
    ],
)
def test_numbers_read_as_in_the_specification(write, number, text):
    assert write(number) == text


WRITERS = [
    fmt.count,
    fmt.short,
    fmt.loss,
    fmt.delta,
    fmt.perplexity,
    fmt.learning_rate,
    fmt.percent,
    fmt.duration,
    fmt.age,
    fmt.size,
    fmt.speed,
    fmt.value,
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("number", [None, math.nan])
def test_a_missing_number_is_a_dash(write, number):
    assert write(number).startswith(fmt.MISSING)


@pytest.mark.parametrize("write", WRITERS)
@settings(max_examples=50, deadline=None)
@given(number=st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_has_a_text(write, number):
    text = write(number)
    assert text
    assert "nan" not in text
    assert "inf" not in text


@given(number=st.floats(min_value=1, max_value=1e15))
def test_a_short_count_keeps_its_magnitude(number):
    text = fmt.short(number)
    unit = text[-1] if text[-1].isalpha() else ""
    shown = float(text.removesuffix(unit)) * 1000 ** ["", "k", "M", "G", "T", "P"].index(unit)
    assert shown == pytest.approx(number, rel=0.006, abs=0.51)


def test_a_difference_of_nothing_has_no_negative_zero() -> None:
    assert fmt.delta(-0.00001) == fmt.delta(0.0) == signed(-0.00001) == "+0.0000"
    assert fmt.delta(-0.0001) == signed(-0.0001) == "-0.0001"

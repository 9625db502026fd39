"""What a number field says of what it holds."""

import pytest

from nexus_tui.tui.number_field import Setting

HEAT = Setting("t", "temperature", 0.8, 0, 100, 0.1, whole=False)
SHARE = Setting("p", "top-p", 1, 0, 1, 0.1, whole=False, above=True)
COUNT = Setting("k", "top-k", 0, 0, 9, 1)


@pytest.mark.parametrize(
    ("setting", "typed", "said"),
    [
        (HEAT, "", "temperature is empty: write a number from 0 to 100."),
        (COUNT, " ", "top-k is empty: write a whole number from 0 to 9."),
        (SHARE, "", "top-p is empty: write a number above 0 to 1."),
        (COUNT, "1.5", "top-k: 1.5 is no whole number."),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(setting: Setting, typed: str, said: str) -> None:
    assert setting.read(typed) == (None, said)

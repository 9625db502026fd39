"""Whatever a configuration holds, run.toml is TOML that says the same."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.runs.run_toml import to_toml

values = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('ab. é"', max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text('ab.-é"', max_size=4), values, max_size=4))
def test_what_is_read_is_what_was_written(tables: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(tables)) == tables


def test_what_toml_has_no_word_for() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": [1, None], "c": object})) == {
        "b": [1],
        "c": "<class 'object'>",
    }

"""What is pasted is text, whatever is in it and however it is cut on the way."""

from hypothesis import given
from hypothesis import strategies as st
from textual import events

from nexus_tui.tui.pasting import END, START, PasteParser, exact

anything = st.text(alphabet="a\x1b[2001~;\x07\n\x12é", max_size=30).filter(
    lambda text: END not in text + END[:-1]
)


def parsed(data: str, places: list[int]) -> list[events.Event]:
    """The events of some data that comes cut at some places."""
    parser = PasteParser()
    ends = [*sorted({place % (len(data) + 1) for place in places}), len(data)]
    starts = [0, *ends[:-1]]
    chunks = (data[a:b] for a, b in zip(starts, ends, strict=True) if b > a)
    return [event for chunk in chunks for event in parser.feed(chunk)]  # type: ignore[misc]


@given(anything, st.lists(st.integers(0, 200), max_size=8))
def test_nothing_in_a_paste_is_a_key(text: str, places: list[int]) -> None:
    found = parsed(f"x{START}{text}{END}y{START}{END}", places)
    assert [event.key for event in found if isinstance(event, events.Key)] == ["x", "y"]
    pastes = [event for event in found if isinstance(event, events.Paste)]
    assert [exact(paste) for paste in pastes] == [text, ""]
    assert all(c in "\n\r\t" or c.isprintable() for paste in pastes for c in paste.text)


def test_keys_are_keys() -> None:
    found = parsed("q\x1b[A\x12\x1b[2~", [])
    assert [event.key for event in found if isinstance(event, events.Key)] == ["q", "up", "ctrl+r", "insert"]


def test_a_megabyte_is_quick() -> None:
    parser = PasteParser()
    found = list(parser.feed(START))
    for _ in range(500):
        found += list(parser.feed("word " * 819))
    found += list(parser.feed(END))
    assert [len(exact(event)) for event in found if isinstance(event, events.Paste)] == [500 * 5 * 819]

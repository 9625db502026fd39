"""What is pasted is text, whatever is in it and however it is cut on the way."""

import pytest
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


class Clock:
    """Seconds that pass when somebody says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("key", ["\x1b", "\x03"])
def test_a_paste_that_never_ends_is_left_by_a_lone_key(key: str) -> None:
    clock = Clock()
    parser = PasteParser(clock=clock)
    assert list(parser.feed(f"{START}words")) == []
    clock.now += 10
    assert [*parser.feed("q"), *parser.feed(key), *parser.tick()] == []  # right after something else
    clock.now += 10
    assert list(parser.feed(key)) == []
    clock.now += 1
    assert list(parser.tick()) == []
    assert [event.key for event in parser.feed("q") if isinstance(event, events.Key)] == ["q"]
    assert [exact(event) for event in parser.feed(f"{START}a{END}") if isinstance(event, events.Paste)] == [
        "a"
    ]


def test_a_paste_whose_end_comes_late_and_in_pieces_is_one() -> None:
    clock = Clock()
    parser = PasteParser(clock=clock)
    found = list(parser.feed(f"{START}words"))
    clock.now += 60  # the link stalled, between an escape character and the rest of the mark, say
    found += [*parser.feed("\x1b"), *parser.tick(), *parser.feed(f"{END[1:]}q")]
    clock.now += 1
    found += parser.tick()
    assert [exact(event) for event in found if isinstance(event, events.Paste)] == ["words"]
    assert [event.key for event in found if isinstance(event, events.Key)] == ["q"]


@pytest.mark.parametrize(
    "sequence",
    ["\x1b[99999999999;5u", "\x1b[97:65;2u", "\x1b[97;1;98:99999999u", "\x1b[55296;1u", "\x1b[97;1;55296u"],
)
def test_a_sequence_that_names_no_character_is_no_key(sequence: str) -> None:
    keys = [event for event in parsed(f"{sequence}x", []) if isinstance(event, events.Key)]
    assert [key.key for key in keys][-1] == "x"
    assert all((key.character or "").isprintable() for key in keys)


@given(st.text(alphabet="\x1b[]<>?;:0129MmtuRO~$y PA_\\\x9b\ud800", max_size=40), st.integers(0, 40))
def test_no_sequence_ends_the_hearing_of_keys(data: str, place: int) -> None:
    found = parsed(f"{data}{' ' * 40}q", [place])
    assert any(isinstance(event, events.Key) and event.key == "q" for event in found) or START in data


def test_a_mouse_speaks_in_cells_whatever_came_before() -> None:
    found = parsed("\x1b[48;24;80;0;0t\x1b[<0;5;7M", [])
    (press,) = [event for event in found if isinstance(event, events.MouseDown)]
    assert (press.x, press.y) == (4, 6)


def test_a_paste_without_marks_is_one_paste_and_no_keys() -> None:
    clock = Clock()
    parser = PasteParser(clock=clock)
    found = list(parser.feed("q"))
    for _ in range(500):
        found += [*parser.feed("q word\r" * 100), *parser.tick()]
    clock.now += 0.01
    found += [*parser.feed("end"), *parser.tick()]
    clock.now += 0.1
    found += [*parser.tick(), *parser.feed("q")]
    assert [event.key for event in found if isinstance(event, events.Key)] == ["q", "q"]
    (paste,) = (event for event in found if isinstance(event, events.Paste))
    assert exact(paste) == "q word\r" * 50_000 + "end"


def test_a_sequence_in_a_flood_of_text_is_no_text() -> None:
    clock = Clock()
    parser = PasteParser(clock=clock)
    found = [*parser.feed("a" * 300), *parser.feed(f"\x1b[A{'b' * 300}")]
    assert [type(event) for event in found[:2]] == [events.Paste, events.Key]
    assert len(found) == 302


@given(st.integers(1, len(START) - 1))
def test_a_mark_that_comes_in_pieces_is_a_mark_however_much_follows(place: int) -> None:
    found = parsed(f"{START}{'a' * 300}{END}q", [place])
    assert [type(event) for event in found] == [events.Paste, events.Key]

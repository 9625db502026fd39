"""Several texts by one thread: together, in turns, memory, ends, and one that fails."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nexus_tui.lm.generation import Sampling
from nexus_tui.runs.checkpoints import WEIGHTS, Checkpoint, CheckpointError
from nexus_tui.runs.run import Run, RunError
from nexus_tui.training.sampling import Piece, TextError
from nexus_tui.tui.choir import TURN, Choir, arranged
from nexus_tui.tui.seats import Seats
from nexus_tui.tui.voice import Part, Voice
from tests.tui.conftest import FakeNovelty


def checkpoint(name: str, size: int = 100) -> Checkpoint:
    return Checkpoint(Path(name), 1, {WEIGHTS: {"sha256": name, "bytes": size}})


class Letters:
    """Writes its own name's letter to each text, and keeps a record of who wrote for how many at once."""

    def __init__(self, name: str, record: list[str]) -> None:
        self.name, self.record = name, record
        self.left: list[int] = []

    def together(
        self,
        *,
        share: float | Callable[[], float] = 1.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Letters":
        return type(self)(self.name, self.record)

    def add(self, prompt: str | bytes, sampling: Sampling, *, stop: Sequence[str] = ()) -> int:
        if prompt == "strange":
            raise TextError("The text is strange.")
        self.left.append(sampling.max_tokens)
        return len(self.left) - 1

    def step(self) -> list[tuple[int, Piece | FloatingPointError]]:
        texts = [number for number, left in enumerate(self.left) if left]
        self.record += [self.name * len(texts)] if texts else []
        self.left = [max(left - 1, 0) for left in self.left]
        return [(number, self.piece(self.left[number] == 0)) for number in texts]

    def piece(self, last: bool) -> Piece | FloatingPointError:
        token = self.name.encode()
        return Piece(self.name, 0, 1, -1.0, 1, 1.0, token=token, end="max tokens" if last else "")


def seats(record: list[str], opened: list[str], limit: int = 1000) -> Seats:
    def opener(one: Checkpoint) -> Letters:
        opened.append(one.name)
        if one.name == "x":
            raise CheckpointError("x is damaged.")
        return Letters(one.name, record)

    return Seats(limit, opener)


def voice(run: Run, name: str, tokens: int, size: int = 100, prompt: str = "") -> Voice:
    return Voice(Part(run, checkpoint(name, size), prompt, {"max_tokens": tokens}))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def sung(rows: list[list[Voice]], table: Seats, **more: object) -> Choir:
    choir = Choir(arranged(rows, table), table, **{"originals": FakeNovelty, **more})  # type: ignore[arg-type]
    choir.start()
    choir.join(30)
    assert not choir.live
    return choir


def test_the_voices_of_a_checkpoint_write_together_and_checkpoints_take_turns(run: Run) -> None:
    record: list[str] = []
    opened: list[str] = []
    rows = [[voice(run, name, 2 * TURN) for name in "ab"] for _ in range(2)]
    sung(rows, seats(record, opened))
    assert record == [*["aa"] * TURN, *["bb"] * TURN] * 2
    assert opened == ["a", "b"]  # each once
    assert [v.text for v in rows[1]] == ["a" * 2 * TURN, "b" * 2 * TURN]
    assert {v.state for row in rows for v in row} == {"done"}
    assert rows[0][0].figures.tokens == 2 * TURN


def test_one_that_ends_is_judged_and_the_others_go_on(run: Run) -> None:
    record: list[str] = []
    rows = [[voice(run, "a", tokens)] for tokens in (2, 0, 5)]
    sung(rows, seats(record, []))
    assert record == ["aa", "aa", "a", "a", "a"]
    assert [row[0].text for row in rows] == ["aa", "", "aaaaa"]
    assert [row[0].novelty is not None for row in rows] == [True, False, True]
    assert {row[0].state for row in rows} == {"done"}


def test_without_room_for_all_it_is_column_by_column_and_each_is_opened_once(run: Run) -> None:
    record: list[str] = []
    opened: list[str] = []
    rows = [[voice(run, name, 3, size=400) for name in "abc"] for _ in range(2)]
    table = seats(record, opened, limit=1000)
    sung(rows, table)
    assert record == ["aa"] * 3 + ["bb"] * 3 + ["cc"] * 3
    assert opened == ["a", "b", "c"]
    table.open(checkpoint("c", 400))
    assert opened == ["a", "b", "c"]
    table.open(checkpoint("a", 400))
    assert opened == ["a", "b", "c", "a"]


def test_a_prompt_that_cannot_be_written_after_is_one_texts_failure(run: Run) -> None:
    rows = [[voice(run, "a", 3, prompt=prompt)] for prompt in ("", "strange", "x")]
    sung(rows, seats([], []))
    assert [row[0].state for row in rows] == ["done", "failed", "done"]
    assert rows[1][0].error == "The text is strange."


def test_one_without_numbers_fails_alone(run: Run) -> None:
    class Diverges(Letters):
        def step(self) -> list[tuple[int, Piece | FloatingPointError]]:
            pieces = super().step()
            self.left[0] = 0
            return [
                (number, piece if number else FloatingPointError("no number")) for number, piece in pieces
            ]

    rows = [[voice(run, "a", 3)] for _ in range(2)]
    sung(rows, Seats(1000, lambda one: Diverges(one.name, [])))
    assert [(row[0].state, row[0].error) for row in rows] == [("failed", "no number"), ("done", "")]
    assert [row[0].text for row in rows] == ["", "aaa"]


def test_one_that_fails_says_so_and_the_others_go_on(run: Run) -> None:
    rows = [[voice(run, name, 5) for name in "axb"]]
    sung(rows, seats([], []))
    assert [v.state for v in rows[0]] == ["done", "failed", "done"]
    assert rows[0][1].error == "x is damaged."
    assert rows[0][1].novelty is None and rows[0][0].novelty is not None


def test_what_raises_anything_is_told_in_its_cell(run: Run) -> None:
    table = Seats(1000, lambda _: (_ for _ in ()).throw(KeyError("gone")))
    rows = [[voice(run, "a", 5)]]
    sung(rows, table)
    assert rows[0][0].error == "KeyError: 'gone'"


def test_it_ends_at_the_next_token(run: Run) -> None:
    rows = [[voice(run, name, 10_000_000) for name in "ab"] for _ in range(2)]
    table = seats([], [])
    choir = Choir(arranged(rows, table), table, originals=FakeNovelty)
    choir.start()
    while not rows[0][1].figures.tokens:
        time.sleep(0.001)
    choir.stop()
    choir.join(60)
    assert {v.state for row in rows for v in row} == {"stopped"}
    assert not [thread for thread in threading.enumerate() if thread.name == "choir"]


def test_it_ends_while_it_sleeps_for_others(run: Run) -> None:
    class Sleepy(Letters):
        def together(self, *, share=1.0, progress=None):  # type: ignore[no-untyped-def]
            self.progress = progress
            return self

        def step(self):  # type: ignore[no-untyped-def]
            while True:
                time.sleep(0.01)
                self.progress(1, 1)

    one = voice(run, "a", 5)
    table = Seats(1000, lambda _: Sleepy("a", []))
    choir = Choir([[one]], table, originals=FakeNovelty)
    choir.start()
    choir.stop()
    choir.join(60)
    assert (choir.live, one.state) == (False, "stopped")


def test_the_share_is_asked_for_by_whoever_writes(run: Run) -> None:
    asked: list[object] = []

    class Paced(Letters):
        def together(self, *, share=1.0, progress=None):  # type: ignore[no-untyped-def]
            asked.append(share())
            return self

        def add(self, prompt, sampling, *, stop=()):  # type: ignore[no-untyped-def]
            asked.append(stop)
            return super().add(prompt, sampling)

    part = Part(run, checkpoint("a"), "", {"max_tokens": 3, "stop": ("\n\n",)})
    sung([[Voice(part)]], Seats(1000, lambda _: Paced("a", [])), share=lambda: 0.25)
    assert asked == [0.25, ("\n\n",)]


def test_without_a_training_text_the_reason_is_kept(run: Run) -> None:
    def none(_: Run) -> FakeNovelty:
        raise RunError("run does not say which text.")

    rows = [[voice(run, "a", 5)]]
    sung(rows, seats([], []), originals=none)
    assert (rows[0][0].state, rows[0][0].unknown) == ("done", "run does not say which text.")


def test_a_stop_text_is_neither_shown_nor_compared(run: Run) -> None:
    one = voice(run, "a", 9)
    for letter in b"to be\n\n":
        one.add(chr(letter) if letter != 10 else "", bytes([letter]), one.figures)
    one.cut()
    assert (one.text, one.raw) == ("to be", b"to be")
    assert one.ends[-1] == 5
    other = voice(run, "b", 9)
    for letter in "to be":
        other.add(letter, letter.encode(), other.figures)
    one.state = other.state = "done"
    assert one.against(other).kind == "same"


def test_the_token_that_completes_a_character_is_marked_with_the_whole_of_it(run: Run) -> None:
    one, other = voice(run, "a", 9), voice(run, "b", 9)
    one.add("", b"\xc3", one.figures)
    one.add("é", b"\xa9", one.figures)
    other.add("", b"\xc3", other.figures)
    other.add("è", b"\xa8", other.figures)
    assert one.against(other).at == 1
    assert one.token(1) == other.token(1) == (0, 1)

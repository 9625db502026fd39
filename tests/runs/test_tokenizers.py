"""Which runs count the same tokens."""

from pathlib import Path

import pytest

from nexus_tui.runs.journal import Journal, StartedEvent
from nexus_tui.runs.run import Run
from nexus_tui.runs.tokenizers import differ, tokens


def run(folder: Path, name: str, tokenizer: str = "", size: int = 0, file: str = "") -> Run:
    """A run whose record says so much of its tokens."""
    place = folder / name
    place.mkdir()
    data = f'[data]\ntokenizer = "{tokenizer}"\n' if tokenizer else ""
    (place / "run.toml").write_text(data + (f"[model]\nvocab_size = {size}\n" if size else ""))
    if file:
        (place / "tokenizer.json").write_text(file)
    Journal(place / "journal.jsonl").append(StartedEvent())
    return Run(place)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (("byte", 256, "{}"), ("byte", 256, "{ }"), ""),
        (("byte", 256), ("byte",), ""),
        (("byte", 256), ("bpe", 1000), "byte, bpe of 1,000"),
        (("bpe", 1000), ("bpe", 2000), "bpe of 1,000, bpe of 2,000"),
        (("bpe", 1000, "to be"), ("bpe", 1000, "or not"), "bpe of 1,000, learned from different texts"),
        (("bpe", 1000, "to be"), ("bpe", 1000, "to be"), ""),
        (("bpe", 1000, "to be"), ("bpe", 1000), ""),
        (("bpe", 1000), (), ""),
        ((), (), ""),
    ],
)
def test_tokens_differ_where_the_record_says_so(
    tmp_path: Path, first: tuple, second: tuple, said: str
) -> None:
    assert differ([run(tmp_path, "a", *first), run(tmp_path, "b", *second)]) == said


def test_three_runs_are_compared_two_by_two(tmp_path: Path) -> None:
    runs = [
        run(tmp_path, "a", "bpe", 1000, "x"),
        run(tmp_path, "b", "bpe", 1000),
        run(tmp_path, "c", "bpe", 1000, "y"),
    ]
    assert differ(runs[:2]) == differ(runs[1:]) == ""
    assert differ(runs) == "bpe of 1,000, learned from different texts"
    assert tokens(runs[1]) is not None and differ([]) == ""

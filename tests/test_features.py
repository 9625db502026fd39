"""docs/features.md: every test that it names is there, and every yes names one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "features.md").read_text("utf-8")
TABLE, _, TESTS = PAGE.partition("## The tests")


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TESTS)
    assert len(named) > 40
    for path, name in named:
        functions = {
            node.name
            for node in ast.parse((ROOT / path).read_text("utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert not name or name in functions, f"{path} has no {name}"


def test_every_number_of_the_table_is_in_the_list_and_no_other() -> None:
    told = [int(number) for number in re.findall(r"\[(\d+)\]", TABLE)]
    listed = [int(number) for number in re.findall(r"^(\d+)\. `tests/", TESTS, re.MULTILINE)]
    assert told == listed == list(range(1, len(listed) + 1))
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert all(re.search(r"\[\d+\]", line.split("|")[2]) for line in rows)

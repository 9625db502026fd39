"""SECURITY.md: every promise names a test, and every test that it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_promise_names_tests_that_are_there() -> None:
    promises = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert len(promises) >= 10
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise.split("|")[2])
        assert named, f"no test shows it: {promise}"
        for path, name in named:
            functions = {
                node.name
                for node in ast.parse((ROOT / path).read_text("utf-8")).body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            assert name in functions, f"{path} has no {name}"

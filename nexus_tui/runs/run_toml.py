"""run.toml as text: tables of plain values."""

import json
import math
from collections.abc import Mapping
from typing import Any


def to_toml(tables: Mapping[str, Any]) -> str:
    """Values, then tables of values, as TOML. What is None is left out: TOML has no word for it."""
    values = {key: value for key, value in tables.items() if not isinstance(value, Mapping)}
    lines = _lines(values)
    for table, content in tables.items():
        if isinstance(content, Mapping):
            lines += ["", f"[{_key(table)}]", *_lines(content)]
    return "\n".join(lines) + "\n"


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml_value(value)}" for key, value in values.items() if value is not None]


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else json.dumps(key)


def toml_value(value: Any) -> str:
    """A value as TOML: JSON's strings, numbers and booleans are TOML's; what is none of them, as its text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(_lines(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(each) for each in value if each is not None) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{value:+}"
    if not isinstance(value, str | bool | int | float):
        value = str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""Hostile content with the shape of its format, made from bytes: the same bytes make the same content.

A fuzzer that flips bytes seldom gets past the syntax. Here bytes choose among values that are legal there and
that nobody expects.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

NESTED: Any = []
for _ in range(900):
    NESTED = [NESTED]
NUMBERS: tuple[float, ...] = (
    0, 1, -1, 2, 7, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**63) - 1, 10**30, 10**400,
    -0.0, 1e-320, 0.5, 1.5, 1e17, 1e308, -1e308, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
TEXTS = (
    "", " ", "a", "step_1", "step_2", "../..", "/etc/passwd", "a/b", ".", "..", "a\0b", "\n", "\r\n", "\t",
    "\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "[red]x[/red]", "[@click=app.quit]x[/]", "{0.__class__}", "%s",
    "\u202eabc", "\u2066x", "\u200b", "e\u0301" * 40, "👩‍👩‍👧", "你好",
    "x" * 300, "y" * 5000, "NaN", "inf", "1e999",
    "$(touch hacked)", "`touch hacked`", "=cmd|' /C calc'!A0", "\\x00", "\uffff", "١٢", "²",
)  # fmt: skip
TIMES = (
    "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+00:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z", "2026-02-29T00:00:00Z", "",
)  # fmt: skip


class Maker:
    """Chooses by the bytes it is given; when they are used up, always the first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1."""
        if limit <= 1 or self._at >= len(self._data):
            return 0
        wide = 1 if limit <= 256 else 2
        value = int.from_bytes(self._data[self._at : self._at + wide], "little")
        self._at += wide
        return value % limit

    @property
    def more(self) -> bool:
        """Whether there are bytes left."""
        return self._at < len(self._data)

    def rest(self) -> bytes:
        """The bytes that are left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest

    def of(self, values: Sequence[T]) -> T:
        """One of some values."""
        return values[self.below(len(values))]

    def seldom(self) -> bool:
        """Once in eight."""
        return self.below(8) == 7

    def value(self, depth: int = 2) -> Any:
        """Anything that JSON can say."""
        kind = self.below(10 if depth else 7)
        if kind < 3:
            return self.of(NUMBERS)
        if kind < 5:
            return self.of(TEXTS)
        if kind < 7:
            return self.of((None, True, False))
        if kind == 7:
            return [self.value(depth - 1) for _ in range(self.below(4))]
        if kind == 8:
            return {self.of(TEXTS): self.value(depth - 1) for _ in range(self.below(4))}
        return NESTED if self.seldom() else []

    def table(self, fields: Mapping[str, Callable[[Maker], Any]]) -> dict[str, Any]:
        """An object of such fields: some left out, some of another kind, now and then one more."""
        made = {
            name: self.value() if self.seldom() else make(self)
            for name, make in fields.items()
            if not self.seldom()
        }
        if self.seldom():
            made[self.of(TEXTS)] = self.value()
        return made


def one_of(*values: Any) -> Callable[[Maker], Any]:
    """A field that has one of these values."""
    return lambda maker: maker.of(values)


def listed(make: Callable[[Maker], Any], most: int = 4) -> Callable[[Maker], list[Any]]:
    """A field that lists what `make` makes."""
    return lambda maker: [make(maker) for _ in range(maker.below(most))]


def table_of(fields: Mapping[str, Callable[[Maker], Any]]) -> Callable[[Maker], dict[str, Any]]:
    """A field that is an object."""
    return lambda maker: maker.table(fields)


def number(*usual: float) -> Callable[[Maker], Any]:
    """A field that is mostly one of these, else any number."""
    return lambda maker: maker.of(NUMBERS) if maker.below(4) == 3 else maker.of(usual)


def text(*usual: str) -> Callable[[Maker], str]:
    """A field that is mostly one of these, else any text."""
    return lambda maker: maker.of(TEXTS) if maker.below(4) == 3 else maker.of(usual)


def as_json(value: Any) -> bytes:
    """JSON as Python writes it, NaN and all."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def by_annotation(name: str, kind: Any) -> Callable[[Maker], Any]:
    """A field of a typed event, from its name and type."""
    known: dict[str, Callable[[Maker], Any]] = {
        "time": lambda maker: maker.of(TIMES),
        "step": number(1, 2, 3, 4),
        "target": number(2, 4, 100),
        "checkpoint": text("step_1", "step_2", "step_3"),
        "parents": listed(text("run:step_1@0123456789ab", "run:step_2@")),
        "reason": text("finished", "stopped", "failed"),
        "act": text("pause", "continue", "rate_scale", "plan"),
        "kind": text("run", "recorded"),
        "protocol": text("p", "q"),
        "metrics": lambda maker: {maker.of(TEXTS): maker.of(NUMBERS) for _ in range(maker.below(3))},
        "values": lambda maker: {maker.of(TEXTS): maker.of(NUMBERS) for _ in range(maker.below(3))},
    }
    if name in known:
        return known[name]
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if kind is str:
        return text("x", "a name")
    if kind is bool:
        return one_of(True, False)
    return number(0, 1, 2.5, 3)

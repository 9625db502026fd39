"""The filter language: which runs, by what they are configured as and what came of them.

    model:byte lr>=1e-3 best<2.0 -note:debug

Terms stand between blanks, and all of them must hold. `:` asks whether a text contains another, `=` `!=`
`<` `<=` `>` `>=` compare, `-` before a term negates it, quotes keep blanks together. A word alone is looked
for in name, state, model, corpus and notes. Capitals do not matter.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nexus_tui.runs.summary import Summary

if TYPE_CHECKING:
    from nexus_tui.runs.run import Run

Kind = Literal["text", "number", "age", "flag"]


@dataclass(frozen=True)
class Facts:
    """What a filter asks about one run: its summary, and what is so just now."""

    summary: Summary
    state: str
    """The word that the list has for it, such as `training`."""
    now: float
    """Epoch seconds."""
    pinned: bool = False


def listed_state(run: Run) -> str:
    """The list's word for a run's state. A record is one, however its training ended."""
    return "recorded" if run.summary.kind == "recorded" else run.state


def facts(run: Run, now: float, pinned: bool = False) -> Facts:
    """What a filter asks about a run, `now` in epoch seconds."""
    return Facts(run.summary, listed_state(run), now, pinned)


@dataclass(frozen=True)
class Key:
    """What can be asked about besides the configuration."""

    name: str
    kind: Kind
    help: str
    """What it is, after `NAME is`."""
    example: str
    of: Callable[[Facts], Any]
    """Of a text all that it may be; of a number, None where it is not known."""


def _perplexity(facts: Facts) -> float | None:
    loss = facts.summary.best_loss
    return None if loss is None else math.exp(min(loss, 700.0))


def _age(facts: Facts) -> float | None:
    active = facts.summary.last_active
    return None if active is None else facts.now - active


KEYS = {
    key.name: key
    for key in (
        Key("name", "text", "the run's name", "name:byte", lambda f: (f.summary.name,)),
        Key("model", "text", "the preset", "model:nexus-tiny", lambda f: (f.summary.preset,)),
        Key("corpus", "text", "the text it learns from", "corpus:shake", lambda f: (f.summary.corpus,)),
        Key("tokenizer", "text", "byte or bpe", "tokenizer:bpe", lambda f: (f.summary.tokenizer,)),
        Key("state", "text", "a word of the first column", "state:crashed", lambda f: (f.state,)),
        Key("kind", "text", "run, recorded or a tool's name", "kind:recorded", lambda f: (f.summary.kind,)),
        Key("note", "text", "what was noted", "note:debug", lambda f: f.summary.notes),
        Key("step", "number", "the newest step", "step>=2k", lambda f: f.summary.step),
        Key("steps", "number", "the planned steps", "steps=2000", lambda f: f.summary.total_steps or None),
        Key("best", "number", "the best validation loss in nats", "best<2.0", lambda f: f.summary.best_loss),
        Key("bits", "number", "the best's bits per byte", "bits<=2.2", lambda f: f.summary.best_bits),
        Key("perplexity", "number", "exp of the best validation loss", "perplexity<8", _perplexity),
        Key("params", "number", "how many parameters", "params>5M", lambda f: f.summary.parameters or None),
        Key("age", "age", "how long ago anything happened", "age<2h", _age),
        Key("pinned", "flag", "yes or no", "pinned:yes", lambda f: f.pinned),
    )
}
"""By name, in the order in which they are listed."""

DIGITS = {"best": 4, "bits": 4, "perplexity": 2}
"""Decimals as the list writes them: what it shows as 1.4623 is equal to 1.4623."""

_TERM = re.compile(
    r"""\s*(?P<minus>-?)
    (?:(?P<key>[^\s"<>=!:]*)\s*(?P<op><=|>=|!=|[:=<>])\s*)?
    (?P<value>"[^"]*"?|[^\s"]*)""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"([-+]?[\d.,_]*\d[\d.,_]*(?:e[-+]?\d+)?|[-+]?inf)(%|[kmgtb])?", re.IGNORECASE)
_TIMES = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9, "t": 1e12, "%": 0.01}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w|y)", re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604_800.0, "y": 31_536_000.0}
_ELSEWHERE = {
    **dict.fromkeys(("loss", "val", "val_loss", "validation_loss", "eval_loss"), "best"),
    **dict.fromkeys(("bpb", "bits_per_byte"), "bits"),
    "ppl": "perplexity",
    "dataset": "corpus",
}
"""What other tools call what is asked about here by another key."""
_OTHER_SIGN = re.compile(r"([\w.]+?)(!?~|≤|≥|≠)(.*)")
"""Key, sign and value of a term in the signs of other languages."""
_OURS = {"~": ":", "!~": ":", "≤": "<=", "≥": ">=", "≠": "!="}
_JOINS = {
    **dict.fromkeys(("or", "|", "||"), "There is no OR, for all terms must hold: ask for one at a time"),
    **dict.fromkeys(("and", "&", "&&"), "Leave this out, for all terms must hold anyway"),
    "not": "Write -word or -key:value to leave something out",
}
"""What is said of words and signs that join terms elsewhere."""
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class FilterError(Exception):
    """A text is no filter: which part of it, from `start` to `end`, and why, in one sentence."""

    def __init__(self, sentence: str, start: int, end: int, unfinished: bool = False) -> None:
        super().__init__(sentence)
        self.start, self.end = start, end
        self.unfinished = unfinished
        """Whether it may yet become one by writing on at its end."""


@dataclass(frozen=True)
class Part:
    """One term as it is written: [-][KEY OP]VALUE, and where in the text."""

    start: int
    end: int
    negated: bool
    key: str
    op: str
    """Empty for a word alone."""
    value: str
    value_start: int
    quoted: bool

    @property
    def key_start(self) -> int:
        """Where the key stands."""
        return self.start + self.negated


@dataclass(frozen=True)
class Term:
    """One condition."""

    part: Part
    holds: Callable[[Facts], bool]


@dataclass(frozen=True)
class Filter:
    """Conditions that must all hold; none holds for every run."""

    terms: tuple[Term, ...] = ()

    def __call__(self, facts: Facts) -> bool:
        """Whether a run is one of those that were asked for."""
        return all(term.holds(facts) != term.part.negated for term in self.terms)

    def without_word_at(self, place: int) -> Filter:
        """Without the word that begins there, which has become the key of a term still being written."""
        return Filter(
            tuple(t for t in self.terms if t.part.op or place not in (t.part.start, t.part.key_start))
        )


def parse(text: str, settings: Iterable[str] | None = None) -> Filter:
    """Read a filter. Raises FilterError.

    `settings` are the dotted keys of the configurations at hand, which make others an error; None allows any.
    """
    known = None if settings is None else tuple(settings)
    return Filter(tuple(_term(part, text, known) for part in parts(text)))


def parts(text: str) -> Iterator[Part]:
    """The terms of a text as they are written, right or wrong."""
    place = 0
    while place < len(text.rstrip()):
        match = _TERM.match(text, place)
        assert match, "every part of the pattern may be empty"
        place = match.end()
        start = match.start("minus")
        value = match["value"]
        yield Part(
            start, place, bool(match["minus"]), match["key"] or "", match["op"] or "",
            value.strip('"'), match.start("value"), value.startswith('"'),
        )  # fmt: skip


def settings_of(configs: Iterable[dict[str, Any]]) -> list[str]:
    """Every key that some of the configurations have, dotted."""
    found: dict[str, None] = {}
    for config in configs:
        for table, content in config.items():
            if isinstance(content, dict):
                found |= dict.fromkeys([f"{table}.{name}" for name in content])
            else:
                found[table] = None
    return list(found)


def setting(config: dict[str, Any], key: str) -> list[Any]:
    """The values of a key, dotted or by its last part alone: one for every table that has it."""
    table, dotted, name = key.rpartition(".")
    found = [] if dotted or isinstance(config.get(key), dict | None) else [config[key]]
    for title, content in config.items():
        if isinstance(content, dict) and name in content and (not dotted or title == table):
            found.append(content[name])
    return found


def _term(part: Part, text: str, known: Sequence[str] | None) -> Term:
    """A term of the text. Raises FilterError."""
    try:
        return _read(part, text, known)
    except FilterError as error:
        error.unfinished &= part.end >= len(text.rstrip())
        raise


def _read(part: Part, text: str, known: Sequence[str] | None) -> Term:
    written = text[part.value_start : part.end]
    if part.quoted and (len(written) < 2 or not written.endswith('"')):
        raise FilterError("The quote is not closed.", part.value_start, part.end, unfinished=True)
    if not part.op:
        if not part.value:
            raise FilterError(
                "Write what to leave out: -word or -key:value.", part.start, part.end, unfinished=True
            )
        _check_word(part, text, known)
        return Term(part, _word(part.value.casefold()))
    if not part.key:
        raise FilterError(f"Write a key before {part.op}, as in best<2.0.", part.start, part.end)
    key = KEYS.get(part.key.casefold())
    if key is None:
        _check_setting(part, known)
    _check_sign(part)
    if not part.value and not part.quoted:
        hint = f"{key.name} is {key.help}, as in {key.example}" if key else f"{part.key} is a setting"
        raise FilterError(f"{hint}; write on after {part.op}.", part.start, part.end, unfinished=True)
    if key is None:
        return Term(part, _setting(part))
    match key.kind:
        case "text":
            return Term(part, _text(part, key))
        case "flag":
            return Term(part, _flag(part, key))
        case _:
            return Term(part, _number(part, key))


def _check_word(part: Part, text: str, known: Sequence[str] | None) -> None:
    """Raise FilterError if another language would read a word as more than one; say what to write here."""
    if part.quoted:
        return
    if not part.negated and text.strip() != part.value and (hint := _JOINS.get(part.value.casefold())):
        quoted = f'; "{part.value}" in quotes is looked for as a word.'
        raise FilterError(f"{hint}{quoted}", part.start, part.end, unfinished=True)
    match = _OTHER_SIGN.fullmatch(part.value)
    if match and (match[1].casefold() in KEYS or match[1] in _settings(known or ())):
        key, sign, value = match.groups()
        minus = "-" if part.negated != sign.startswith("!") else ""
        raise FilterError(
            f"Write {minus}{key}{_OURS[sign]}{value}; {sign} means nothing here.", part.start, part.end
        )


def _check_sign(part: Part) -> None:
    """Raise FilterError for `==` and `=~`, whose second sign would be looked for."""
    if part.op == "=" and not part.quoted and part.value[:1] in ("=", "~"):
        right = part.key + (":" if part.value[0] == "~" else "=") + part.value[1:]
        raise FilterError(f"Write {right}; ={part.value[0]} means nothing here.", part.key_start, part.end)


def _settings(known: Iterable[str]) -> set[str]:
    """Dotted keys, and the last part of each."""
    return {name for each in known for name in (each, each.rpartition(".")[2])}


def _check_setting(part: Part, known: Sequence[str] | None) -> None:
    """Raise FilterError if no configuration has the key; name what is meant, or those written alike."""
    there = known is None or part.key in _settings(known)
    start, end = part.key_start, part.key_start + len(part.key)
    # A table's `columns.loss` is the name of a column: what is compared with a number is a result.
    meant = KEYS.get(_ELSEWHERE.get(part.key.casefold(), ""))
    if meant and not (there and part.value and number(part.value) is None):
        raise FilterError(
            f"There is no key {part.key}; write {meant.name}, {meant.help}, as in {meant.example}.",
            start,
            end,
        )
    if there or known is None:
        return
    last = {each.rpartition(".")[2] for each in known}
    candidates = {*KEYS, *known} if "." in part.key else {*KEYS, *last}
    near = difflib.get_close_matches(part.key.casefold(), candidates, 3, 0.6)
    if near:
        raise FilterError(f"There is no key {part.key}; near it: {', '.join(near)}.", start, end)
    raise FilterError(
        f"There is no key {part.key}; keys are every setting, such as lr, and {', '.join(KEYS)}.", start, end
    )


def _word(wanted: str) -> Callable[[Facts], bool]:
    def holds(facts: Facts) -> bool:
        summary = facts.summary
        texts = (summary.name, facts.state, summary.preset, summary.corpus, *summary.notes)
        return any(wanted in text.casefold() for text in texts)

    return holds


def _text(part: Part, key: Key) -> Callable[[Facts], bool]:
    wanted = part.value.casefold()
    if part.op in _COMPARE:
        raise FilterError(
            f"{key.name} is a text and has no order; ask with : or =, as in {key.example}.",
            part.key_start, part.value_start,
        )  # fmt: skip
    if part.op == ":":
        return lambda facts: any(wanted in str(text).casefold() for text in key.of(facts))
    equal = part.op == "="
    return lambda facts: any(wanted == str(text).casefold() for text in key.of(facts)) == equal


def _flag(part: Part, key: Key) -> Callable[[Facts], bool]:
    value = part.value.casefold()
    if value not in _FLAGS or part.op in _COMPARE:
        begun = part.op not in _COMPARE and any(word.startswith(value) for word in _FLAGS)
        raise FilterError(f"{key.name} is {key.help}: {key.example}.", part.value_start, part.end, begun)
    wanted = _FLAGS[value]
    return lambda facts: (key.of(facts) == wanted) == (part.op != "!=")


def _number(part: Part, key: Key) -> Callable[[Facts], bool]:
    wanted = span(part.value) if key.kind == "age" else number(part.value)
    if wanted is None:
        begun = number(part.value) is not None or part.value in ("-", ".")
        raise FilterError(
            f"{key.name} is {key.help}; write it as in {key.example}"
            f"{' (s, min, h, d, w)' if key.kind == 'age' else ''}.",
            part.value_start, part.end, begun,
        )  # fmt: skip
    holds = _comparison(part.op, wanted, DIGITS.get(key.name))
    return lambda facts: holds(key.of(facts)) == (part.op != "!=")


def _setting(part: Part) -> Callable[[Facts], bool]:
    """A setting is a number or a text, whatever the configuration has."""
    wanted, text = number(part.value), part.value.casefold()
    if wanted is None and part.op in _COMPARE:
        raise FilterError(
            f"{part.op} compares numbers; write one, as in {part.key}{part.op}0.5.",
            part.value_start, part.end, part.value in ("-", "."),
        )  # fmt: skip
    compare = _comparison(part.op, wanted)

    def fits(value: Any) -> bool:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return compare(value)
        if part.op in _COMPARE:
            return False
        written = _written(value)
        return text in written if part.op == ":" else text == written

    return lambda facts: any(map(fits, setting(facts.summary.config, part.key))) == (part.op != "!=")


def _comparison(op: str, wanted: float | None, digits: int | None = None) -> Callable[[float | None], bool]:
    """Whether a number is as asked; for `!=` whether it is equal. What is not known is neither."""
    if wanted is None:
        return lambda _: False
    if op in _COMPARE:
        compare = _COMPARE[op]
        return lambda value: value is not None and compare(value, wanted)
    if digits is not None:
        return lambda value: value is not None and round(value, digits) == round(wanted, digits)
    return lambda value: value is not None and _close(value, wanted)


def _close(value: float, wanted: float) -> bool:
    try:
        return math.isclose(value, wanted, rel_tol=1e-9)
    except OverflowError:  # a whole number that no float can be
        return False


def _written(value: Any) -> str:
    """A setting as one would write it."""
    if isinstance(value, list | tuple):
        return ",".join(_written(each) for each in value)
    return str(value).casefold()


def number(text: str) -> float | None:
    """`2000`, `2,000`, `2k`, `5M`, `3e-4`, `10%`; None for anything else."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return float(match[1].replace(",", "").replace("_", "")) * _TIMES.get((match[2] or "").lower(), 1)
    except ValueError:
        return None


def span(text: str) -> float | None:
    """`45s`, `20min` (or `20m`), `2h`, `1h30m`, `3d`, `2w` in seconds; None for anything else."""
    found = _SPAN.findall(text)
    if not found or "".join(_SPAN.sub("", text).split()):
        return None
    return sum(float(count) * _SECONDS[unit.lower()] for count, unit in found)

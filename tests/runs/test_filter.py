"""The filter language: what it finds, and what it says to a text that is no filter."""

from pathlib import Path

import pytest

from nexus_tui.runs.filter import KEYS, Facts, FilterError, number, parse, parts, setting, settings_of, span
from nexus_tui.runs.summary import Summary

NOW = 1_000_000.0
CONFIG = {
    "preset": "nexus-byte",
    "model": {"hidden_size": 256, "tie_word_embeddings": False},
    "data": {"corpus": "tinyshakespeare", "window": 128},
    "optimizer": {"lr": 3e-4, "betas": [0.9, 0.95]},
    "schedule": {"shape": "cosine"},
    "evaluation": {"every": 200},
    "checkpoint": {"every": 400},
}
RUN = Facts(
    Summary(
        name="nexus-byte-2", preset="nexus-byte", corpus="tinyshakespeare", tokenizer="byte",
        parameters=6_739_088, step=1412, total_steps=2000, best_loss=1.46234, best_bits=2.1097,
        last_active=NOW - 5400, notes=("Debug: warm-up too short", "the knee"), config=CONFIG,
    ),
    "training", NOW,
)  # fmt: skip
NEW = Facts(Summary(name="empty"), "new", NOW, pinned=True)
SETTINGS = settings_of([CONFIG, {"training": {"learning_rate": 1e-4}}])


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "byte", "BYTE shakespeare", "training", "knee", '"warm-up too"',
        "model:byte", "model:NEXUS", "model=nexus-byte", "model!=nexus", "name:byte-2", "tokenizer:byte",
        "state:train", "kind=run", "note:debug", 'note:"warm-up too"', "-note:zzz", "-model:bpe -zzz",
        "step>1k", "step=1,412", "step:1412", "steps=2000", "steps!=3000", "best<2.0", "best<1.4624",
        "best=1.4623", "bits<=2.1097", "perplexity=4.32", "params>5M", "params<=6.74m",
        "age<2h", "age>1h29min", "age<1d", "pinned:no", "-pinned:yes", "pinned!=yes",
        "lr=3e-4", "lr>=1e-4", "lr<.001", "optimizer.lr=0.0003", "optimizer.lr:0.0003", "betas:0.95",
        "betas=0.9,0.95", "shape:cos", "shape!=linear", "every=200", "every=400", "-every=300", "window:128",
        "tie_word_embeddings=false", "model.hidden_size>=256", "-learning_rate>0", "learning_rate!=1",
        "best < 2.0", "model : byte  lr >= 1e-4", "Model:byte", "model:byte lr>=1e-4 best<2.0 -note:zzz",
    ],
)  # fmt: skip
def test_what_holds(text: str) -> None:
    assert parse(text, SETTINGS)(RUN)


@pytest.mark.parametrize(
    "text",
    [
        "bpe", "byte zzz", "-byte", "model:bpe", "model!=nexus-byte", "note:zzz", "-note:debug", "step>1412",
        "step:14", "best<1.46", "best=1.46", "bits<2", "params>7M", "age<1h", "age>=2h", "pinned:yes",
        "lr>3e-4", "lr=3e-5", "optimizer.lr<1e-4", "data.every=200", "every=300", "window:12",
        "shape<1", "learning_rate>0", "learning_rate=1e-4", "model:byte lr>=1e-4 best<1.0",
    ],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert not parse(text)(RUN)


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "=", ":"])
def test_what_is_not_known_is_neither_above_nor_below(op: str) -> None:
    for key in ("best", "bits", "perplexity", "params", "steps"):
        assert not parse(f"{key}{op}0")(NEW)
        assert parse(f"-{key}{op}0")(NEW)
    assert not parse(f"age{op}0s")(NEW)
    assert not parse(f"lr{op}0")(NEW)


def test_an_empty_text_can_be_asked_for() -> None:
    assert parse('model=""')(NEW) and not parse('model=""')(RUN)
    assert parse('note:""')(RUN) and parse('-note:""')(NEW), "whether there is any note"
    assert parse("pinned:yes")(NEW)


@pytest.mark.parametrize(
    ("text", "where", "sentence", "unfinished"),
    [
        ("byte besst<2", "besst", "There is no key besst; near it: best", False),
        ("-lrr>1", "lrr", "There is no key lrr; near it: lr.", False),
        ("optimiser.lr>1", "optimiser.lr", "near it: optimizer.lr", False),
        ("xyzzy:1", "xyzzy", "keys are every setting, such as lr, and name, model,", False),
        ("loss<2", "loss", "There is no key loss; write best, the best validation loss in nats,", False),
        ("-ppl>9", "ppl", "write perplexity,", False),
        ("name~byte", "name~byte", "Write name:byte; ~ means nothing here.", False),
        ("byte name!~bpe", "name!~bpe", "Write -name:bpe; !~ means nothing here.", False),
        ("lr≤1e-3", "lr≤1e-3", "Write lr<=1e-3; ≤ means nothing here.", False),
        ("model==byte", "model==byte", "Write model=byte; == means nothing here.", False),
        ("name=~byte", "name=~byte", "Write name:byte; =~ means nothing here.", False),
        ("byte OR bpe", "OR", "all terms must hold: ask for one at a time; \"OR\" in quotes is", False),
        ("byte or", "or", "There is no OR", True),
        ("lr>1 && best<2", "&&", "Leave this out, for all terms must hold anyway", False),
        ("not byte", "not", "Write -word or -key:value to leave something out", False),
        ("best<", "best<", "best is the best validation loss in nats, as in best<2.0; write on", True),
        ("best< byte", "byte", "write it as in best<2.0.", False),
        ("lr>=", "lr>=", "lr is a setting; write on after >=.", True),
        ("<2", "<2", "Write a key before <, as in best<2.0.", False),
        ("best<2.x", "2.x", "write it as in best<2.0.", False),
        ("best<-", "-", "write it as in best<2.0.", True),
        ("age<2", "2", "write it as in age<2h (s, min, h, d, w).", True),
        ("age<2 byte", "2", "age<2h", False),
        ("age<2x", "2x", "age<2h", False),
        ("lr>fast", "fast", "> compares numbers; write one, as in lr>0.5.", False),
        ("model<3", "model<", "model is a text and has no order; ask with : or =, as in model:", False),
        ("pinned:maybe", "maybe", "pinned is yes or no: pinned:yes.", False),
        ("pinned:y", "y", "pinned is yes or no", True),
        ('note:"warm up', '"warm up', "The quote is not closed.", True),
        ('by"te', '"te', "The quote is not closed.", True),
        ("byte -", "-", "Write what to leave out: -word or -key:value.", True),
        ("- byte", "-", "Write what to leave out", False),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(text: str, where: str, sentence: str, unfinished: bool) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text, SETTINGS)
    error = raised.value
    assert sentence in str(error)
    assert text[error.start : error.end] == where
    assert error.unfinished == unfinished


def test_what_is_asked_by_another_name_elsewhere_may_be_a_setting_too() -> None:
    column = Facts(Summary(name="table", config={"columns": {"loss": "val_loss"}}), "recorded", NOW)
    settings = settings_of([column.summary.config])
    assert parse("loss:val", settings)(column) and parse("columns.loss:val", settings)(column)
    for wanted in ("loss<2", "loss<", "loss=2.5"):
        with pytest.raises(FilterError, match="write best"):
            parse(wanted, settings)
    assert parse('"or" a~b or~', settings).terms[1].part.value == "a~b", "no key stands before the sign"
    assert parse("or", settings).terms, "alone it is a word"


def test_before_the_runs_are_read_any_setting_may_be_asked_for() -> None:
    assert not parse("dropout>0")(RUN)
    with pytest.raises(FilterError, match="There is no key dropout"):
        parse("dropout>0", SETTINGS)


def test_every_example_is_a_filter_and_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filter.md").read_text("utf-8")
    for key in KEYS.values():
        assert f"| `{key.name}` | {key.help} | `{key.example}` |" in page
        assert key.example.startswith(key.name)
        parse(key.example, ())


def test_a_word_that_becomes_a_key_is_looked_for_no_longer() -> None:
    typed = parse("byte bes")
    assert not typed(RUN)
    with pytest.raises(FilterError) as raised:
        parse("byte best<", SETTINGS)
    assert typed.without_word_at(raised.value.start)(RUN)
    assert not parse("model:zzz").without_word_at(0)(RUN), "only a word alone"


def test_a_text_comes_apart_as_it_is_written() -> None:
    found = list(parts('  -note : "two words"  word'))
    assert [(p.negated, p.key, p.op, p.value, p.quoted) for p in found] == [
        (True, "note", ":", "two words", True),
        (False, "", "", "word", False),
    ]
    assert [(p.start, p.end) for p in found] == [(2, 21), (23, 27)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2000", 2000), ("2,000", 2000), ("2_000", 2000), ("2k", 2000), ("1.5M", 1.5e6), ("7B", 7e9),
        ("3e-4", 3e-4), (".5", 0.5), ("-1.5", -1.5), ("10%", 0.1), ("inf", float("inf")),
        ("", None), ("x", None), ("1.2.3", None), ("2kk", None), ("nan", None), ("1e", None), (",", None),
    ],
)  # fmt: skip
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("20min", 1200), ("20m", 1200), ("2h", 7200), ("1h30m", 5400), ("1.5h", 5400),
     ("3d", 259_200), ("2w", 1_209_600), ("2", None), ("h", None), ("2x", None), ("2h!", None), ("", None)],
)  # fmt: skip
def test_lengths_of_time(text: str, seconds: float | None) -> None:
    assert span(text) == seconds


def test_settings_by_their_last_part_or_dotted() -> None:
    assert setting(CONFIG, "every") == [200, 400]
    assert setting(CONFIG, "checkpoint.every") == [400]
    assert setting(CONFIG, "preset") == ["nexus-byte"]
    assert setting(CONFIG, "model") == setting(CONFIG, "nothing") == setting({}, "lr") == []
    assert {"optimizer.lr", "preset", "training.learning_rate"} <= set(SETTINGS)

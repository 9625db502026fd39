"""Comparing checkpoints from what is on record: the verdict of every pair, or why there is none."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.runs import journal as j
from nexus_tui.runs.comparison import Comparison, Subject, compare, find_subject, find_subjects
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs

from .conftest import Writer
from .test_pairs import TEXT, as_bytes, scored, words

Make = Callable[..., Writer]
WINDOWS = np.random.default_rng(0).normal(2, 0.3, 200)
NOISE = np.random.default_rng(1).normal(0, 0.05, (8, 200))


def evaluated(writer: Writer, step: int, better: float, name: str = "", protocol: str = "p") -> None:
    """A checkpoint whose loss is 2 less `better`, with noise of its own in every window."""
    windows = WINDOWS + NOISE[step // 100 % 8] - NOISE[step // 100 % 8].mean() - better
    writer.save(step, name)
    writer.evaluate(step, float(windows.mean()), name, windows, protocol)


def started(writer: Writer, corpus: str = "c0ffee") -> None:
    writer.journal.append(j.StartedEvent(corpus_sha256=corpus))


def subjects(writer: Writer, *which: object) -> list[Subject]:
    run = Run(writer.folder)
    return [find_subject(run, str(each)) for each in which]


def verdicts(comparison: Comparison) -> list[tuple[int, int, str]]:
    return [(pair.a, pair.b, pair.verdict) for pair in comparison.pairs]


def test_every_pair_has_a_verdict_with_its_interval(writer: Make) -> None:
    w = writer()
    for step, better in ((100, 0.0), (200, 0.1), (300, 0.1005)):
        evaluated(w, step, better)
    found = compare(subjects(w, 100, 200, 300))
    assert verdicts(found) == [(0, 1, "better"), (0, 2, "better"), (1, 2, "undecided")]
    pair = found.pairs[0]
    assert pair.mean == pytest.approx(-0.1, abs=1e-4)
    assert pair.low < pair.mean < pair.high < 0
    assert (pair.windows, pair.blocks, pair.unit, pair.reason) == (200, 10, "nats/token", "")
    back = found.pair(1, 0)
    assert (back.verdict, back.mean, back.low, back.high) == ("worse", -pair.mean, -pair.high, -pair.low)
    assert found.pair(0, 1) is pair
    assert found.unbeaten == (1, 2)
    assert found.sentence(pair).startswith("run:200 is better than run:100: -0.1000 nats/token, -0.1")
    assert found.sentence(found.pairs[2]).startswith("run:300 cannot be told from run:200: -0.0005")
    # More questions at once, wider intervals.
    alone = compare(subjects(w, 100, 200)).pairs[0]
    assert alone.high - alone.low < pair.high - pair.low


def test_identical_weights_are_the_same_and_no_further_question(writer: Make) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    evaluated(w, 200, 0.1)
    once, twice = compare(subjects(w, 100, 200)), compare(subjects(w, 100, 200, 100))
    same = twice.pair(0, 2)
    assert (same.verdict, same.mean, same.low, same.high) == ("same", 0.0, 0.0, 0.0)
    assert "bit for bit" in twice.sentence(same)
    assert twice.pairs[0] == once.pairs[0]
    # The same bytes in another run, on another text: still the same model.
    other = writer("other")
    evaluated(other, 100, 0.3, protocol="q")
    assert compare([*subjects(w, 100), *subjects(other, 100)]).pairs[0].verdict == "same"


def test_weights_with_another_config_are_not_the_same(writer: Make) -> None:
    made = []
    for name, config in (("a", "{}"), ("b", '{"rms_norm_eps": 1}')):
        w = writer(name)
        w.save(100)
        path = w.folder / "checkpoints" / "step_100"
        (path / "config.json").write_text(config)
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["files"]["config.json"] = {"bytes": len(config), "sha256": name}
        (path / "manifest.json").write_text(json.dumps(manifest))
        w.evaluate(100, 2.0, windows=WINDOWS)
        made += subjects(w, 100)
    assert made[0].sha256 == made[1].sha256
    assert compare(made).pairs[0].verdict == "undecided"


def test_two_to_eight(writer: Make) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    (one,) = subjects(w, 100)
    for count in (0, 1, 9):
        with pytest.raises(RunError, match=f"2 to 8 checkpoints are compared at once, not {count}"):
            compare([one] * count)
    assert len(compare([one] * 8).pairs) == 28


def test_several_runs_under_one_protocol(writer: Make) -> None:
    a, b = writer("a"), writer("b")
    evaluated(a, 100, 0.0)
    evaluated(b, 200, 0.1)
    assert verdicts(compare([*subjects(a, 100), *subjects(b, 200)])) == [(0, 1, "better")]


def test_another_text_is_incomparable_for_good(writer: Make) -> None:
    a, b = writer("a"), writer("b")
    started(a, "aa")
    started(b, "bb")
    evaluated(a, 100, 0.0)
    evaluated(b, 200, 0.1, protocol="q")
    (pair,) = compare([*subjects(a, 100), *subjects(b, 200)]).pairs
    assert (pair.verdict, pair.computable) == ("incomparable", False)
    assert pair.reason == "they were validated on different texts"
    assert math.isnan(pair.mean) and math.isnan(pair.low)


def test_other_tokens_take_the_loss_of_every_token(writer: Make) -> None:
    made = []
    for name, step, tokenizer in (("a", 100, "byte"), ("b", 200, "bpe")):
        w = writer(name)
        (w.folder / "run.toml").write_text(f'[data]\ntokenizer = "{tokenizer}"\n')
        started(w)
        evaluated(w, step, 0.1, protocol=tokenizer)
        made += subjects(w, step)
    (pair,) = compare(made).pairs
    assert (pair.verdict, pair.computable) == ("incomparable", True)
    assert "other tokens, so only bits per byte of the same text compare" in pair.reason
    bits = np.random.default_rng(0).normal(2, 0.3, len(TEXT))
    a = scored(TEXT, as_bytes(TEXT), 16, bits, "byte")
    b = scored(TEXT, words(TEXT), 9, bits - 0.2, "bpe")
    measured = [Subject(s.run, s.name, m) for s, m in zip(made, (a, b), strict=True)]
    (pair,) = compare(measured).pairs
    assert (pair.verdict, pair.unit, pair.windows, pair.reason) == ("better", "bits/byte", 0, "")
    assert pair.mean == pytest.approx(-0.2, abs=1e-5)
    assert pair.bytes > 2000
    other = TEXT.replace(b"fox", b"cat")
    b = scored(other, words(other), 9, bits, "bpe")
    (pair,) = compare([measured[0], Subject(made[1].run, made[1].name, b)]).pairs
    assert (pair.verdict, pair.reason) == (
        "incomparable",
        "a:100 and b:200 were validated on different texts",
    )


def test_what_was_never_evaluated_is_known_once_it_is_measured(writer: Make) -> None:
    w = writer()
    bits = np.random.default_rng(0).normal(2, 0.3, len(TEXT))
    known = scored(TEXT, as_bytes(TEXT), 16, bits, "p")
    w.save(100)
    w.evaluate(100, known.loss, windows=known.window_losses)
    w.save(200)
    made = subjects(w, 100, 200)
    (pair,) = compare(made).pairs
    assert (pair.verdict, pair.reason, pair.computable) == (
        "incomparable",
        "run:200 was never evaluated",
        True,
    )
    better = scored(TEXT, as_bytes(TEXT), 16, bits - 0.1, "p")
    measured = Subject(made[1].run, made[1].name, better)
    assert measured.loss == better.loss
    assert measured.bits_per_byte == pytest.approx(known.bits_per_byte - 0.1)
    (pair,) = compare([made[0], measured]).pairs
    assert (pair.verdict, pair.unit) == ("better", "nats/token")
    assert pair.mean == pytest.approx(-0.1 * math.log(2), abs=1e-5)


def test_an_older_protocol_is_no_comparison(writer: Make) -> None:
    w = writer()
    evaluated(w, 100, 0.0, protocol="old")
    evaluated(w, 200, 0.1)
    (pair,) = compare(subjects(w, 100, 200)).pairs
    assert pair.verdict == "incomparable"
    assert pair.reason == "run:100 was not evaluated as the rest of its run was last"


@pytest.mark.parametrize("windows", [None, WINDOWS[:-1], WINDOWS[:1], np.full(200, np.nan)])
def test_windows_that_are_missing_or_no_numbers_make_no_test(writer: Make, windows: object) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    w.save(200)
    w.evaluate(200, 1.5, windows=windows)
    (pair,) = compare(subjects(w, 100, 200)).pairs
    assert pair.verdict == "undecided"
    assert pair.mean == pytest.approx(-0.5, abs=0.05)
    assert math.isnan(pair.low) and pair.blocks == 0 and pair.reason


def test_a_window_file_of_another_evaluation_is_not_taken(writer: Make) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    np.save(w.folder / "evaluations" / "step_100.npy", WINDOWS[:50].astype(np.float32))
    assert subjects(w, 100)[0].window_losses is None


def test_a_loss_that_is_no_number_is_said_to_be_none(writer: Make) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    w.save(200)
    w.journal.append(j.EvaluatedEvent(step=200, checkpoint="step_200", loss=None, protocol="p"))
    found = compare(subjects(w, 100, 200))
    assert found.pairs[0].verdict == "undecided"
    assert "run:200 is no finite number" in found.pairs[0].reason
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["subjects"][1]["perplexity"] is None


def test_the_facts_of_a_subject(writer: Make) -> None:
    w = writer()
    w.steps(1, 100)
    evaluated(w, 100, 0.0)
    w.steps(101, 200)
    evaluated(w, 200, 0.1)
    w.resume(100)
    w.steps(101, 200)
    evaluated(w, 200, 0.2, "step_200.1")
    first, abandoned, last = subjects(w, 100, "step_200", "step_200.1")
    assert (first.label, abandoned.label, last.label) == ("run:100", "run:step_200", "run:step_200.1")
    assert [each.lineage for each in (first, abandoned, last)] == ["0 → 100", "0 → 200", "0 → 100 → 200"]
    assert last.tokens == 20_000
    assert first.loss == pytest.approx(2, abs=0.1)
    assert first.train_loss == 1.0
    assert first.gap == pytest.approx(first.loss - 1)
    assert first.perplexity == pytest.approx(math.exp(first.loss))
    assert first.bytes == Run(w.folder).checkpoint(100).bytes
    assert first.parents == ()
    # A step alone means the line that training is on.
    assert subjects(w, 200)[0].name == "step_200.1"
    assert subjects(w, "last")[0].name == "step_200.1"
    assert subjects(w, "best")[0].name == "step_200.1"


def test_an_unevaluated_subject_has_the_training_loss_of_its_last_steps(writer: Make) -> None:
    w = writer()
    for step in range(1, 101):
        w.step(step, float(step))
    w.save(100)
    (subject,) = subjects(w, 100)
    assert subject.train_loss == pytest.approx(np.mean(range(81, 101)))
    assert math.isnan(subject.loss) and math.isnan(subject.gap) and math.isnan(subject.bits_per_byte)


def test_names_that_are_none_are_one_sentence(writer: Make, tmp_path: Path) -> None:
    w = writer()
    evaluated(w, 100, 0.0)
    runs = Runs(tmp_path)
    with pytest.raises(RunError, match=r"run has no checkpoint 300 on record; it has: 100\."):
        find_subjects(runs, ["run:300"])
    with pytest.raises(RunError, match="there is no run other"):
        find_subjects(runs, ["other:300"])
    with pytest.raises(RunError, match="there is no run other"):
        find_subjects(runs, ["other"])
    empty = writer("empty")
    with pytest.raises(RunError, match="no evaluated checkpoint"):
        find_subject(Run(empty.folder), "best")
    with pytest.raises(RunError, match="it has: none"):
        find_subject(Run(empty.folder), "last")
    one, other = find_subjects(runs, ["run", "run:step_100"])
    assert one == other
    assert one.run is other.run or one.run.folder == other.run.folder


def test_settings_that_differ(writer: Make) -> None:
    made = []
    for name, text in (
        ("a", 'description = "first"\n[optimizer]\nlr = 1e-3\nclip = 1.0\nbetas = [0.9, 0.95]\n'),
        ("b", 'description = "other"\n[optimizer]\nlr = 2e-3\nclip = 1.0\nbetas = [0.9, 0.99]\nx = inf\n'),
        ("c", 'description = "third"\n[optimizer]\nlr = 1e-3\nx = 2000-01-01\n'),
    ):
        w = writer(name)
        (w.folder / "run.toml").write_text(text)
        started(w, corpus="cc" if name == "c" else "aa")
        evaluated(w, 100, 0.0)
        made += subjects(w, 100)
    found = compare(made)
    assert [row.key for row in found.config] == [
        "optimizer.lr",
        "optimizer.clip",
        "optimizer.betas",
        "data.corpus SHA-256",
        "optimizer.x",
    ]
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))["config"]
    assert plain["optimizer.lr"] == [1e-3, 2e-3, 1e-3]
    assert plain["optimizer.x"] == [None, "inf", "2000-01-01"]
    assert plain["optimizer.clip"] == [1.0, 1.0, None]


def test_a_record_from_elsewhere_may_leave_settings_out(writer: Make) -> None:
    made = []
    for kind, text in (
        ("run", "[optimizer]\nlr = 1e-3\nclip = 1.0\n"),
        ("recorded", "[optimizer]\nlr = 2e-3\n"),
    ):
        w = writer(kind)
        (w.folder / "run.toml").write_text(text)
        w.journal.append(j.StartedEvent(kind=kind))
        evaluated(w, 100, 0.0)
        made += subjects(w, 100)
    assert [row.key for row in compare(made).config] == ["optimizer.lr"]


def test_a_recorded_run_compares_from_its_record() -> None:
    made = find_subjects(Runs(Path("nowhere")), ["nexus-byte:200", "nexus-byte:2000", "nexus-byte:best"])
    found = compare(made)
    assert found.pairs[0].verdict == "better"
    assert found.pairs[0].windows == 871
    assert found.pair(1, 2).verdict == "same"
    assert found.pairs[0].mean == pytest.approx(made[1].loss - made[0].loss, abs=1e-6)
    assert made[0].checkpoint is None


def test_records_that_do_not_say_what_they_measured() -> None:
    runs = Runs(Path("nowhere"))
    made = find_subjects(runs, ["shakespeare-byte:1400", "shakespeare-byte:2000", "nexus-byte:2000"])
    found = compare(made)
    within, across = found.pairs[0], found.pairs[1]
    assert (within.verdict, across.verdict) == ("undecided", "incomparable")
    assert within.mean == pytest.approx(2.6472 - 2.6312)
    assert "by window are not on record" in within.reason
    assert across.reason == "the record of shakespeare-byte does not say which text its loss is of"
    assert made[1].lineage == "0 → 1400 → 2000"
    assert found.unbeaten == ()


def test_an_average_goes_by_its_name_and_was_trained_by_nobody(writer: Make) -> None:
    w = writer()
    for step in (100, 200):
        w.steps(step - 99, step)
        evaluated(w, step, step / 1000)
    w.average(["step_100", "step_200"], 1.7, "mean")
    w.evaluate(200, 1.7, "mean", WINDOWS - 0.3)
    mean, last = subjects(w, "mean", 200)
    assert (mean.label, last.label, last.name) == ("run:mean", "run:200", "step_200")
    assert mean.lineage == "average of 100 and 200"
    assert len(mean.parents) == 2 and mean.parents[0].startswith("run:step_100@")
    assert mean.tokens is None and math.isnan(mean.train_loss) and math.isnan(mean.gap)
    assert [each.name for each in subjects(w, "last", "best")] == ["step_200", "mean"]
    assert compare([last, mean]).pairs[0].verdict == "better"
    with pytest.raises(RunError, match=r"it has: 100, 200, mean\."):
        subjects(w, 300)

"""The benchmarks of a GPU, without one: each runs at a tiny size, and says what it would."""

import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import gpu, gpu_agreement, gpu_recipe, gpu_scan, gpu_step, gpu_tests, running
from benchmarks.document import PERFORMANCE, missed
from benchmarks.gpu_case import Place, alternately, configuration
from benchmarks.limit import linear
from benchmarks.sections import GPU_SECTIONS, SECTIONS
from nexus_tui.lm.config import JambaConfig

Captured = pytest.CaptureFixture[str]


def printed(module: object, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> str:
    """What a section prints at a tiny size."""
    monkeypatch.setattr(sys, "argv", ["benchmark", "--device", "cpu", "--quick"])
    module.main()  # type: ignore[attr-defined]
    return capsys.readouterr().out


def test_every_scan_computes_what_is_defined_and_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    said = printed(gpu_scan, monkeypatch, capsys)
    far = [float(number) for number in re.findall(r"([\d.]+e[+-]\d+) in", said)]
    assert len(far) == 4  # of two scans in y and in a gradient
    assert max(far) < 1e-5
    for name in (gpu_scan.OURS, gpu_scan.MAMBAPY, gpu_scan.BOUND):
        assert re.search(rf"\| {name} \| [\d.]+ \|", said)
    assert "arXiv 2312.00752" in said


def test_mambas_own_kernel_is_given_its_own_layout(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """A stand-in with its signature: [batch, channel, length], [batch, state, length]."""

    def selective_scan_fn(u, delta, A, B, C, D, z, bias, delta_softplus=False):  # type: ignore[no-untyped-def]
        assert delta_softplus
        assert u.is_contiguous()
        assert u.shape == delta.shape == z.shape == (2, 8, 16)
        turned = (x.transpose(1, 2) for x in (u, delta, B, C, z))
        u, delta, B, C, z = turned
        return gpu_scan.reference.selective_scan(u, delta, A, B, C, D, z, bias)[0].transpose(1, 2)

    interface = ModuleType("mamba_ssm.ops.selective_scan_interface")
    interface.selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    names = ("mamba_ssm", "mamba_ssm.ops")
    for module in (*map(ModuleType, names), interface):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    said = printed(gpu_scan, monkeypatch, capsys)
    assert re.search(
        rf"- {gpu_scan.OFFICIAL}: [\d.]+e-0[7-9] in y|- {gpu_scan.OFFICIAL}: 0.0e\+00 in y", said
    )
    assert re.search(r"as fast as mamba_ssm's kernel\. Measured: [\d.]+ ×", said)
    assert "arXiv" not in said


def test_a_scan_moves_every_operand_once_in_each_direction() -> None:
    shape = gpu_scan.Shape(2, 3, 5, 7, gpu_scan.torch.bfloat16)
    given, slope = gpu_scan.operands(shape, gpu_scan.torch.device("cpu"), 0)
    long = [x for x in (*given, slope) if x.ndim == 3]  # u, delta, B, C, z and the gradient of y
    y = slope  # of y's size
    forward = sum(x.nbytes for x in long[:-1]) + y.nbytes
    backward = sum(x.nbytes for x in long) + sum(x.nbytes for x in long[:-1])
    assert shape.bytes == forward + backward


def test_steps_are_timed_and_their_arithmetic_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    said = printed(gpu_step, monkeypatch, capsys)
    assert re.search(r"\| 2 × 16 \| nexus-byte-tuned, bf16 \| [\d,]+ \|", said)
    assert len(missed(said)) <= 1
    assert "the model FLOP utilisation of the model of 130M is ≥ 35 %" in said


def test_the_larger_model_has_130_million_parameters_and_its_products_most_of_the_work() -> None:
    config = configuration("nexus-byte", gpu_step.LARGE).model
    assert config.layer_kinds.count("attention") == 3
    assert 128e6 < config.parameters < 132e6
    counted = gpu_step.flops(config, config.parameters, 16, 2048)
    assert counted["matrix products"] > 0.8 * sum(counted.values())


def test_arithmetic_is_counted_as_is_said() -> None:
    config = JambaConfig()
    from nexus_tui.lm.hybrid import HybridLM

    matrices = sum(parameter.numel() for _, parameter in linear(HybridLM(config)))
    counted = gpu_step.flops(config, matrices, 2, 10)
    assert counted["matrix products"] == 6 * matrices * 20
    assert counted["attention"] == 3 * 2 * (2 * 2 * 10 * 10 * config.hidden_size) / 2  # half of it is masked
    assert counted["scans"] == 21 * 5 * 512 * 32 * 20


def test_a_gpus_learner_and_a_processors_agree(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    said = printed(gpu_agreement, monkeypatch, capsys)
    assert "**met**" in said
    assert "| 5 | 5." in said


def test_a_recipe_is_trained_and_its_journal_says_how_fast(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    said = printed(gpu_recipe, monkeypatch, capsys)
    assert "| 4 steps, evaluated ten times | " in said
    assert "On record, trained on CPUs: 1.4511 nats per token." in said


def test_who_fails_is_left_out_and_the_others_are_timed() -> None:
    done: list[int] = []

    def fails(times: int) -> None:
        raise RuntimeError("out of everything\nand more")

    place = Place(gpu_scan.torch.device("cpu"), False, 2)
    timings, left_out = alternately(place, {"a": fails, "b": done.append}, seconds=1e-9)
    assert left_out == {"a": "RuntimeError: out of everything"}
    assert list(timings) == ["b"]
    assert len(timings["b"].seconds) == 2


def test_a_test_that_needs_a_gpu_is_found_and_counted(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(f"skipif(True, {gpu_tests.USES[0]})")
    (tmp_path / "tests" / "test_b.py").write_text("")
    assert gpu_tests.files(tmp_path) == [Path("tests/test_a.py")]
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="t" name="a"/><testcase classname="t" name="b">'
        '<failure/></testcase><testcase classname="t" name="c"><skipped/></testcase></testsuite></testsuites>'
    )
    assert gpu_tests.counts(report) == {"passed": ["t.a"], "failed": ["t.b"], "skipped": ["t.c"]}


def test_without_a_gpu_the_sections_that_need_one_are_skipped_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(running, "has_gpu", lambda: False)
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    assert running.possible(PERFORMANCE.sections) == list(SECTIONS)
    assert "need a GPU and torch finds none here: gpu_tests, gpu_scan" in capsys.readouterr().out
    monkeypatch.setattr(running, "has_gpu", lambda: True)
    assert running.possible(PERFORMANCE.sections) == [*SECTIONS, *GPU_SECTIONS]
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 1
    assert "torch finds no GPU here" in capsys.readouterr().err


def test_sections_written_elsewhere_are_taken_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    here, there = tmp_path / "here.md", tmp_path / "there.md"
    scan, step = (next(s for s in GPU_SECTIONS if s.name == f"gpu_{name}") for name in ("scan", "step"))
    here.write_text(f"# Figures\n\n## {scan.title}\n\nOld.\n\n## By hand\n\nKept.\n")
    there.write_text(
        f"# Figures\n\n## {step.title}\n\nA step.\n\n## {scan.title}\n\nNew.\n\n## Else\n\nNot.\n"
    )
    monkeypatch.setattr(sys, "argv", ["gpu", "--take", str(there), "--document", str(here)])
    assert gpu.main() == 0
    text = here.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [scan.title, step.title, "By hand"]
    assert "New." in text
    assert "Old." not in text
    assert step.title in capsys.readouterr().out


def test_sections_are_run_where_it_is_said_and_within_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, float | None]] = []

    def ends(section: running.Section, limit: float | None) -> str:
        ran.append((section.command, limit))
        return "Done.\n"

    monkeypatch.setattr(running, "printed", ends)
    monkeypatch.setattr(running, "busy", lambda: 0.0)
    written = tmp_path / "gpu.md"
    options = ["--device", "cpu", "--quick", "--minutes", "0.5", "--document", str(written)]
    monkeypatch.setattr(sys, "argv", ["gpu", "step", "scan", *options])
    assert gpu.main() == 0
    assert [command for command, _ in ran] == [
        f"python -m benchmarks.gpu_{name} --device cpu --quick" for name in ("scan", "step")
    ]
    assert all(limit is not None and limit <= 30 for _, limit in ran)
    assert written.read_text().count("Done.") == 2

"""Model folders out and in: what transformers makes of ours, and we of its own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nexus_tui.data.tokenizer import BYTES, decode_bytes, encode, load_tokenizer
from nexus_tui.exchange.folder import FILES, export_folder
from nexus_tui.exchange.importing import import_folder
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.lm.pretrained import load_model, save_model
from nexus_tui.runs import truth
from nexus_tui.runs.audit import audit
from nexus_tui.runs.checkpoints import CheckpointError, file_sha256
from nexus_tui.runs.run import Run, RunError
from nexus_tui.runs.store import Runs, resolve
from nexus_tui.training.session import Session, SessionError

CHARACTERS = "".join(
    map(chr, [*range(256), *range(256, 0x800, 64), *range(0x800, 0xD800, 0x800), 0xE000, 0xFFFF])
) + "".join(map(chr, range(0x10000, 0x110000, 0x10000)))
"""Every byte that UTF-8 has stands in here, at its beginning or inside."""


def export(run: Run, place: Path, dtype: str = "", which: str | int = 12, **more: bool) -> Path:
    export_folder(run, run.checkpoint(which), place, dtype, **more)
    return place


def corpus_of(run: Run) -> str:
    return str(run.setting("data.corpus"))


def take(run: Run, folder: Path, runs: Path, name: str = "") -> Run:
    """Import a folder with the text and windows of the run that it came from, to be trained three steps."""
    recipe = ["data.window=16", "budget.steps=3", "schedule.warmup=1", "sampling.max_tokens=4"]
    return import_folder(folder, runs, name, corpus=corpus_of(run), settings=recipe)


@pytest.mark.parametrize("kind", ["byte_run", "bpe_run"])
def test_transformers_reads_an_export_as_we_do(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = request.getfixturevalue(kind)
    folder = export(run, tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    theirs, ours = AutoTokenizer.from_pretrained(folder), load_tokenizer(folder / "tokenizer.json")
    assert len(theirs) == ours.get_vocab_size()
    for id in range(len(theirs)):
        assert theirs.convert_ids_to_tokens(id) == ours.id_to_token(id)
        assert theirs.decode([id]).encode() == decode_bytes(ours, [id]).decode(errors="replace").encode()
    ids = theirs(CHARACTERS).input_ids
    assert ids == encode(ours, CHARACTERS).tolist()
    assert theirs.decode(ids) == CHARACTERS
    assert {*CHARACTERS.encode()} == {*range(BYTES)} - {0xC0, 0xC1, *range(0xF5, BYTES)}
    with torch.no_grad():
        batch = torch.tensor([ids[:40]])
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        expected = load_model(run.checkpoint(12).path).eval()(batch)
        torch.testing.assert_close(model(batch).logits, expected, rtol=0, atol=1e-5)
    assert model.generation_config.do_sample
    assert model.generation_config.temperature == 0.8


def test_the_card_says_what_is_on_record(byte_run: Run, tmp_path: Path):
    best = truth.best(byte_run)
    assert best and best.checkpoint
    card = (export(byte_run, tmp_path / "out") / "README.md").read_text()
    evaluation = best.evaluation
    for words in (
        f"| validation loss | {evaluation.loss:.4f} ± {evaluation.stderr:.4f} nats per token |",
        f"| bits per byte | {evaluation.bits_per_byte:.4f} |",
        f"| trained on | {12 * 4 * 16:,} tokens |",
        f"{evaluation.event.windows} windows of 16, the whole validation part",
        best.checkpoint.sha256,
        "It has the lowest validation loss of the 3 evaluated checkpoints",
        'corpus = "sonnet.txt"',
        'from_pretrained("out")',
    ):
        assert words in card, words
    assert str(tmp_path.parent) not in card, "no folder of this machine is told to others"
    earlier = (export(byte_run, tmp_path / "earlier", which=4) / "README.md").read_text()
    assert (
        "Somebody named it. The lowest validation loss of the 3 evaluated checkpoints of this run has step "
        in (earlier)
    )


def test_rounded_weights_are_scored_anew(byte_run: Run, tmp_path: Path, runs: Path):
    folder = export(byte_run, tmp_path / "out", "bfloat16")
    tensors = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    stored = load_file(byte_run.checkpoint(12).path / "model.safetensors")
    assert all(torch.equal(tensor, stored[name].bfloat16()) for name, tensor in tensors.items())
    found = re.search(r"so rounded, ([\d.]+) nats per token", (folder / "README.md").read_text())
    back = truth.best(take(byte_run, folder, runs))
    trained = truth.best(byte_run)
    assert found and back and trained
    assert f"{back.evaluation.loss:.4f}" == found[1]
    assert 0 < abs(back.evaluation.loss - trained.evaluation.loss) < 0.01


def test_weights_go_out_as_they_are_kept_unless_somebody_says(byte_run: Run, tmp_path: Path, runs: Path):
    """As those that come with the program are kept, in bfloat16."""
    taken = import_folder(export(byte_run, tmp_path / "out"), runs)
    checkpoint = taken.checkpoint(0)
    path = checkpoint.path
    save_model(load_model(path), path, torch.bfloat16)
    files = {
        name: {"bytes": (path / name).stat().st_size, "sha256": file_sha256(path / name)}
        for name in checkpoint.files
    }
    (path / "manifest.json").write_text(json.dumps({"step": 0, "files": files}))
    taken = Run(taken.folder)
    kept = load_file(path / "model.safetensors")
    for dtype, said in (
        ("", "| weights | bfloat16, as kept; SHA-256 of the file as kept"),
        ("float32", "| weights | float32, the bfloat16 that is kept exactly; SHA-256"),
        (
            "float16",
            "| weights | float16, rounded from bfloat16; what that costs was not measured: the checkpoint",
        ),
    ):
        folder = export(taken, tmp_path / f"as-{dtype}", dtype, which=0)
        assert said in (folder / "README.md").read_text()
        wanted = getattr(torch, dtype or "bfloat16")
        tensors = load_file(folder / "model.safetensors")
        assert all(torch.equal(tensor, kept[name].to(wanted)) for name, tensor in tensors.items())
        assert {tensor.dtype for tensor in tensors.values()} == {wanted}
        assert json.loads((folder / "config.json").read_text())["dtype"] == (dtype or "bfloat16")


def test_there_and_back_by_a_step_of_transformers(byte_run: Run, tmp_path: Path, runs: Path):
    """Train, export, a step by transformers, saved in shards, import, audit, train on."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = export(byte_run, tmp_path / "out")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    ids = tokenizer("Shall I compare thee to a summer's day?", return_tensors="pt").input_ids
    model(ids, labels=ids).loss.backward()
    optimizer.step()
    model.save_pretrained(tmp_path / "next", max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path / "next")
    assert (tmp_path / "next" / "model.safetensors.index.json").is_file()
    taken = take(byte_run, tmp_path / "next", runs, "taken")
    assert (taken.state, taken.kind, taken.step) == ("imported", "run", 0)
    assert audit(taken, verify=True).ok
    best, before = truth.best(taken), truth.best(byte_run)
    assert best and before and best.checkpoint
    assert best.evaluation.event.protocol == before.evaluation.event.protocol
    assert best.evaluation.loss != before.evaluation.loss
    losses = taken.window_losses("step_0")
    assert losses is not None and np.isclose(losses.mean(), best.evaluation.loss, atol=1e-6)
    with torch.no_grad():
        ours = load_model(best.checkpoint.path).eval()(ids)
        torch.testing.assert_close(ours, model.eval()(ids).logits, rtol=0, atol=1e-5)
    session = Session.resume(taken.folder)
    session.join()
    assert session.error is None
    taken.refresh()
    assert (taken.state, taken.step) == ("finished", 3)
    assert taken.branches[-1].start == 0
    first = taken.steps["loss"][0]  # on the weights that came in, and not on new ones
    assert abs(first - best.evaluation.loss) < 0.3 < np.log(256) - first


def test_without_a_text_it_can_be_sampled_and_not_trained(byte_run: Run, tmp_path: Path, runs: Path):
    taken = import_folder(export(byte_run, tmp_path / "out"), runs)
    assert (taken.name, list(taken.checkpoints)) == ("out", ["step_0"])
    assert not taken.checkpoint(0).resumable
    assert resolve(Runs(runs), "out")[1].name == "step_0"
    with pytest.raises(RunError, match="no evaluated checkpoint"):
        resolve(Runs(runs), "out:best")
    assert audit(taken).best is None
    with pytest.raises(SessionError, match=r"out was imported without a text .* --corpus"):
        Session.resume(taken.folder)
    assert import_folder(tmp_path / "out", runs).name == "out-2"
    card = (export(taken, tmp_path / "again", which=0) / "README.md").read_text()
    assert "imported from out, and not trained since" in card
    with pytest.raises(ExchangeError, match=r"There is a run out already"):
        import_folder(tmp_path / "out", runs, "out")


def test_a_smaller_tokenizer_is_filled_up(bpe_run: Run, tmp_path: Path, runs: Path):
    """Embeddings are often padded to a round number of rows."""
    folder = export(bpe_run, tmp_path / "out")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 288}))
    tensors = load_file(folder / "model.safetensors")
    for name in ("lm_head.weight", "model.embed_tokens.weight"):
        tensors[name] = torch.cat([tensors[name], torch.zeros(8, 16)])
    save_file(tensors, folder / "model.safetensors")
    taken = take(bpe_run, folder, runs)
    assert load_tokenizer(taken.folder / "tokenizer.json").get_vocab_size() == 288
    assert truth.best(taken)


def change_config(**changes: object):
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


def change_tensor(make: Callable[[torch.Tensor], torch.Tensor]):
    def change(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        name = "model.layers.0.mamba.A_log"
        save_file(tensors | {name: make(tensors[name])}, folder / "model.safetensors")

    return change


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def indexed(names: object):
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))

    return change


def add_ids(folder: Path) -> None:
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_config(num_experts=16), "num_experts is 16; only 1"),
        (change_config(hidden_act="gelu"), "hidden_act is 'gelu'"),
        (change_config(quantization_config={"bits": 4}), "quantised"),
        (change_config(model_type="mamba2"), "a model of type 'mamba2'"),
        (change_config(num_hidden_layers=4), "lacks model.layers.3"),
        (change_tensor(lambda tensor: tensor.to(torch.int8)), "A_log as I8; only weights in floating point"),
        (change_tensor(lambda tensor: tensor / 0), "A_log holds numbers that are not finite"),
        (change_tensor(lambda tensor: tensor[:, 1:].clone()), r"A_log is \[32, 3\] and not \[32, 4\]"),
        (pickled, r"pytorch_model.bin is a pickle, which may hold a program"),
        (indexed({"a": "../model-1.safetensors"}), "which is not a file of its folder"),
        (indexed({"a": "model-2.safetensors"}), "model-2.safetensors is missing, which"),
        (indexed([]), "index.json is damaged: it has no weight_map"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json: save its tokenizer"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (add_ids, "has 257 ids, and the model only 256"),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_stays(
    change: Callable[[Path], object], reason: str, byte_run: Run, tmp_path: Path, runs: Path
):
    folder = export(byte_run, tmp_path / "out")
    change(folder)
    with pytest.raises((ExchangeError, ValueError, FileNotFoundError), match=reason) as error:
        import_folder(folder, runs)
    assert str(folder) in str(error.value)
    assert not runs.exists() or not list(runs.iterdir())


def test_what_a_config_leaves_out_is_what_transformers_takes_for_it():
    from transformers import JambaConfig as Theirs

    from nexus_tui.lm.config import JambaConfig

    given = {"num_experts": 1, "hidden_size": 72, "num_attention_heads": 4, "num_key_value_heads": 2}
    ours, theirs = JambaConfig.from_hugging_face(given), Theirs(**given)
    assert ours.mamba_dt_rank == 5
    for name, value in ours.model_dump().items():
        assert getattr(theirs, name) == value, name
    with pytest.raises(ValueError, match="num_experts is 16"):
        JambaConfig.from_hugging_face({})
    no_expert_layer = {"num_experts": 16, "expert_layer_period": 99, "expert_layer_offset": 98}
    assert JambaConfig.from_hugging_face(given | no_expert_layer) == ours


def test_an_export_is_whole_and_replaces_only_its_like(byte_run: Run, tmp_path: Path):
    place = tmp_path / "out"
    place.mkdir()
    place.chmod(0o755)
    export(byte_run, place, which=4)
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o644}
    with pytest.raises(ExchangeError, match="is there already; choose another place, or give --replace"):
        export(byte_run, place)
    before = (place / "README.md").read_text()
    (place / "thesis.txt").write_text("mine")
    with pytest.raises(ExchangeError, match=r"holds thesis.txt, which no export writes"):
        export(byte_run, place, replace=True)
    assert (place / "README.md").read_text() == before
    (place / "thesis.txt").unlink()
    export(byte_run, place, replace=True)
    assert (place / "README.md").read_text() != before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExchangeError, match="is no folder"):
        export(byte_run, tmp_path / "file", replace=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]


def test_a_damaged_checkpoint_is_not_exported(byte_run: Run, tmp_path: Path):
    taken = import_folder(export(byte_run, tmp_path / "out"), tmp_path / "runs")
    path = taken.checkpoint(0).path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        export(taken, tmp_path / "again", which=0)
    assert not (tmp_path / "again").exists()

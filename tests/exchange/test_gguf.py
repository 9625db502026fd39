"""A GGUF file, read back by the package against the layout that llama.cpp's src/models/jamba.cpp asks for.

That llama.cpp itself reads it as we do is for tools/llama_check.py, which needs an environment of its own.
"""

from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

from nexus_tui.data.tokenizer import load_tokenizer
from nexus_tui.exchange.gguf_file import export_gguf
from nexus_tui.exchange.importing import import_folder
from nexus_tui.exchange.place import ExchangeError
from nexus_tui.runs.run import Run
from tests.exchange.test_folder import export

HIDDEN, INNER, STATES, RANK, KERNEL, FED, KEYS = 16, 32, 4, 2, 4, 24, 8
MAMBA = {
    "ssm_in.weight": (HIDDEN, 2 * INNER), "ssm_conv1d.weight": (KERNEL, INNER), "ssm_conv1d.bias": (INNER,),
    "ssm_x.weight": (INNER, RANK + 2 * STATES), "ssm_dt_norm.weight": (RANK,), "ssm_dt.weight": (RANK, INNER),
    "ssm_dt.bias": (INNER,), "ssm_b_norm.weight": (STATES,), "ssm_c_norm.weight": (STATES,),
    "ssm_a": (STATES, INNER), "ssm_d": (INNER,), "ssm_out.weight": (INNER, HIDDEN),
}  # fmt: skip
ATTENTION = {
    "attn_q.weight": (HIDDEN, HIDDEN), "attn_k.weight": (HIDDEN, KEYS), "attn_v.weight": (HIDDEN, KEYS),
    "attn_output.weight": (HIDDEN, HIDDEN),
}  # fmt: skip
BOTH = {
    "attn_norm.weight": (HIDDEN,), "ffn_norm.weight": (HIDDEN,), "ffn_gate.weight": (HIDDEN, FED),
    "ffn_up.weight": (HIDDEN, FED), "ffn_down.weight": (FED, HIDDEN),
}  # fmt: skip


def written(run: Run, place: Path, dtype: str = "float32") -> gguf.GGUFReader:
    export_gguf(run, run.checkpoint(12), place, dtype)
    return gguf.GGUFReader(place)


def field(reader: gguf.GGUFReader, key: str) -> object:
    return reader.fields[key].contents()


def test_every_tensor_is_where_llama_cpp_looks_for_it(bpe_run: Run, tmp_path: Path):
    reader = written(bpe_run, tmp_path / "model.gguf")
    expected = {
        "token_embd.weight": (HIDDEN, 280),
        "output.weight": (HIDDEN, 280),
        "output_norm.weight": (HIDDEN,),
    }
    for layer, kind in enumerate((MAMBA, ATTENTION, MAMBA)):
        expected |= {f"blk.{layer}.{name}": shape for name, shape in {**BOTH, **kind}.items()}
    assert {tensor.name: tuple(tensor.shape) for tensor in reader.tensors} == expected
    numbers = {tensor.name: tensor.data for tensor in reader.tensors}
    trained = load_file(bpe_run.checkpoint(12).path / "model.safetensors")
    mamba = "model.layers.0.mamba."
    np.testing.assert_array_equal(numbers["blk.0.ssm_a"], -np.exp(trained[mamba + "A_log"]))
    np.testing.assert_array_equal(numbers["blk.0.ssm_conv1d.weight"], trained[mamba + "conv1d.weight"][:, 0])
    np.testing.assert_array_equal(numbers["blk.0.ssm_in.weight"], trained[mamba + "in_proj.weight"])
    np.testing.assert_array_equal(
        numbers["blk.1.ffn_down.weight"], trained["model.layers.1.feed_forward.down_proj.weight"]
    )
    assert field(reader, "general.architecture") == "jamba"
    assert field(reader, "jamba.attention.head_count_kv") == [0, 2, 0], "layers without keys are Mamba's"
    assert field(reader, "jamba.ssm.inner_size") == INNER
    assert field(reader, "jamba.ssm.time_step_rank") == RANK
    tokenizer = load_tokenizer(bpe_run.folder / "tokenizer.json")
    tokens = field(reader, "tokenizer.ggml.tokens")
    assert tokens == [tokenizer.id_to_token(id) for id in range(280)]
    merges = field(reader, "tokenizer.ggml.merges")
    assert isinstance(merges, list) and len(merges) == 24
    assert {merge.replace(" ", "") for merge in merges} <= set(tokens)


@pytest.mark.parametrize(("dtype", "kind", "type"), [("bfloat16", "BF16", 32), ("float16", "F16", 1)])
def test_matrices_are_rounded_and_nothing_else(
    dtype: str, kind: str, type: int, byte_run: Run, tmp_path: Path
):
    reader = written(byte_run, tmp_path / "model.gguf", dtype)
    exact = {tensor.name for tensor in reader.tensors if tensor.tensor_type.name == "F32"}
    rounded = {tensor.name for tensor in reader.tensors if tensor.tensor_type.name == kind}
    assert exact | rounded == {tensor.name for tensor in reader.tensors}
    assert {"blk.0.ssm_a", "blk.0.ssm_conv1d.weight", "blk.0.ssm_d", "output_norm.weight"} <= exact
    assert {"token_embd.weight", "blk.0.ssm_in.weight", "blk.1.attn_q.weight"} <= rounded
    assert field(reader, "general.file_type") == type
    assert field(reader, "tokenizer.ggml.merges") == ["ÿ ÿ"], "bytes have none, and llama.cpp wants some"
    assert field(reader, "tokenizer.ggml.eos_token_id") == 255, "a byte that no text has"


def test_what_llama_cpp_cannot_run_is_refused(byte_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = export(byte_run, tmp_path / "out")
    taken = import_folder(folder, tmp_path / "runs")
    path = taken.checkpoint(0).path
    tokenizer = load_tokenizer(path / "tokenizer.json")
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    words = import_folder(folder, tmp_path / "runs", "words")
    with pytest.raises(ExchangeError, match="is no byte-level BPE that cuts words as GPT-2 does"):
        export_gguf(words, words.checkpoint(0), tmp_path / "words.gguf")
    with monkeypatch.context() as old:
        old.setattr(gguf, "MODEL_ARCH", object())
        with pytest.raises(ExchangeError, match=r"pip install 'gguf>=0\.18'"):
            export_gguf(taken, taken.checkpoint(0), tmp_path / "model.gguf")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExchangeError, match=r"pip install 'nexus-tui\[gguf\]'"):
        export_gguf(taken, taken.checkpoint(0), tmp_path / "model.gguf")
    assert not list(tmp_path.glob("*.gguf"))

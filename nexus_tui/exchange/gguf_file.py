"""A checkpoint as a GGUF file, which llama.cpp and what is built on it run.

The layout is llama.cpp's for the architecture `jamba` (its `src/models/jamba.cpp` says which tensors, in
which shapes): Hugging Face's, but A = -exp(A_log), and the convolution without its middle dimension. Names,
keys and the file are the package `gguf`'s.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nexus_tui.exchange.place import ExchangeError, write_file
from nexus_tui.lm.config import JambaConfig
from nexus_tui.runs.checkpoints import Checkpoint
from nexus_tui.runs.run import Run

if TYPE_CHECKING:
    from nexus_tui.lm.hybrid import HybridLM

TOKENIZER = "tokenizer.json"
_UNSEEN = "ÿ"
"""Stands for the byte 0xFF, which no text in UTF-8 has: what a format insists on having is made of it."""
_EXACT = ("ssm_a", "ssm_conv1d.weight")
"""Of two dimensions and still always of 32 bits: llama.cpp's kernels take them only so."""


def export_gguf(
    run: Run, checkpoint: Checkpoint, place: Path, dtype: str = "float32", *, replace: bool = False
) -> None:
    """Write a checkpoint as one GGUF file, its matrices rounded to `dtype`.

    Raises ExchangeError if the package gguf is missing, the model or its tokenizer is none that llama.cpp can
    run, or the place is taken or cannot be written; CheckpointError if the checkpoint is damaged.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ExchangeError("GGUF needs the package gguf: pip install 'nexus-tui[gguf]'.")
    import gguf

    from nexus_tui.lm.pretrained import load_model

    if not hasattr(gguf.MODEL_ARCH, "JAMBA"):
        raise ExchangeError("the installed gguf does not know Jamba: pip install 'gguf>=0.18'.")
    checkpoint.verify("model.safetensors", "config.json", TOKENIZER)
    vocabulary = _vocabulary(checkpoint.path / TOKENIZER)
    model = load_model(checkpoint.path)
    if model.config.mamba_expand != 2:
        raise ExchangeError(
            f"llama.cpp runs Jamba with mamba_expand 2 alone, not {model.config.mamba_expand}."
        )
    window = run.setting("data.window", 0)
    write_file(place, lambda path: _write(path, run.name, model, vocabulary, window, dtype), replace)


def _write(
    path: Path, name: str, model: HybridLM, vocabulary: dict[str, Any], window: int, dtype: str
) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, "jamba")
    writer.add_name(name)
    _describe(writer, model.config, window)
    kind = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
    writer.add_file_type({"F32": 0, "F16": 1, "BF16": 32}[kind])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary["tokens"])
    writer.add_token_types(vocabulary["types"])
    writer.add_token_merges(vocabulary["merges"])
    writer.add_bos_token_id(vocabulary["unseen"])  # unsaid, llama.cpp takes token 11
    writer.add_eos_token_id(vocabulary["unseen"])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    for tensor, array in _tensors(model):
        exact = array.ndim < 2 or tensor.endswith(_EXACT)
        wanted = gguf.GGMLQuantizationType["F32" if exact else kind]
        writer.add_tensor(tensor, gguf.quants.quantize(array, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, config: JambaConfig, window: int) -> None:
    """The architecture. A layer without heads for keys is a Mamba layer."""
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(window or 2048)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_vocab_size(config.vocab_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(
        [config.num_key_value_heads if kind == "attention" else 0 for kind in config.layer_kinds]
    )
    writer.add_ssm_conv_kernel(config.mamba_d_conv)
    writer.add_ssm_inner_size(config.mamba_channels)
    writer.add_ssm_state_size(config.mamba_d_state)
    writer.add_ssm_time_step_rank(config.mamba_dt_rank)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _tensors(model: HybridLM) -> Iterator[tuple[str, np.ndarray[Any, np.dtype[np.float32]]]]:
    """Every tensor by its name in the file, in 32 bits."""
    import gguf

    from nexus_tui.lm.pretrained import weights

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.JAMBA, model.config.num_hidden_layers)
    for name, tensor in weights(model).items():
        array = tensor.float().numpy()
        if name.endswith("A_log"):
            array = -np.exp(array)
        elif name.endswith("conv1d.weight"):
            array = array[:, 0]
        yield str(names.get_name(name, try_suffixes=(".weight", ".bias"))), np.ascontiguousarray(array)


def _vocabulary(path: Path) -> dict[str, Any]:
    """Tokens, their types and merges as llama.cpp reads them. Raises ExchangeError for what it cannot do."""
    from nexus_tui.data.tokenizer import load_tokenizer

    tokenizer, told = load_tokenizer(path), json.loads(path.read_text("utf-8"))
    pre, bpe = told.get("pre_tokenizer") or {}, told.get("model") or {}
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in bpe.get("merges", ())]
    plain = pre.get("type") == "ByteLevel" and not pre.get("add_prefix_space")
    if bpe.get("type") != "BPE" or not plain or (merges and not pre.get("use_regex", True)):
        raise ExchangeError(
            f"{path} is no byte-level BPE that cuts words as GPT-2 does: llama.cpp would read other tokens."
        )
    added = tokenizer.get_added_tokens_decoder()
    tokens = [tokenizer.id_to_token(id) for id in range(tokenizer.get_vocab_size())]
    control = [id in added and added[id].special for id in range(len(tokens))]
    unseen = tokenizer.token_to_id(_UNSEEN)
    if unseen is None:
        raise ExchangeError(f"{path} has no token for the byte 0xFF: llama.cpp could not read every text.")
    return {
        "tokens": tokens,
        "types": [3 if special else 1 for special in control],  # control, normal
        "merges": merges or [f"{_UNSEEN} {_UNSEEN}"],  # it wants some; this one never applies
        "unseen": unseen,
    }

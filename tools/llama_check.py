"""Whether llama.cpp reads a GGUF file as we read the checkpoint: the same tokens, and the same losses.

    python tools/llama_check.py FILE.gguf CHECKPOINT PYTHON [TEXT]

CHECKPOINT is a checkpoint's folder; PYTHON an interpreter that has `cyllama`, which is llama.cpp as a package
and needs an environment of its own. Exit status 1 if a token or a loss differs by more than rounding.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

TEXT = (
    "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer — naïve, 3×7 …\n"
)
TOLERANCE = {"32": 2e-3, "16": 1e-1}
"""Largest difference of one token's loss in nats: weights of 32 bits, and of 16."""

THEIRS = """
import json, sys
from cyllama.llama import llama_cpp as c
c.disable_logging()


class Model(c.LlamaModel):
    # the context asks it for n_vocab, which cyllama 0.7 forgets

    @property
    def n_vocab(self):
        return self.get_vocab().n_vocab


model = Model(sys.argv[1], c.LlamaModelParams(), verbose=False)
vocabulary = model.get_vocab()
ids = list(vocabulary.tokenize(sys.argv[2], False, False))
params = c.LlamaContextParams()
params.n_ctx = params.n_batch = params.n_ubatch = max(64, len(ids))
params.n_threads = 1
context = c.LlamaContext(model, params, verbose=False)
batch = c.LlamaBatch(n_tokens=len(ids), embd=0, n_seq_max=1)
rows = []
for position, id in enumerate(ids):  # a token at a time, as generation does
    batch.set_batch([id], position, True)
    context.decode(batch)
    rows.append([float(x) for x in context.get_logits_ith(0)])
print(json.dumps({"ids": ids, "text": vocabulary.detokenize(ids), "logits": rows, "size": model.size}))
"""


def losses(logits: "np.ndarray", ids: "list[int]") -> "np.ndarray":
    """Nats of every token but the first: [tokens - 1]."""
    shifted = logits[:-1] - logits[:-1].max(-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return -log_probabilities[np.arange(len(ids) - 1), ids[1:]]


def main() -> int:
    """Compare, and say."""
    import torch

    from nexus_tui.data.tokenizer import encode, load_tokenizer
    from nexus_tui.lm.pretrained import load_model

    file, checkpoint, python, *text = sys.argv[1:]
    wanted = text[0] if text else TEXT
    done = subprocess.run([python, "-c", THEIRS, file, wanted], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return 1
    theirs = json.loads(done.stdout.splitlines()[-1])
    ids = encode(load_tokenizer(Path(checkpoint) / "tokenizer.json"), wanted).tolist()
    with torch.no_grad():
        logits = load_model(Path(checkpoint)).eval()(torch.tensor([ids]))[0].double().numpy()
    same = theirs["ids"] == ids
    print(f"{file}: {len(ids)} tokens, {'the same' if same else 'OTHERS'} in llama.cpp")
    if not same:
        print(ids, theirs["ids"], sep="\n", file=sys.stderr)
        return 1
    own, other = losses(logits, ids), losses(np.array(theirs["logits"]), ids)
    largest = float(np.abs(own - other).max())
    wide = theirs["size"] > 3 * sum(np.prod(t.shape) for t in load_model(Path(checkpoint)).parameters())
    bound = TOLERANCE["32" if wide else "16"]
    print(f"mean loss {own.mean():.6f} nats per token here, {other.mean():.6f} in llama.cpp; ", end="")
    print(f"largest difference of a token {largest:.1e} (bound {bound:.0e})")
    return int(largest > bound)


if __name__ == "__main__":
    sys.exit(main())

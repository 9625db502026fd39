"""A plain transformer of PyTorch's own layers, trained in a loop of one's own that nexus-tui can watch.

    python examples/plain_transformer.py runs/plain --steps 300

While it runs, `nexus-tui runs` in another terminal shows its curves, and afterwards which of its checkpoints
is the best, beside any other run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_tui import Journal
from nexus_tui.data.corpus import load_corpus


class Transformer(nn.Module):
    """Bytes in, logits of the next byte out."""

    def __init__(self, width: int = 64, layers: int = 2, heads: int = 4, window: int = 64) -> None:
        super().__init__()
        self.bytes = nn.Embedding(256, width)
        self.places = nn.Embedding(window, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 256)

    def forward(self, inputs: Tensor) -> Tensor:
        """int64 [batch, length] -> logits [batch, length, 256]."""
        length = inputs.shape[1]
        hidden = self.bytes(inputs) + self.places(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.head(self.layers(hidden, mask=mask, is_causal=True))

    def losses(self, windows: Tensor) -> Tensor:
        """int64 [windows, length + 1] -> each window's mean loss in nats per byte, [windows]."""
        logits = self(windows[:, :-1])
        return F.cross_entropy(logits.transpose(1, 2), windows[:, 1:], reduction="none").mean(-1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the run's folder, in the runs folder")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=100, help="evaluate and save every so many steps")
    parser.add_argument("--corpus", default="tinyshakespeare")
    chosen = parser.parse_args(arguments)
    window, batch, lr = 64, 16, 1e-3
    torch.manual_seed(1)

    text = torch.from_numpy(np.frombuffer(load_corpus(chosen.corpus).data, np.uint8).astype(np.int64))
    cut = len(text) * 9 // 10
    validation = text[cut:].unfold(0, window + 1, window)[:256]
    model = Transformer(window=window)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    recipe = {"optimizer": {"lr": lr}, "data": {"corpus": chosen.corpus, "window": window}, "batch": batch}

    with Journal.create(
        chosen.folder,
        recipe,
        steps=chosen.steps,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        train_tokens=cut,
    ) as journal:
        for step in range(1, chosen.steps + 1):
            starts = torch.randint(cut - window - 1, (batch, 1))
            loss = model.losses(text[starts + torch.arange(window + 1)]).mean()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            journal.step(step, loss.item(), lr, grad_norm=norm.item(), tokens=step * batch * window)
            if step % chosen.every == 0 or step == chosen.steps:
                with journal.checkpoint(step) as folder:
                    save_model(model, str(folder / "model.safetensors"))
                with torch.no_grad():
                    losses = torch.cat([model.losses(part) for part in validation.split(64)])
                journal.evaluate(
                    step,
                    losses.numpy(),
                    bits_per_byte=losses.mean().item() / np.log(2),
                    protocol=f"{chosen.corpus}, the first 256 windows of {window} of its last tenth",
                )


if __name__ == "__main__":
    main()

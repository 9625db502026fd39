"""A run on disk as training leaves it, with real but tiny weights, for screens that open them."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import torch

from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.lm.config import JambaConfig
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.lm.pretrained import save_model
from nexus_tui.runs import journal as j
from nexus_tui.runs.checkpoints import link_best, save_checkpoint
from nexus_tui.runs.run import Run

TINY = JambaConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1,
    num_attention_heads=4, num_key_value_heads=2, mamba_d_state=4, mamba_dt_rank=4, vocab_size=256,
)  # fmt: skip
LETTERS = b"aehinorst ,\n"
START = datetime(2026, 1, 12, 20, 0, tzinfo=UTC)
WINDOWS = 64


def writing_letters(step: int, config: JambaConfig = TINY) -> HybridLM:
    """A model that draws from LETTERS, each as probable as the others: the same text on every machine."""
    model = HybridLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if name.endswith("layernorm.weight") else 0.0)
        model.model.embed_tokens.weight.fill_(1.0 + step / 1000)
        model.lm_head.weight.fill_(-1.0)
        model.lm_head.weight[list(LETTERS)] = 1.0
    return model


@dataclass
class Trained:
    """Writes a run's folder, event by event; `loss` is what the next checkpoint will have."""

    folder: Path
    seconds: float = 0.0
    tokens: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "evaluations").mkdir()
        (self.folder / "run.toml").write_text(
            'preset = "tiny"\n[budget]\nsteps = 2000\n[checkpoint]\nevery = 200\n'
        )
        self.open()
        self._append(j.StartedEvent(time=self._now(), parameters=20_000))

    def open(self) -> None:
        """Be the one that writes the journal."""
        self._journal = j.Journal(self.folder / "journal.jsonl")

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def _append(self, event: j.Event) -> None:
        self._journal.append(event)

    def steps(self, first: int, last: int, loss: float) -> None:
        """Steps of one branch."""
        for step in range(first, last + 1):
            self.seconds += 1.5
            self.tokens += 2048
            self._append(
                j.StepEvent(
                    time=self._now(),
                    step=step,
                    loss=loss,
                    lr=3e-4,
                    grad_norm=0.5,
                    tokens=self.tokens,
                    seconds=1.5,
                )
            )

    def save(self, step: int, name: str = "", optimizer: bool = True, parents: tuple[str, ...] = ()) -> None:
        """A checkpoint with weights of its own."""
        name = name or f"step_{step}"

        def write(folder: Path) -> None:
            save_model(writing_letters(step), folder)
            (folder / "tokenizer.json").write_text(byte_tokenizer().to_str())
            if optimizer:
                (folder / "optimizer.safetensors").write_bytes(b"moments")
            elif not parents:  # what is left when it was pruned
                (folder / "state.json").write_text("{}")

        saved = save_checkpoint(self.folder / "checkpoints" / name, step, write)
        self._append(
            j.SavedEvent(
                time=self._now(),
                step=step,
                checkpoint=name,
                sha256=saved.sha256,
                bytes=saved.bytes,
                parents=parents,
                method="uniform" if parents else "",
            )
        )

    def average(self, names: list[str], loss: float, name: str = "") -> str:
        """An average of checkpoints saved before; returns its name."""
        kept = Run(self.folder).saved
        step = kept[names[-1]].step
        name = name or f"average_{step}"
        self.save(
            step,
            name,
            optimizer=False,
            parents=tuple(f"{self.folder.name}:{n}@{kept[n].sha256[:12]}" for n in names),
        )
        self.evaluate(step, loss, name)
        return name

    def evaluate(
        self, step: int, loss: float, name: str = "", protocol: str = "windows-64", spread: float = 0.02
    ) -> None:
        """An evaluation whose windows scatter alike around `loss`, but for `spread`."""
        name = name or f"step_{step}"
        draw = np.random.default_rng(step)
        losses = np.random.default_rng(0).normal(0, 0.3, WINDOWS) + spread * draw.normal(0, 1, WINDOWS)
        losses = (losses - losses.mean() + loss).astype(np.float32)
        np.save(self.folder / "evaluations" / f"{name}.npy", losses)
        self._append(
            j.EvaluatedEvent(
                time=self._now(), step=step, checkpoint=name, loss=loss,
                stderr=float(losses.std(ddof=1)) / math.sqrt(WINDOWS),
                bits_per_byte=loss / math.log(2), windows=WINDOWS, protocol=protocol,
            )
        )  # fmt: skip

    def sample(self, step: int, prompt: str, text: str) -> None:
        """A sample from a fixed prompt."""
        self._append(j.SampledEvent(time=self._now(), step=step, prompt=prompt, text=text, temperature=0.8))

    def resume(self, step: int, name: str = "") -> None:
        """A new branch from a checkpoint."""
        self._append(j.ResumedEvent(time=self._now(), step=step, checkpoint=name or f"step_{step}"))

    def end(self, step: int, reason: str = "finished") -> None:
        """Training ended."""
        self._append(j.EndedEvent(time=self._now(), step=step, reason=reason))

    def link(self, name: str) -> None:
        """Let `best` point somewhere."""
        link_best(self.folder, Run(self.folder).checkpoints[name])

    @property
    def now(self) -> datetime:
        """Half an hour after the newest event."""
        return self._now() + timedelta(minutes=30)


def branched(folder: Path) -> Trained:
    """Ten checkpoints: a branch to 1,400, abandoned from 1,000 on by a resume, and a second one to 1,600."""
    run = Trained(folder)
    for step, loss in {
        200: 2.41,
        400: 2.02,
        600: 1.81,
        800: 1.66,
        1000: 1.582,
        1200: 1.5781,
        1400: 1.61,
    }.items():
        run.steps(step - 199, step, loss - 0.1)
        run.save(step)
        run.evaluate(step, loss)
        run.sample(step, "To be", f", at {step}, and in the king\nThat hath the sun of thee,")
        run.sample(step, "The king", " is come to say the way of the people.")
    run.resume(1000)
    for step, loss, name in ((1200, 1.534, "step_1200.1"), (1400, 1.5288, "step_1400.1"), (1600, 1.531, "")):
        run.steps(step - 199, step, loss - 0.12)
        run.save(step, name)
        run.evaluate(step, loss, name)
        run.sample(step, "To be", f" or not to be, at {step}, that is the king")
        run.sample(step, "The king", " hath sent to thee\x1b[31m and to thy son.")
    run.end(1600, "stopped")
    run.link("step_1400.1")
    return run


def straight(folder: Path, steps: int = 2000) -> Trained:
    """A run without a resume."""
    run = Trained(folder)
    for index, step in enumerate(range(200, steps + 1, 200)):
        loss = 1.5 + math.exp(-index / 2)
        run.steps(step - 199, step, loss - 0.1)
        run.save(step)
        run.evaluate(step, loss)
        run.sample(step, "To be", f", at {step}, and in the king")
    run.end(steps)
    return run

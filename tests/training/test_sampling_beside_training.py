"""A run with samplers beside it is the run without them: every loss, every gradient norm, every weight."""

import threading
from pathlib import Path

import numpy as np
import pytest

from nexus_tui.config import RunConfig
from nexus_tui.data.tokenizer import byte_tokenizer
from nexus_tui.lm.drawing import Sampling
from nexus_tui.lm.hybrid import HybridLM
from nexus_tui.runs.run import Run
from nexus_tui.training.sampling import Sampler
from nexus_tui.training.session import Session


def train(folder: Path, config: RunConfig, name: str) -> Run:
    session = Session.start(folder, config, name)
    session.join()
    assert not session.error
    return Run(session.folder)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_the_loss_stream_is_the_same_bit_for_bit(tmp_path: Path, small: RunConfig, share: float):
    config = small.model_copy(update={"budget": small.budget.model_copy(update={"steps": 40})})
    alone = train(tmp_path, config, "alone")

    sampler, over = Sampler(HybridLM(config.model, seed=8).eval(), byte_tokenizer()), threading.Event()
    tokens = [0, 0]

    def sample(number: int) -> None:
        while not over.is_set():  # single tokens, and long prompts, which run on many threads
            for prompt in ("x", "Shall I " * 300):
                for _ in sampler.stream(prompt, Sampling(max_tokens=20, seed=tokens[number]), share=share):
                    tokens[number] += 1
                    if over.is_set():
                        break
            sampler.score("Thou art more lovely " * 30, share=share)

    threads = [threading.Thread(target=sample, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        beside = train(tmp_path, config, "beside")
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert min(tokens) > 0

    assert len(alone.steps) == 40
    for column in ("loss", "grad_norm", "lr", "tokens"):
        assert np.array_equal(beside.steps[column], alone.steps[column]), column
    assert [e.loss for e in beside.evaluations] == [e.loss for e in alone.evaluations]
    for name, checkpoint in alone.checkpoints.items():
        assert checkpoint.files["model.safetensors"] == beside.checkpoints[name].files["model.safetensors"]
        assert np.array_equal(alone.window_losses(name), beside.window_losses(name))

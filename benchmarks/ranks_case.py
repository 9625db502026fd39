"""Process 0 of those that train together, or one alone: takes steps when it is told to, and says how long.

    RANK=0 WORLD_SIZE=2 … python -m benchmarks.ranks_case [--shard] table.key=value …

Each line of its input is a number of steps, or `memory`.
"""

import importlib
import json
import re
import sys
from pathlib import Path

import torch

from nexus_tui.config import RunConfig
from nexus_tui.data.corpus import load_corpus
from nexus_tui.data.dataset import prepare
from nexus_tui.lm.hybrid import parameter_count
from nexus_tui.lm.selective_scan import warm_up
from nexus_tui.training.distributed import Ranks
from nexus_tui.training.follower import follow
from nexus_tui.training.launch import Launch, launched
from nexus_tui.training.learner import Learner
from nexus_tui.training.memory import keep_freed_memory
from nexus_tui.training.ranks import Alone


def memory(field: str) -> int:
    """Bytes that this process has in memory (`VmRSS`), or has had at most (`VmHWM`)."""
    found = re.search(rf"^{field}:\s*(\d+) kB$", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def begin(launch: Launch, settings: list[str]) -> Learner:
    """A learner at its first step, and the others' too."""
    config = RunConfig.load("nexus-byte", settings)
    data = config.data
    dataset = prepare(load_corpus(data.corpus), data.tokenizer, config.model.vocab_size, data.validation)
    warm_up()
    ranks = Ranks(launch) if launch.size > 1 else Alone()
    ranks.join(config, dataset, None)
    return Learner(config, dataset, ranks)


def main() -> int:
    """Obey the lines of the input."""
    settings = [argument for argument in sys.argv[1:] if argument != "--shard"]
    launch = launched("--shard" in sys.argv)
    if not launch.leads:
        return follow(launch)
    if not launch.shard:
        keep_freed_memory()
    if launch.size > 1:
        importlib.import_module("torch._dynamo")  # DDP and FSDP2 do, and no parameter is to blame
    torch.zeros(1)
    before = memory("VmRSS")
    learner = begin(launch, settings)
    for line in sys.stdin:
        if line.strip() == "memory":
            parameters = parameter_count(learner.model)
            answer = [parameters, (memory("VmHWM") - before) / parameters]
        else:
            answer = [learner.advance()[0].seconds for _ in range(int(line))]
        print(json.dumps(answer), flush=True)
    learner.ranks.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())

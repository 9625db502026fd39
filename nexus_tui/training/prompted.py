"""What a model in training makes of the run's prompts, always with the same random numbers."""

from nexus_tui.config import RunConfig
from nexus_tui.lm.generation import Sampling
from nexus_tui.runs import journal as j
from nexus_tui.training.sampling import Sampler


def continued(sampler: Sampler, config: RunConfig, step: int) -> list[j.SampledEvent]:
    """The texts of a step, which compare with those of any other. Raises FloatingPointError."""
    how = config.sampling
    first = config.run.seed  # one more for each prompt, or all would end in the same words
    texts = sampler.together()
    for number, prompt in enumerate(how.prompts):
        texts.add(prompt, Sampling(how.temperature, max_tokens=how.max_tokens, seed=first + number))
    written = [""] * len(how.prompts)
    while pieces := texts.step():
        for number, piece in pieces:
            if isinstance(piece, FloatingPointError):
                raise piece
            written[number] += piece.text
    return [
        j.SampledEvent(step=step, prompt=prompt, text=text, seed=first + number, temperature=how.temperature)
        for number, (prompt, text) in enumerate(zip(how.prompts, written, strict=True))
    ]

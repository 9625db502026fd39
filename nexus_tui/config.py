"""RunConfig: everything that defines a run, checked on the way in."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nexus_tui.lm.config import JambaConfig
from nexus_tui.resources import model_files
from nexus_tui.runs.run_toml import to_toml


class ConfigError(Exception):
    """A configuration that cannot be used; the message names the key and the reason."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(_Table):
    """What is learned from. `window` is the context in tokens, `validation` the last share of the bytes.

    `field` has the text of a row, where the corpus has rows. `tokenizer` is `byte`, `bpe` (learned from the
    corpus), or the path of a tokenizer.json.
    `holdout` is a share after that, kept from selection: only the winner is scored on it, at the end.
    """

    corpus: str = "tinyshakespeare"
    field: str = Field("text", min_length=1)
    tokenizer: str = Field("byte", min_length=1)
    window: int = Field(128, ge=1, le=1 << 20)
    validation: float = Field(0.1, gt=0, lt=1)
    holdout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _something_to_train_on(self) -> Self:
        if self.validation + self.holdout >= 1:
            shares = f"validation {self.validation} and holdout {self.holdout}"
            raise ValueError(f"{shares} leave nothing to train on")
        return self


class OptimizerConfig(_Table):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with clipping of the gradient's norm."""

    lr: float = Field(3e-4, gt=0, le=1)
    weight_decay: float = Field(0.1, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _betas(self) -> Self:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas must be at least 0 and below 1")
        return self


class RegularizationConfig(_Table):
    """What keeps training from learning its text by heart, besides weight decay.

    `dropout` is the share of what each layer adds to the residual stream that is left out, drawn anew each
    step.
    """

    dropout: float = Field(0.0, ge=0, lt=1)


class ScheduleConfig(_Table):
    """The learning rate over steps: linear warm-up over `warmup` steps, then `shape` down to 0."""

    warmup: int = Field(100, ge=0)
    shape: Literal["cosine", "linear", "constant"] = "cosine"


class BudgetConfig(_Table):
    """How much is trained: optimizer steps, and windows in the batch of each.

    `micro_batch` is how many windows of the batch go through the model at once, which decides how much
    memory that takes, and rounding; 0 stands for as many as make 4,096 tokens, or 32,768 on a GPU.
    `precision` is that of the products on a GPU, `auto` standing for bf16; weights and sums have 32 bits
    always, and on the processor everything has.
    """

    steps: int = Field(2000, ge=1)
    batch: int = Field(16, ge=1)
    micro_batch: int = Field(0, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class SpikeConfig(_Table):
    """What is called a spike of the training loss, and what is done about one.

    A loss above the median of the last `window` steps by more than `deviations` standard deviations, those
    estimated from the median absolute deviation. `mark` puts it on record and goes on, `stop` ends training
    before the update, `ignore` does nothing.
    """

    action: Literal["mark", "stop", "ignore"] = "mark"
    window: int = Field(64, ge=8, le=10_000)
    deviations: float = Field(6.0, gt=0)


class EvaluationConfig(_Table):
    """Loss over all validation windows `every` so many steps, and at the end."""

    every: int = Field(200, ge=1)


class CheckpointConfig(_Table):
    """Save `every` so many steps, and at the end."""

    every: int = Field(200, ge=1)


class SamplingConfig(_Table):
    """The fixed prompts that every evaluated step continues."""

    prompts: tuple[str, ...] = ("To be", "The king", "What light")
    temperature: float = Field(0.8, ge=0)
    max_tokens: int = Field(120, ge=1)


class RunTable(_Table):
    """What concerns the run as a whole."""

    seed: int = Field(1, ge=0, lt=1 << 63)


TOKENS_AT_ONCE = 4096
"""Of a micro-batch, where the configuration does not say how many windows it has."""


class RunConfig(_Table):
    """Everything that defines a run: on one machine it gives the same losses each time, bit for bit."""

    description: str = ""
    preset: str = ""
    model: JambaConfig = JambaConfig()
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    regularization: RegularizationConfig = RegularizationConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    budget: BudgetConfig = BudgetConfig()
    spike: SpikeConfig = SpikeConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    sampling: SamplingConfig = SamplingConfig()
    run: RunTable = RunTable()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.data.tokenizer == "byte" and self.model.vocab_size != 256:
            raise ValueError(f"model.vocab_size is {self.model.vocab_size}; the byte tokenizer has 256 ids")
        if self.data.tokenizer == "bpe" and self.model.vocab_size < 257:
            raise ValueError(
                f"model.vocab_size is {self.model.vocab_size}; BPE over bytes needs at least 257"
            )
        name = self.data.tokenizer
        if name not in ("byte", "bpe") and "/" not in name and not name.endswith(".json"):
            raise ValueError(f"data.tokenizer is {name!r}; give byte, bpe, or the path of a tokenizer.json")
        if self.schedule.warmup >= self.budget.steps and self.schedule.shape != "constant":
            raise ValueError(
                f"schedule.warmup is {self.schedule.warmup}, not below budget.steps {self.budget.steps}"
            )
        return self

    @property
    def windows_at_once(self) -> int:
        """Windows of a micro-batch. Part of what makes losses reproducible: rounding depends on it."""
        return self.windows_within(TOKENS_AT_ONCE)

    def windows_within(self, tokens: int) -> int:
        """Windows of a micro-batch: as many as make so many tokens, if the configuration does not say."""
        wanted = self.budget.micro_batch or max(1, tokens // self.data.window)
        return min(wanted, self.budget.batch)

    @classmethod
    def load(cls, model: str, overrides: Iterable[str] = ()) -> Self:
        """A preset's name or a TOML file, with `table.key=value` overrides. Raises ConfigError."""
        files = model_files()
        path = Path(model)
        if model not in files and path.suffix != ".toml":
            raise ConfigError(
                f"there is no model {model}; choose one of {', '.join(sorted(files))}, or a .toml file."
            )
        source = files.get(model, path)
        try:
            tables = tomllib.loads(source.read_text("utf-8"))
        except OSError as error:
            raise ConfigError(f"{source} cannot be read ({error.strerror}).") from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{source} is no valid TOML ({error}).") from None
        tables["preset"] = source.stem
        return cls.overridden(tables, overrides, str(source))

    @classmethod
    def overridden(cls, tables: dict[str, Any], overrides: Iterable[str], source: str) -> Self:
        """Tables with `table.key=value` overrides, which change them. Raises ConfigError."""
        for override in overrides:
            _override(tables, override)
        return cls.check(tables, source)

    @classmethod
    def check(cls, tables: dict[str, Any], source: str) -> Self:
        """Tables as a configuration. Raises ConfigError naming the first wrong key and its source."""
        try:
            return cls.model_validate(tables)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                raise ConfigError(f"{source}: there is no key {key}; see `nexus-tui train --help`.") from None
            reason = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"{source}: {key + ': ' if key else ''}{reason}.") from None

    def to_toml(self) -> str:
        """The text of run.toml: every key with its value."""
        return to_toml(self.model_dump())


def _override(tables: dict[str, Any], override: str) -> None:
    """Apply `table.key=value`; the value is TOML, or else a plain string."""
    key, equals, text = override.partition("=")
    table, dot, name = key.strip().partition(".")
    if not equals or not dot:
        raise ConfigError(f"--set {override}: write table.key=value, as in optimizer.lr=1e-3.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    content = tables.setdefault(table, {})
    if not isinstance(content, dict):
        raise ConfigError(f"--set {override}: {table} is no table.")
    content[name] = value

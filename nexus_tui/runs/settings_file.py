"""run.toml as anybody may have written it: plain values, or the reason why there are none."""

import math
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any

from nexus_tui.runs.schedule import SHAPES
from nexus_tui.untrusted_files import read_file

LARGEST = 1 << 20
"""Bytes of a run.toml."""
MOST = 10**9
"""Of whatever is counted: steps, tokens of a window, channels."""
_DEEPEST = 8
_COUNTED = {
    "budget.steps", "budget.batch", "data.window", "evaluation.every", "checkpoint.every", "schedule.warmup",
    "model.num_hidden_layers", "model.attn_layer_period", "model.attn_layer_offset", "model.hidden_size",
    "model.num_attention_heads", "model.num_key_value_heads", "model.vocab_size",
}  # fmt: skip
"""Settings that are reckoned with."""


def read_settings(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a run.toml and an empty text; or no tables, and why it cannot be read.

    A missing file has no tables and no reason. Dates, times and what is no finite number become text.
    """
    try:
        found = tomllib.loads(read_file(path, LARGEST).decode())
        return {key: _plain(value) for key, value in found.items()}, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        reason = error.strerror or str(error)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # no TOML, no UTF-8
        reason = str(error)
    return {}, f"{path.name} cannot be used ({reason[:200]}); no setting of this run is known"


def usable(key: str, value: Any) -> bool:
    """Whether a setting's value can be reckoned with as what its key says it is."""
    if key in _COUNTED:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
    if key == "optimizer.lr":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return key != "schedule.shape" or value in SHAPES


def _plain(value: Any, depth: int = 0) -> Any:
    """A value that JSON can say, too. Raises ValueError for what no configuration has."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        return {key: _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, int) and value.bit_length() > 63:
        raise ValueError("a whole number has more than 64 bits")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

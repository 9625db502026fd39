"""Put the reference log, a progress report in Markdown written by hand, on record as two runs.

    python tools/record_reference.py LOG.md

writes assets/runs/shakespeare-byte and assets/runs/shakespeare-bpe. The journals hold what the log says and
nothing else; what had to be derived is declared by notes in them.
"""

import math
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from nexus_tui.runs import journal as j

RUNS = Path(__file__).parent.parent / "assets" / "runs"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RESUMED = 1400
PROMPTS = ("To be, or not to be", "What's in a name?", "To be", "The king", "What light")

WEIGHTS_NOTE = (
    "recorded from a progress log: it names the checkpoints, but their weights, the losses of single windows "
    "and most steps are not on record here"
)
BYTE_NOTES = (
    "derived: the log gives no dates and 5227.2 s in all; the times here spread them evenly over 2,000 "
    "steps, from the beginning of 1970",
    "rounded by the log: 6.74M parameters; batch 16 is 4 with 4 accumulated",
    "the log counts 304,800 tokens and 58 tok/s; 2,000 steps of 16 windows of 128 are 4,096,000 tokens. "
    "304,800 is 600 × 4 × 127: the steps since the resume at 1400, one micro-batch of 4 each, 127 targets a "
    "window; so its 5227.2 s may be those 600 steps' alone",
    "the log does not say when its predictions were made; they are put at step 1200, the last evaluation "
    "before the first step they are about",
    "the log has final.bin too: the same as step 2000",
)
BPE_NOTES = (
    "derived: the log gives no times for this run; those here only keep the order",
    "rounded by the log: 7.12M parameters; 1.1M characters are 480K tokens, 2.32 characters each",
    "the log lists what changed since the byte-level run; the rest of run.toml is that run's, but for the "
    "warm-up: 100 steps then, while here the rate still rises at step 140",
)

BYTE_TOML = """description = "the reference log's byte-level run: 6.74M parameters, resumed at step 1400"
kind = "recorded"

[model]
vocab_size = 256
hidden_size = 256
num_hidden_layers = 6
num_attention_heads = 8
num_key_value_heads = 2
attn_layer_period = 6

[data]
corpus = "Shakespeare"
tokenizer = "byte"
window = 128

[optimizer]
lr = 3e-4
weight_decay = 0.1

[schedule]
warmup = 100
shape = "cosine"

[budget]
steps = 2000
batch = 16
"""
BPE_TOML = (
    BYTE_TOML.replace(
        "byte-level run: 6.74M parameters, resumed at step 1400", "BPE run: 7.12M parameters, in progress"
    )
    .replace("vocab_size = 256", "vocab_size = 1000")
    .replace('"byte"', '"bpe"')
    .replace("warmup = 100\n", "")
    .replace("steps = 2000", "steps = 3000")
)


def table(text: str, first: str) -> Iterator[list[str]]:
    """The cells of the Markdown table whose header row begins with these words."""
    found = False
    for line in text.splitlines():
        if line.startswith("|"):
            if found and not line.startswith("|--"):
                yield [cell.strip(" *⭐") for cell in line.strip().strip("|").split("|")]
            found = found or line.startswith(first)
        elif found:
            return


def loss(printed: str, perplexity: str) -> tuple[float, bool]:
    """The loss nearest to the printed one that prints as both cells say, and whether it has more digits."""
    stated, digits = float(printed.strip("~")), len(printed.partition(".")[2])
    places = len(perplexity.partition(".")[2])
    wanted = float(perplexity.strip("~"))
    half, half_wanted = 0.5 * 10**-digits, 0.5 * 10**-places
    low = max(stated - half, math.log(wanted - half_wanted))
    high = min(stated + half, math.log(wanted + half_wanted))
    for more in range(digits, digits + 5):
        nearest = math.ceil(low * 10**more) if stated < low else math.floor(high * 10**more)
        for value in (stated, round(nearest / 10**more, more)):
            if low < value < high:
                return value, value != stated
    raise ValueError(f"loss {printed} and perplexity {perplexity} do not agree")


def sampled(quoted: str, step: int, time: datetime) -> j.SampledEvent:
    """A sample of the log, cut after the prompt."""
    prompt = next(prompt for prompt in PROMPTS if quoted.startswith(prompt))
    return j.SampledEvent(time=time, step=step, prompt=prompt, text=quoted.removeprefix(prompt))


def exact(what: str, printed: str, perplexity: str, value: float) -> str:
    """The note that says that a loss was read from two cells."""
    return f"derived: {what} loss {value}, printed in the log as {printed} and as perplexity {perplexity}"


def byte_level(text: str) -> Iterator[j.Event]:
    """The events of the byte-level run."""
    text = text[text.index("## Byte-Level") :]
    summary = dict(row for row in table(text, "| Metric") if len(row) == 2)
    pace = timedelta(seconds=float(summary["Total Time"].split("s")[0]) / int(summary["Total Steps"]))
    yield j.StartedEvent(time=EPOCH, kind="recorded", parameters=6_740_000)
    for note in (WEIGHTS_NOTE, *BYTE_NOTES):
        yield j.NotedEvent(time=EPOCH, step=0, text=note)
    remarks = samples(text)
    predictions = list(table(text, "| Step | Predicted"))
    for cells in table(text, "| Step | Train Loss | Train PPL | Val Loss"):
        step, time = int(cells[0]), EPOCH + pace * int(cells[0])
        value, refined = loss(cells[1], cells[2])
        yield j.StepEvent(time=time, step=step, loss=value, lr=float(cells[5]))
        if cells[1].startswith("~"):
            note = f"approximate in the log: training loss {cells[1]}, perplexity {cells[2]}"
            yield j.NotedEvent(time=time, step=step, text=note)
        if refined:
            note = exact("training", cells[1], cells[2], value)
            yield j.NotedEvent(time=time, step=step, text=note)
        name = f"step_{step}.bin"
        yield j.SavedEvent(time=time, step=step, checkpoint=name)
        if cells[3] != "-":
            value, refined = loss(cells[3], cells[4])
            yield j.EvaluatedEvent(time=time, step=step, checkpoint=name, loss=value)
            if refined:
                note = exact("validation", cells[3], cells[4], value)
                yield j.NotedEvent(time=time, step=step, text=note)
        for quoted, remark in remarks.get(step, []):
            if quoted:
                yield sampled(quoted, step, time)
            if remark:
                yield j.NotedEvent(time=time, step=step, text=f"samples: {remark}")
        if step == 1200:
            for row in predictions:
                yield j.PredictedEvent(
                    time=time, step=step, target=int(row[0]), value=float(row[1].strip("~")),
                    method="the log's author",
                )  # fmt: skip
        if step == RESUMED:
            yield j.ResumedEvent(time=time, step=step, checkpoint=name)
    yield j.ClaimedEvent(time=time, name="best.bin", step=2000, path="checkpoints/nexus_production/best.bin")
    yield j.EndedEvent(time=time, step=step, reason="finished")


def samples(text: str) -> dict[int, list[tuple[str, str]]]:
    """By step: each quoted sample, and the remark after the last of them. `Final` is step 2000."""
    found: dict[int, list[tuple[str, str]]] = {}
    for line in text.splitlines():
        if match := re.match(r"- (?:Step (\d+)|\*\*(Final)\*\*): (\".*\") \((.*)\)$", line):
            step = int(match[1] or 2000)
            found.setdefault(step, [])
            found[step] += [(quoted, "") for quoted in re.findall(r'"([^"]*)"', match[3])]
            found[step].append(("", match[4]))
    return found


def bpe(text: str) -> Iterator[j.Event]:
    """The events of the BPE run."""
    text = text[: text.index("## Byte-Level")]
    yield j.StartedEvent(time=EPOCH, kind="recorded", parameters=7_120_000)
    for note in (WEIGHTS_NOTE, *BPE_NOTES):
        yield j.NotedEvent(time=EPOCH, step=0, text=note)
    rows = list(table(text, "| Step | Train Loss | Train PPL | LR"))
    more = []
    for cells in rows:
        step = int(cells[0])
        value, refined = loss(cells[1], cells[2])
        more += [step] if refined else []
        yield j.StepEvent(time=EPOCH, step=step, loss=value, lr=float(cells[3]))
        if validation := re.match(r"Val: ([\d.]+), PPL (\d+)", cells[4]):
            value, _ = loss(validation[1], validation[2])
            yield j.EvaluatedEvent(time=EPOCH, step=step, checkpoint=f"step_{step}", loss=value)
            yield j.NotedEvent(
                time=EPOCH, step=step, text=exact("validation", validation[1], validation[2], value)
            )
        else:
            yield j.NotedEvent(time=EPOCH, step=step, text=cells[4])
        if step == 100:
            for quoted in re.findall(r'- `"([^"]*)"`', text):
                yield sampled(quoted, step, EPOCH)
    yield j.NotedEvent(
        time=EPOCH,
        step=step,
        text=f"derived: the training losses of steps {', '.join(map(str, more))} have the digits that loss "
        "and perplexity in the log determine together; they print as both",
    )
    yield j.EndedEvent(
        time=EPOCH, step=step, reason="stopped", message="the log ends here, the run in progress"
    )


def main() -> None:
    """Write both runs anew."""
    text = Path(sys.argv[1]).read_text("utf-8")
    encode = msgspec.json.Encoder().encode
    for name, toml, events in (
        ("shakespeare-byte", BYTE_TOML, byte_level(text)),
        ("shakespeare-bpe", BPE_TOML, bpe(text)),
    ):
        folder = RUNS / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.toml").write_text(toml, "utf-8")
        (folder / "journal.jsonl").write_bytes(b"".join(encode(event) + b"\n" for event in events))


if __name__ == "__main__":
    main()

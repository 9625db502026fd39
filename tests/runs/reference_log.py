"""The figures of the reference log's tables, as printed there, for the tests that hold the report to them."""

BPE_PROGRESS = """
Step | Train Loss | Train PPL | LR      | Notes
20   | 7.0265     | 1126.09   | 4.00e-5 | Starting
40   | 6.8018     | 899.43    | 8.00e-5 | Warming up
60   | 6.5416     | 693.40    | 1.20e-4 | Good progress
80   | 5.9054     | 367.01    | 1.60e-4 | Big drop!
100  | 5.8856     | 359.82    | 2.00e-4 | First samples
120  | 5.8364     | 342.55    | 2.40e-4 | Improving
140  | 5.6039     | 271.49    | 2.80e-4 | Fast progress
160  | 5.6409     | 281.72    | 3.00e-4 | Peak LR
180  | 5.6555     | 285.85    | 3.00e-4 | Stable
200  | 5.7732     | 321.56    | 3.00e-4 | 6.08, 438, ⭐
"""
"""Notes of step 200: `Val: 6.08, PPL 438 ⭐`."""

BYTE_CHECKPOINTS = """
Step | Train Loss | Train PPL | Val Loss | Val PPL | LR      | Best?
200  | ~2.80      | ~16.4     | -        | -       | 2.99e-4 | -
400  | ~2.65      | ~14.2     | -        | -       | 2.83e-4 | -
600  | 2.4485     | 11.57     | 2.8293   | 16.93   | 2.52e-4 | ⭐
800  | 2.4020     | 11.05     | 2.7930   | 16.33   | 2.10e-4 | ⭐
1000 | 2.4396     | 11.47     | 2.7724   | 16.00   | 1.62e-4 | ⭐
1200 | 2.3791     | 10.80     | 2.7097   | 15.03   | 1.13e-4 | ⭐
1400 | 2.3606     | 10.60     | 2.6312   | 13.89   | 6.80e-5 | ⭐
1600 | 2.3230     | 10.21     | 2.6600   | 14.30   | 3.16e-5 | -
1800 | 2.2944     | 9.92      | 2.6523   | 14.19   | 8.13e-6 | -
2000 | 2.3617     | 10.61     | 2.6472   | 14.11   | 0.00e0  | -
"""

PREDICTIONS = """
Step | Predicted Loss | Predicted PPL | Actual Loss | Actual PPL | Loss mark | PPL mark
1400 | ~2.69          | ~14.7         | 2.6312      | 13.89      | ✓         | ✓
1600 | ~2.60          | ~13.5         | 2.6600      | 14.30      | ✗         | ✗
1800 | ~2.58          | ~13.2         | 2.6523      | 14.19      | ✗         | ✗
2000 | ~2.56          | ~13.0         | 2.6472      | 14.11      | ✗         | ✗
"""

SUMMARY = """
Metric              | Value
Total Steps         | 2000
Total Time          | 5227.2s (~87 min)
Tokens Processed    | 304,800
Training Throughput | 58 tok/s
Best Train Loss     | 2.2944 (step 1800)
Best Val Loss       | 2.6312 (step 1400)
Best Val PPL        | 13.89 (step 1400)
Final Val Loss      | 2.6472 (step 2000)
Final Val PPL       | 14.11 (step 2000)
"""

BYTE_LISTS = {
    "Parameters": "6.74M",
    "d_model": "256",
    "Attention heads": "8 (KV heads: 2)",
    "Layers": "6 (1 attention, 5 SSM)",
    "seq_len": "128",
    "Vocabulary": "256 (byte)",
}
BPE_LISTS = {"Parameters": "7.12M", "Vocabulary": "1000 (bpe)"}
CONFIGURATION = {
    "optimizer.lr": "0.0003",
    "optimizer.weight_decay": "0.1",
    "budget.batch": "16",
    "schedule.warmup": "100",
    "schedule.shape": "cosine",
    "budget.steps": "2000",
}

PROGRESSION = {
    "Train loss": "2.4485 → 2.4020 → 2.4396 → 2.3791 → 2.3606 → 2.3230 → 2.2944 → 2.3617",
    "Val loss": "2.8293 → 2.7930 → 2.7724 → 2.7097 → 2.6312 → 2.6600 → 2.6523 → 2.6472",
    "Train PPL": "11.57 → 11.05 → 11.47 → 10.80 → 10.60 → 10.21 → 9.92 → 10.61",
    "Val PPL": "16.93 → 16.33 → 16.00 → 15.03 → 13.89 → 14.30 → 14.19 → 14.11",
    "Gap": "0.29",
}

BYTE_SAMPLES = {
    600: ["To beUouri tiem"],
    800: ["To be ai wondouotsthes"],
    1000: ["To bere whisthid"],
    1200: ["To berar hatht", "The kingeve is, oryouthincow"],
    1400: ["To beyhieny t tharre biscourle", "The kingourean itht watoopof"],
    1600: ["To behan ovll hashar", "The king: opis sedicthy,"],
    1800: ["To beres,", "The kinghen arpor. thimideyous,"],
    2000: [
        "To behed loust it modseathiny.",
        "The kinghise towan'tercrut.",
        "To be, or not to besunghuthit,",
        "What's in a name?",
    ],
}
BPE_SAMPLES = {100: ["To be:", "The kingb,", "What lightto ethtmhiu"]}

NOT_REPRODUCIBLE = {
    (
        "summary",
        "Tokens Processed",
        "Value",
    ): "counts the 600 steps since the resume, one micro-batch of 4 of "
    "the 4 accumulated, and 127 of 128 tokens of a window: 600 × 4 × 127; 2,000 × 16 × 128 are 4,096,000",
    ("summary", "Training Throughput", "Value"): "304,800 tokens over 5227.2 s; follows from that count",
    ("predictions", "2000", "Predicted PPL"): "exp(2.56) is 12.94, which rounds to 12.9 and not to 13.0",
} | {
    ("predictions", step, mark): "there are no intervals, and the marks follow no stated rule: an error of "
    "0.0588 has ✓, one of 0.0600 ✗"
    for step in ("1400", "1600", "1800", "2000")
    for mark in ("Loss mark", "PPL mark")
}
"""Cells that the report does not repeat, by table, row and column, and why: here the log itself errs or is
silent. Besides, not in cells: the axis of its drawn chart is out of order (2.66 stands below 2.63); its rates
at steps 200 and 400 are not those of its schedule (2.98e-4 and 2.82e-4); it says that training loss went on
falling to 2000, where it rose; and that it predicted no improvement beyond 1400, where it predicted three."""


def rows(table: str) -> list[dict[str, str]]:
    """A table above as one dict a row."""
    head, *lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]

"""Which way a metric is good, as far as its name tells."""

import re

_LOWER = re.compile(
    r"loss|error|perplexity|distance|(^|[\W_])(err|ppl|nll|wer|cer|ter|mer|per|mae|mse|rmse|mape|rmsle|fid|bpb|bpc|bits)"
    r"([\W_]|$)",
    re.IGNORECASE,
)


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better; empty stands for the loss. Unknown names are taken for scores."""
    return bool(metric) and not _LOWER.search(metric)

"""The validation trend as a chart in plain text, for a file: no colours, no control codes."""

import threading

import numpy as np

from nexus_tui.runs.fits import Floats, Ints

WIDTH, HEIGHT = 76, 17
_LARGEST = 1e100
"""Losses beyond it have no place on an axis: their distances are infinite."""
_plotext = threading.Lock()  # it draws on one figure per process


def trend_chart(steps: Ints, losses: Floats, best: int | None) -> str:
    """Validation loss over steps, [points] each: `●`, and `★` at the best step. Empty below two points."""
    if len(steps) < 2 or float(np.abs(losses).max()) > _LARGEST:
        return ""
    import plotext as plt  # slow to import, and needed here alone

    with _plotext:
        plt.clear_figure()
        plt.theme("clear")
        plt.plot_size(WIDTH, HEIGHT)
        at, values = steps.tolist(), losses.tolist()
        plt.plot(at, values, marker="·")
        plt.scatter(at, values, marker="●")
        if best in at:
            plt.scatter([best], [values[at.index(best)]], marker="★")
        shown = at if len(at) <= 10 else at[:: -(-len(at) // 10)]
        plt.xticks(shown, [str(step) for step in shown])
        plt.xlabel("step")
        plt.ylabel("validation loss, nats per token")
        text = plt.uncolorize(plt.build())
        plt.clear_figure()
    return "\n".join(line.rstrip() for line in str(text).splitlines())

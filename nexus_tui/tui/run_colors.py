"""Which colour and sign each of several runs has: a run keeps its own for as long as it is marked.

A *place* is a number from 0 on that stands for both, whatever the theme: `theme.series(palette, place)`. The
view keeps the places, so that a run looks tomorrow as it does today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def places(runs: Iterable[str], kept: Mapping[str, int]) -> dict[str, int]:
    """The place of each run, by its name in the view, in the order given.

    Those with a place in `kept` stay there; each of the others gets the lowest one that is free. What `kept`
    cannot mean, as in a file that somebody edited (below zero, or the same place twice), is given anew.
    """
    names = list(dict.fromkeys(runs))
    found: dict[str, int] = {}
    for name in names:
        place = kept.get(name, -1)
        if place >= 0 and place not in found.values():
            found[name] = place
    taken = set(found.values())
    for name in names:
        if name not in found:
            found[name] = next(place for place in range(len(names)) if place not in taken)
            taken.add(found[name])
    return {name: found[name] for name in names}

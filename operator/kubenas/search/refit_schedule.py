"""When a model is fitted anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

# One more fit for so many more results, relative to how many there are.
REFITS: Final = 20


def fitted_at(results: int) -> int:
    """Of so many results, how many the last fit saw: steps are powers of two near a twentieth."""
    return results - results % _step(results)


def fits_between(known: int, results: int) -> Iterator[int]:
    """The numbers of results above `known`, itself one or 0, up to `results` that fits see."""
    while (known := known + _step(known)) <= results:
        yield known


def _step(results: int) -> int:
    step = 1
    while step * 2 * REFITS <= results:
        step *= 2
    return step

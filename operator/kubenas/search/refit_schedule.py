"""When a model is fitted anew."""

from __future__ import annotations

from typing import Final

# One more fit for so many more results, relative to how many there are.
REFITS: Final = 20


def fitted_at(results: int) -> int:
    """Of so many results, how many the last fit saw: steps are powers of two near a twentieth."""
    step = 1
    while step * 2 * REFITS <= results:
        step *= 2
    return results - results % step

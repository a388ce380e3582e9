"""All assignments of values to a sequence of decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubenas.space.architecture import Architecture, Value
from kubenas.space.decisions import Decision


def enumerate_assignments(decisions: Iterable[Decision]) -> Iterator[Architecture]:
    """All assignments of values to the decisions that are switched on, the last decision changing fastest."""
    ordered, decided = tuple(decisions), dict[str, Value]()
    # The decisions that are taken, each as its index and the index of its value.
    path: list[tuple[int, int]] = []
    first_open = 0
    while True:
        for index in range(first_open, len(ordered)):
            if ordered[index].is_active(decided):
                decided[ordered[index].name] = ordered[index].domain.at(0)
                path.append((index, 0))
        yield Architecture(decided)
        while path:
            index, value_index = path.pop()
            decision = ordered[index]
            del decided[decision.name]
            if value_index + 1 < (decision.domain.size() or 1):
                decided[decision.name] = decision.domain.at(value_index + 1)
                path.append((index, value_index + 1))
                first_open = index + 1
                break
        else:
            return

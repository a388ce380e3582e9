"""All that is wrong with a data set, so that its owner need not mend one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kubenas_trial.errors import Alike, InvalidDatasetError

T = TypeVar("T")
R = TypeVar("R")
# Problems of one kind that are kept as examples; others are counted.
_SHOWN = 3


class Problems:
    """What is found while reading goes on after the first problem.

    A reader adds what is wrong with one file or line, leaves this out, and refuses all at the end, before what is left
    could give problems that only follow from these.
    """

    def __init__(self) -> None:
        self._alike: dict[str, Alike] = {}

    def add(self, error: InvalidDatasetError) -> None:
        """Keep what `error` tells."""
        for each in error.problems:
            known = self._alike.get(each.kind, Alike(each.kind, 0, ()))
            shown = (*known.shown, *each.shown)[:_SHOWN]
            self._alike[each.kind] = Alike(each.kind, known.count + each.count, shown)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Add what is raised within a `with`, and go on behind it."""
        try:
            yield
        except InvalidDatasetError as error:
            self.add(error)

    def refuse(self) -> None:
        """Nothing where all is well.

        Raises:
            InvalidDatasetError: all that was found; its message is the first problem, and how many more there are.
        """
        if self._alike:
            raise InvalidDatasetError.of(tuple(self._alike.values()))


def each_read(read: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """What `read` gives for each of `items`.

    Raises:
        InvalidDatasetError: the problems of all for which it raises one.
    """
    problems = Problems()
    found: list[R] = []
    for item in items:
        with problems.noted():
            found.append(read(item))
    problems.refuse()
    return found

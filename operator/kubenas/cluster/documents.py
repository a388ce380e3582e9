"""Reads single objects as the apiserver gives them: no more of one than a turn of the event loop should take."""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import NASExperiment
from kubenas.cluster.client import Object

# Keys and items. The apiserver takes objects of 1.5 MB, which may have 700,000 of them; pydantic reads and writes an
# object in one go, a text or a number in about 0.2 microseconds, a list or an object in about 0.8, and no other thread
# has its turn meanwhile.
MOST_VALUES: Final = 100_000
_OF_A_CONTAINER = 4
# The very types, as JSON is read: asking whether one is an instance takes three times as long.
_CONTAINERS: Final = frozenset({dict, list})


def experiment_of(document: Object, known: NASExperiment | None) -> NASExperiment:
    """A NASExperiment.

    Args:
        document: as the apiserver gave it.
        known: an earlier version of it.

    Raises:
        SpecError: it has more values than are read.
        ValidationError: it is not as the models say.
    """
    if known is not None and known.metadata.generation == document["metadata"].get("generation"):
        # Only its status can have changed; a large specification takes long to read.
        document = {**document, "spec": known.spec}
    else:
        check_size(document, "spec")
    return NASExperiment.model_validate(document)


def problems_in(error: Exception) -> list[SpecError]:
    """What to tell of an experiment that could not be read."""
    if isinstance(error, ValidationError):
        return problems_of(error)
    if isinstance(error, SpecError):
        return list(error.problems)
    return [SpecError("spec", f"cannot be read: {type(error).__name__}: {str(error)[:500]}")]


def check_size(document: Object, *fields: str) -> None:
    """Refuse an object with too many values to be read.

    Args:
        document: the object.
        fields: what is read of it.

    Raises:
        SpecError: for the first field that has too many.
    """
    for field in fields:
        if not _within(document.get(field)):
            how = f"of which lists and objects count as {_OF_A_CONTAINER} each"
            raise SpecError(field, f"has more than {MOST_VALUES:,} keys and items, {how}: make it smaller")


def _within(value: Any) -> bool:
    """Whether a value of JSON has few enough keys and items; takes no longer for more."""
    left, count = [value] if type(value) in _CONTAINERS else [], 0
    while left:
        one = left.pop()
        count += len(one) + _OF_A_CONTAINER - 1
        if count > MOST_VALUES:
            return False
        left += [each for each in (one.values() if type(one) is dict else one) if type(each) in _CONTAINERS]
    return True

"""Objects that could not be read: left out one by one, so that no tenant's object stops what others share."""

from __future__ import annotations

import logging
from typing import Final, Literal, TypeAlias

from kubenas.cluster.client import Object
from kubenas.cluster.operator_metrics import UNREADABLE

Kind: TypeAlias = Literal["NASExperiment", "NASTrial", "Pod"]

# Objects of one experiment that are remembered; further ones are counted and logged all the same.
_REMEMBERED: Final = 100
_LOG = logging.getLogger(__name__)


def unreadable(kind: Kind, document: Object, error: Exception) -> str:
    """What to tell people of an object that cannot be read."""
    # A message may quote the object; an object may be large.
    return f"{kind} {document['metadata']['name']} cannot be read: {type(error).__name__}: {str(error)[:500]}"


class Unreadable:
    """The objects of an experiment that cannot be read, each with what is wrong with it."""

    def __init__(self) -> None:
        self._messages: dict[tuple[Kind, str], str] = {}

    def put(self, kind: Kind, document: Object, error: Exception) -> str:
        """Note an object, log it and count it; what to tell people of it."""
        metadata = document["metadata"]
        message = unreadable(kind, document, error)
        UNREADABLE.labels(kind).inc()
        _LOG.warning("%s/%s", metadata["namespace"], message)
        if len(self._messages) < _REMEMBERED:
            self._messages[kind, metadata["name"]] = message
        return message

    def drop(self, kind: Kind, name: str) -> None:
        """Forget an object that is gone, or can be read now."""
        self._messages.pop((kind, name), None)

    def messages(self) -> list[str]:
        """What is wrong, by kind and name."""
        return [self._messages[key] for key in sorted(self._messages)]

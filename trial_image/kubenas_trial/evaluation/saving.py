"""When a training writes its checkpoints, and what becomes of it while none can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Generic, TypeVar

from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.storage.place import StorageError

P = TypeVar("P")
_LOG = logging.getLogger("kubenas_trial")


class Saving(Generic[P]):
    """Checkpoints of one training, each at another position `P`.

    A training waits while its storage cannot be reached, as what it learned meanwhile could be lost with the pod. Where
    that takes too long, or the storage is full or refuses, it goes on, and tries again at the next checkpoint; without
    its last one it has failed.
    """

    def __init__(
        self,
        store: CheckpointStore | None,
        write: Callable[[Path], None],
        uninterrupted: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Write to `store`, where there is one, by `write`."""
        self._store, self._write, self._uninterrupted = store, write, uninterrupted
        self._last: P | None = None

    def has(self, position: P) -> None:
        """Say that the state at `position` needs no checkpoint: it is the beginning, or comes from one."""
        self._last = position

    def within(self, position: P) -> None:
        """Write the state at `position`, within an epoch, if it is time."""
        if self._store is not None and self._store.due:
            self.now(position)

    def now(self, position: P, *, last: bool = False) -> None:
        """Write the state at `position`, unless that was done.

        Raises:
            StorageError: that could not be done, and it is the `last` one.
        """
        if self._store is None or self._last == position:
            return
        with self._uninterrupted():
            try:
                self._store.save(self._write)
            except StorageError as error:
                if last:
                    raise
                _LOG.error("no checkpoint was written, the training goes on: %s", error)
            else:
                self._last = position

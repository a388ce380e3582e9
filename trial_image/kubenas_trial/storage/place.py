"""What every kind of storage for checkpoints can do, and what can go wrong with it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal, Protocol

from kubenas_trial.errors import TrialError

# Errors of a disk that has no room left for this user.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

StorageReason = Literal["StorageFull", "StorageRefused", "StorageUnavailable"]


class StorageError(TrialError):
    """A checkpoint can be neither written nor read: the storage is full, refuses, or cannot be reached."""

    def __init__(self, reason: StorageReason, message: str) -> None:
        super().__init__(reason, message)


class Place(Protocol):
    """Where files lie beside each other. None is ever changed once it is there.

    Raises:
        StorageError: any call of it may.
    """

    def names(self) -> list[str]:
        """The names of all files."""

    def write(self, fill: Callable[[Path], None], name: Callable[[Path], str]) -> str:
        """Have `fill` write a file, which is there whole and durable under its `name` once this returns, or not at all.

        Returns:
            The name.
        """

    def reading(self, name: str) -> AbstractContextManager[Path]:
        """A file of this machine with the contents of the file `name`.

        Raises:
            FileNotFoundError: there is none.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def folders(self) -> list[str]:
        """The names of all folders beside the files."""

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, if it is there."""


def full(where: str, error: OSError) -> StorageError | None:
    """What to say where `error` is for want of room."""
    if error.errno not in _FULL:
        return None
    return StorageError("StorageFull", f"{where} has no room left ({error.strerror}): free some, or give it more")

"""The checkpoints of one training: the last two that were written, each a file that is whole or is not used."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.storage.activity import ACTIVITY
from kubenas_trial.storage.bucket import Bucket
from kubenas_trial.storage.folder import Folder
from kubenas_trial.storage.place import Place, StorageError

T = TypeVar("T")
_LOG = logging.getLogger("kubenas_trial")
_KEPT: Final = 2
# Before it is given up that what was listed is removed each time before it can be read.
_LISTINGS: Final = 5


class CheckpointStore:
    """Those with the name `at`, such as `/checkpoints/digits-3/0.safetensors` or `s3://bucket/digits-3/0.safetensors`.

    Each is a file of its own beside `at`, whose name has its number and its SHA-256: `0.00000012-9f86….safetensors`.
    So none is ever changed, and one that is damaged, or of which a part was written, is told by its name. A file called
    `at` itself is read, where there is one.

    Raises:
        StorageError: any call may: the storage is full, refuses, or cannot be reached.
    """

    def __init__(self, at: str | Path, every: float | None = None) -> None:
        """Be `due` where no checkpoint was tried to be written for `every` seconds."""
        self.at, self._every = str(at), every
        ACTIVITY.used = True
        self._tried = time.monotonic()
        where, _, self._name = self.at.rpartition("/")
        self._place = place_at(where if "://" in where else str(Path(at).parent))
        self._stem, dot, suffix = self._name.partition(".")
        self._suffix = dot + suffix
        self._pattern = re.compile(rf"{re.escape(self._stem)}\.(\d{{8,}})-([0-9a-f]{{64}}){re.escape(self._suffix)}")

    def beside(self, name: str) -> CheckpointStore:
        """Others of the same training, by a further `name`."""
        return CheckpointStore(f"{self.at.removesuffix(self._name)}{self._stem}-{name}{self._suffix}", self._every)

    @property
    def due(self) -> bool:
        """Whether it is time for another one, also where an epoch is not at its end."""
        return self._every is not None and time.monotonic() - self._tried >= self._every

    def save(self, fill: Callable[[Path], None]) -> None:
        """Keep what `fill` writes to the file that it is given: durable once this returns, whole or not at all."""
        try:
            number = max(self._versions(), default=(0, ""))[0] + 1
            written = self._place.write(fill, lambda file: f"{self._stem}.{number:08}-{_sha256(file)}{self._suffix}")
            ACTIVITY.count("written")
        except StorageError:
            ACTIVITY.count("failed")
            raise
        finally:
            self._tried = time.monotonic()
        for _, name in sorted(self._versions())[:-_KEPT]:
            if name != written:
                self._remove(name)

    def load(self, read: Callable[[Path], T]) -> T | None:
        """What `read` makes of the newest checkpoint that is whole; None where there is none.

        Raises:
            InvalidTrialError: there are some, all of them damaged.
        """
        for _ in range(_LISTINGS):
            damaged, vanished = list[str](), False
            for name in self._candidates():
                try:
                    with self._place.reading(name) as file:
                        checked = self._pattern.fullmatch(name)
                        if checked is None or _sha256(file) == checked[2]:
                            found = read(file)
                            ACTIVITY.count("read")
                            return found
                except FileNotFoundError:
                    # Whoever trains on has removed it since it was listed.
                    vanished = True
                else:
                    _LOG.warning("checkpoint %s is damaged: its SHA-256 is not that of its name", self._path(name))
                    damaged.append(name)
            if not vanished:
                break
        if damaged:
            raise InvalidTrialError(f"checkpoint {self._path(damaged[0])} is damaged: delete it to start over")
        return None

    def _candidates(self) -> list[str]:
        """The names of what can be read, the newest first."""
        names = self._place.names()
        return [self._name] if self._name in names else [name for _, name in sorted(self._versions(names))[::-1]]

    def _versions(self, names: list[str] | None = None) -> list[tuple[int, str]]:
        """The number and the name of each that was written."""
        found = (self._pattern.fullmatch(name) for name in (self._place.names() if names is None else names))
        return [(int(one[1]), one[0]) for one in found if one]

    def _remove(self, name: str) -> None:
        try:
            self._place.remove(name)
        except StorageError as error:
            # The next write tries again.
            _LOG.warning("checkpoint %s could not be removed: %s", self._path(name), error)

    def _path(self, name: str) -> str:
        return self.at.removesuffix(self._name) + name


def place_at(where: str) -> Place:
    """The place that a path or a URL names."""
    return Bucket(where) if "://" in where else Folder(Path(where))


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()

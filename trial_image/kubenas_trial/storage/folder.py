"""A folder of a mounted volume, or of this machine."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kubenas_trial.storage.place import StorageError, full

# Of files that are being written; one that a killed process has left is removed by the next write.
_UNFINISHED: Final = ".unfinished-"


class Folder:
    """See `Place`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """The names of all files."""
        try:
            return [entry.name for entry in os.scandir(self._path)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._told(error) from error

    def write(self, fill: Callable[[Path], None], name: Callable[[Path], str]) -> str:
        """Have `fill` write a file, and give it its name once it is on the disk."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            for left in self._path.glob(f"{_UNFINISHED}*"):
                left.unlink(missing_ok=True)
            file, made = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._path)
            os.close(file)
            unfinished = Path(made)
            try:
                fill(unfinished)
                # As any file that this user writes: others may read checkpoints.
                unfinished.chmod(0o666 & ~_umask())
                _sync(unfinished)
                named = name(unfinished)
                unfinished.replace(self._path / named)
                _sync(self._path)
            finally:
                with suppress(OSError):
                    unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise self._told(error) from error
        return named

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """The file itself."""
        path = self._path / name
        if not path.is_file():
            raise FileNotFoundError(path)
        yield path

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self._path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._told(error) from error

    def folders(self) -> list[str]:
        """The names of all folders beside the files."""
        try:
            return sorted(entry.name for entry in os.scandir(self._path) if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._told(error) from error

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all that is in it, if it is there; of a link nothing that it leads to."""
        try:
            shutil.rmtree(self._path / name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._told(error) from error

    def _told(self, error: OSError) -> StorageError:
        """What to say of a disk's error."""
        refused = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
        return full(str(self._path), error) or StorageError(
            "StorageRefused" if refused else "StorageUnavailable",
            f"checkpoints in {self._path}: {error.strerror or error}",
        )


def _sync(path: Path) -> None:
    """Have what was written to a file, or the names in a folder, reach the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

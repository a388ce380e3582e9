"""The folder that holds an experiment's state, so that a run can go on where an earlier one was cut off.

experiment.json           the NASExperiment as it was last run, with its status
trials/TRIAL.json         each NASTrial
attempts/TRIAL-N/         log and termination message of its Nth attempt
checkpoints/TRIAL/        what the trainer keeps from one attempt to the next
lock                      held by the run, and by its trainers until they are gone
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from kubenas.api.errors import problems_of
from kubenas.api.experiment import NASExperiment
from kubenas.api.immutable import immutable_fields
from kubenas.api.trial import NASTrial

_ModelT = TypeVar("_ModelT", NASExperiment, NASTrial)

# How long trainers of a run that was killed may take to go.
_GOING_SECONDS: Final = 5.0
# What a trial's and the experiment's next states take at least.
_ROOM_BYTES: Final = 64 * 1024


class StateError(Exception):
    """The state folder cannot be used; the message says which file or field, and what to do."""


class StateFolder:
    """The state of one experiment on disk. Every file is replaced whole, so that a kill leaves the old or the new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock_fd = -1

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other run out of this folder.

        Raises:
            StateError: another run holds it, or it cannot be written.
        """
        try:
            for folder in ("trials", "attempts", "checkpoints"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StateError(f"{self.path}: cannot be written ({error.strerror}): choose another --state") from None
        try:
            self._lock()
            yield
        finally:
            os.close(self.lock_fd)

    def _lock(self) -> None:
        give_up = time.monotonic() + _GOING_SECONDS
        while True:
            try:
                fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise StateError(
                        f"{self.path}: another run uses it: wait for its end, or choose another --state"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def load_experiment(self) -> NASExperiment | None:
        """The experiment of the run before, if there was one.

        Raises:
            StateError: it cannot be read.
        """
        with _own():
            return self._experiment()

    def save_experiment(self, experiment: NASExperiment) -> None:
        """Keep the experiment with its status.

        Raises:
            StateError: it cannot be written.
        """
        metadata = {"name": experiment.metadata.name, "generation": experiment.metadata.generation}
        _write(self.path / "experiment.json", experiment.dump() | {"metadata": metadata})

    def load_trials(self) -> list[NASTrial]:
        """All trials, in no order.

        Raises:
            StateError: one cannot be read.
        """
        with _own():
            return [_read(NASTrial, path) for path in self._trials()]

    def load_readable(self) -> tuple[NASExperiment | None, list[NASTrial], list[str]]:
        """The experiment, those of its trials that can be read, by name, and what is wrong with the others.

        Raises:
            StateError: the experiment cannot be read.
        """
        found: list[NASTrial] = []
        problems: list[str] = []
        for path in sorted(self._trials()):
            try:
                found.append(_read(NASTrial, path))
            except StateError as error:
                problems.append(str(error))
        return self._experiment(), found, problems

    def _experiment(self) -> NASExperiment | None:
        path = self.path / "experiment.json"
        return _read(NASExperiment, path) if path.exists() else None

    def _trials(self) -> Iterator[Path]:
        return (self.path / "trials").glob("*.json")

    def save_trial(self, trial: NASTrial) -> None:
        """Keep a new or changed trial.

        Raises:
            StateError: it cannot be written.
        """
        metadata = {"name": trial.metadata.name}
        _write(self.path / "trials" / f"{trial.metadata.name}.json", trial.dump() | {"metadata": metadata})

    def attempt(self, name: str) -> Path:
        """Folder of an attempt; there once it was started."""
        return self.path / "attempts" / name

    def checkpoints(self, trial: str) -> Path:
        """Folder of a trial's checkpoints."""
        return self.path / "checkpoints" / trial

    def start(self, attempt: str, trial: str) -> tuple[Path, Path]:
        """Make an attempt's folder, and its trial's of checkpoints.

        Raises:
            StateError: they cannot be made.
        """
        folder, checkpoints = self.attempt(attempt), self.checkpoints(trial)
        with _writing(folder):
            checkpoints.mkdir(exist_ok=True)
            folder.mkdir()
        return folder, checkpoints

    def check_room(self) -> None:
        """See whether the state could be written now.

        Raises:
            StateError: it could not.
        """
        probe = self.path / ".room.partial"
        with _writing(self.path):
            try:
                with probe.open("wb") as file:
                    file.write(bytes(_ROOM_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                with suppress(OSError):
                    probe.unlink()

    def remove_checkpoints(self, trials: Iterable[str]) -> None:
        """Remove those of trials."""
        for trial in trials:
            shutil.rmtree(self.checkpoints(trial), ignore_errors=True)

    def remove_leavings(self, trial: str) -> None:
        """Remove what is left of an earlier trial of that name, whose file was deleted by hand."""
        for path in (*self.path.glob(f"attempts/{trial}-*"), self.checkpoints(trial)):
            shutil.rmtree(path, ignore_errors=True)


def changed_field(old: NASExperiment, new: NASExperiment) -> str | None:
    """The first field that differs although past trials depend on it."""
    if old.metadata.name != new.metadata.name:
        return "metadata.name"
    before, after = old.spec.dump(), new.spec.dump()
    return next((f"spec.{path}" for path in immutable_fields() if _at(before, path) != _at(after, path)), None)


def _at(document: dict[str, Any], path: str) -> Any:
    value: Any = document
    for key in path.split("."):
        value = value.get(key)
    return value


def _read(model: type[_ModelT], path: Path) -> _ModelT:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StateError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise StateError(f"{path}: {problems_of(error)[0]}") from None


@contextmanager
def _own() -> Iterator[None]:
    """Say what to do where a file of a run's own folder cannot be read; it may hold a result."""
    try:
        yield
    except StateError as error:
        raise StateError(f"{error}: mend the file, or choose another --state to start over") from None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say what to do where `path` cannot be written; what was written before stays as it is."""
    try:
        yield
    except OSError as error:
        raise StateError(
            f"{path}: cannot be written ({error.strerror}): make room or mend the folder; "
            "the same command then goes on from what was written"
        ) from None


def _write(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with _writing(path):
        try:
            with partial.open("w") as file:
                json.dump(document, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise

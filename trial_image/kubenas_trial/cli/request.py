"""What a command line asks for, as an experiment's file would say it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubenas.api.document import DocumentError, read_document
from kubenas.api.errors import SpecError
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.space.load import validate_space
from kubenas_trial.errors import InvalidTrialError, read

if TYPE_CHECKING:
    from kubenas_trial.tasks.load import AnyTask


def read_space(text: str) -> SearchSpace:
    """The search space that `text` names: a preset, or a YAML file with a search space or an experiment.

    Raises:
        InvalidTrialError: it is neither, or has problems.
    """
    path = Path(text)
    if path.is_file():
        document = _yaml(path)
        if isinstance(document, dict) and "spec" in document:
            spec = document["spec"]
            document = spec.get("searchSpace") if isinstance(spec, dict) else None
        at = f"{path}: searchSpace"
    elif path.suffix in {".yaml", ".yml", ".json"}:
        raise InvalidTrialError(f"--space: {path} does not exist")
    else:
        document, at = {"preset": text}, "--space"
    space = read(SearchSpace, document, at)
    try:
        validate_space(space)
    except SpecError as error:
        raise InvalidTrialError("\n".join(f"{at}.{problem}" for problem in error.problems)) from None
    return space


def read_dataset(text: str | None, form: str | None, task: type[AnyTask], option: str = "--dataset") -> Dataset:
    """The data set that `text` names, one that `task` brings along or a path; by default the first of the former."""
    if text is None:
        return Dataset(name=next(iter(task.built_in)))
    if text in task.built_in and form is None:
        return Dataset(name=text)
    if not Path(text).exists():
        raise InvalidTrialError(
            f"{option}: {text} is no file or folder, and none of the data sets that {task.name} brings along: "
            f"{', '.join(task.built_in)}"
        )
    return Dataset(path=str(Path(text).absolute()), format=form)


def read_settings(assignments: Sequence[str]) -> dict[str, Any]:
    """The object that assignments such as `batchSize=64` and `network.channels=8` make; values are YAML.

    Raises:
        InvalidTrialError: one is no assignment, or puts something into a value that is none to put into.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        *path, name = key.split(".")
        if not equals or not all([*path, name]):
            raise InvalidTrialError(f"--set: {assignment!r} is no assignment: write name=value")
        target = settings
        for part in path:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise InvalidTrialError(f"--set: {key} lies in {part}, which has a value of its own already")
        try:
            target[name] = _value(value) if value.strip() else None
        except (DocumentError, SpecError) as error:
            raise InvalidTrialError(f"--set: the value of {key}, {value!r}: {error}") from None
    return settings


def _yaml(path: Path) -> Any:
    try:
        return _value(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTrialError(f"--space: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidTrialError(f"--space: {path} is no YAML: it is not UTF-8 text") from None
    except DocumentError as error:
        raise InvalidTrialError(f"--space: {path}{f':{error.line}' if error.line else ''} {error}") from None
    except SpecError as error:
        raise InvalidTrialError(f"--space: {path}: {error}") from None


def _value(text: str) -> Any:
    document = read_document(text)
    for problem in document.problems:
        raise problem
    return document.value

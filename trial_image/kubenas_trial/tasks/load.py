"""The tasks by name, and how one gets its data."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch

from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.data import Splits
from kubenas_trial.datasets.unread import why_unread
from kubenas_trial.distributed import loaded_once
from kubenas_trial.errors import InvalidDatasetError, InvalidTrialError, read
from kubenas_trial.settings import TrainingSettings
from kubenas_trial.tasks.base import Task

AnyTask = Task[Any, Any]

# Class of each, in the module of its name. A module is imported when it is asked for, as libraries take seconds.
TASKS: Final[Mapping[str, str]] = {
    "image-classification": "ImageClassification",
    "object-detection": "ObjectDetection",
    "semantic-segmentation": "SemanticSegmentation",
    "text-classification": "TextClassification",
    "text-representation": "TextRepresentation",
    "language-model": "LanguageModel",
    "translation": "Translation",
    "keyword-spotting": "KeywordSpotting",
    "node-classification": "NodeClassification",
    "visual-question-answering": "VisualQuestionAnswering",
}


def task_class(name: str) -> type[AnyTask]:
    """The task called `name`.

    Raises:
        InvalidTrialError: there is none.
    """
    if name not in TASKS:
        raise InvalidTrialError(f"task.name: {name!r} is unknown; choose of {', '.join(TASKS)}")
    module = import_module(f"kubenas_trial.tasks.{name.replace('-', '_')}")
    kind: type[AnyTask] = getattr(module, TASKS[name])
    return kind


def load_task(spec: TaskSpec, data_dir: Path | None, device: torch.device) -> AnyTask:
    """The task of a specification with its data, which one of the processes that train together loads for all.

    Args:
        spec: name, data set and settings.
        data_dir: where relative paths of data sets begin; else in the working directory.
        device: that networks are trained on.

    Raises:
        InvalidTrialError: the task, the data set's name or a setting is unknown.
        InvalidDatasetError: the data set cannot be read.
    """
    kind = task_class(spec.name)
    if spec.dataset is None:
        raise InvalidTrialError(f"task.dataset: {spec.name} needs one")
    settings = read(kind.settings_model, spec.settings, "task.settings")
    dataset = spec.dataset
    return kind(settings, loaded_once(lambda: load_data(kind, dataset, settings, data_dir)), device)


def load_data(kind: type[AnyTask], dataset: Dataset, settings: TrainingSettings, data_dir: Path | None) -> Splits:
    """The three splits of `dataset` for the task `kind`.

    Raises:
        InvalidTrialError: its name is unknown.
        InvalidDatasetError: its files cannot be read.
    """
    if dataset.name is not None:
        if dataset.name not in kind.built_in:
            raise InvalidTrialError(
                f"task.dataset.name: {dataset.name!r} is unknown; choose of {', '.join(sorted(kind.built_in))}, "
                "or name files by task.dataset.path"
            )
        built_in: Splits = kind.built_in[dataset.name].load(settings)
        return built_in
    path = (data_dir or Path()) / (dataset.path or "")
    data: Splits = kind.formats[format_of(kind, path, dataset.format)].read(path, settings)
    return data


def format_of(kind: type[AnyTask], path: Path, wanted: str | None) -> str:
    """Which of the formats of `kind` lies at `path`; `wanted` decides where it is given.

    Raises:
        InvalidDatasetError: nothing lies there, or what does looks like no format or several.
    """
    known = ", ".join(kind.formats)
    if not path.exists():
        raise InvalidDatasetError(f"task.dataset.path: {path} does not exist")
    if wanted is not None:
        if wanted not in kind.formats:
            raise InvalidTrialError(f"task.dataset.format: {wanted!r} is unknown; choose of {known}")
        return wanted
    found = [name for name, each in kind.formats.items() if each.detect(path)]
    if len(found) != 1:
        looks = (
            f"looks like {' and '.join(found)}: "
            if found
            else f"looks like none of {known}: name the folder that holds the files, unpack what is packed, or "
        )
        unread = "" if found else f"; it {why}" if (why := why_unread(path)) else ""
        raise InvalidDatasetError(f"task.dataset.path: {path} {looks}say which by task.dataset.format{unread}")
    return found[0]

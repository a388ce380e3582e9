"""Reads an experiment from a file, and says where in the file each problem is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from kubenas.api.base import API_VERSION
from kubenas.api.document import Document, DocumentError, read_document
from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import NASExperiment
from kubenas.api.space import SearchSpace
from kubenas.api.validate import InvalidExperimentError, read_experiment
from kubenas.experiment.doubts import doubts
from kubenas.experiment.validation import resolve_spec
from kubenas.space.load import validate_space

_KIND: Final = "NASExperiment"


class ManifestError(Exception):
    """A file that holds no experiment that could be run; one line for each problem, with its place."""


def read_manifest(path: Path) -> NASExperiment:
    """The experiment in the YAML file `path`, checked in full.

    Raises:
        ManifestError: it cannot be read, is no single NASExperiment, or has problems.
    """
    document = _document(path)
    found = [*document.problems, *_wrong_kind(document.value)]
    if not found:
        try:
            experiment = read_experiment(document.value)
            found += resolve_spec(experiment.spec).problems
        except InvalidExperimentError as error:
            found = list(error.problems)
    if found:
        raise _refused(path, document, found)
    return experiment


def warnings_of(path: Path, experiment: NASExperiment) -> list[str]:
    """What is probably wrong with the experiment that was read from `path`: a line each, with its place."""
    found = list(doubts(experiment.spec))
    document = _document(path) if found else None
    return [f"{path}:{document.line(each.field)}: warning: {each}" for each in found if document]


def read_search_space(path: Path) -> SearchSpace:
    """The search space in a YAML file, which holds a NASExperiment, or an object such as its `spec.searchSpace`.

    Raises:
        ManifestError: it cannot be read, is neither, or has problems.
    """
    document = _document(path)
    if not isinstance(document.value, dict):
        raise ManifestError(f"{path}: is no object: write a {_KIND}, or a search space such as preset: nasbench201")
    if {"kind", "spec", "apiVersion"} & document.value.keys():
        return read_manifest(path).spec.search_space
    found = list(document.problems)
    if not found:
        try:
            spec = SearchSpace.model_validate(document.value)
            validate_space(spec)
        except ValidationError as error:
            found = problems_of(error)
        except SpecError as error:
            found = list(error.problems)
    if found:
        raise _refused(path, document, found)
    return spec


def _refused(path: Path, document: Document, found: Sequence[SpecError]) -> ManifestError:
    return ManifestError("\n".join(f"{path}:{document.line(problem.field)}: {problem}" for problem in found))


def _document(path: Path) -> Document:
    try:
        return read_document(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ManifestError(f"{path}: is not UTF-8 text") from None
    except DocumentError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        raise ManifestError(f"{place}: {error}") from None


def _wrong_kind(document: Any) -> Iterator[SpecError]:
    if not isinstance(document, dict):
        yield SpecError("", f"is no object: write a {_KIND} with apiVersion, kind, metadata and spec")
        return
    for field, expected in (("apiVersion", API_VERSION), ("kind", _KIND)):
        given = document.get(field)
        if given is None:
            yield SpecError(field, f"is required: write {expected}")
        elif given != expected:
            yield SpecError(field, f"must be {expected}, not {given!r}")

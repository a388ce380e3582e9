"""Reads an experiment from a file, and says where in the file each problem is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from kubenas.api.base import API_VERSION
from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import NASExperiment
from kubenas.api.space import SearchSpace
from kubenas.api.validate import InvalidExperimentError, read_experiment
from kubenas.experiment.accept import accept
from kubenas.space.load import check_space_spec

_KIND: Final = "NASExperiment"
_PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class ManifestError(Exception):
    """A file that holds no experiment that could be run; one line for each problem, with its place."""


def read_manifest(path: Path) -> NASExperiment:
    """The experiment in the YAML file `path`, checked in full.

    Raises:
        ManifestError: it cannot be read, is no single NASExperiment, or has problems.
    """
    root = _root(path)
    found = list(_repeated_keys(root, ""))
    document = yaml.safe_load(yaml.serialize(root))
    found += _wrong_kind(document)
    if not found:
        try:
            experiment = read_experiment(document)
            found += accept(experiment.spec).problems
        except InvalidExperimentError as error:
            found = list(error.problems)
    if found:
        raise _refused(path, root, found)
    return experiment


def read_search_space(path: Path) -> SearchSpace:
    """The search space in a YAML file, which holds a NASExperiment, or an object such as its `spec.searchSpace`.

    Raises:
        ManifestError: it cannot be read, is neither, or has problems.
    """
    root = _root(path)
    document = yaml.safe_load(yaml.serialize(root))
    if not isinstance(document, dict):
        raise ManifestError(f"{path}: is no object: write a {_KIND}, or a search space such as preset: nasbench201")
    if {"kind", "spec", "apiVersion"} & document.keys():
        return read_manifest(path).spec.search_space
    found = list(_repeated_keys(root, ""))
    if not found:
        try:
            spec = SearchSpace.model_validate(document)
            check_space_spec(spec)
        except ValidationError as error:
            found = problems_of(error)
        except SpecError as error:
            found = [error]
    if found:
        raise _refused(path, root, found)
    return spec


def _refused(path: Path, root: yaml.Node, found: Sequence[SpecError]) -> ManifestError:
    return ManifestError("\n".join(f"{path}:{_line(root, problem.field)}: {problem}" for problem in found))


def _root(path: Path) -> yaml.Node:
    try:
        documents = list(yaml.compose_all(path.read_text(encoding="utf-8"), yaml.SafeLoader))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ManifestError(f"{path}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError(f"{path}:{line}: is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: is not YAML: {str(error).splitlines()[0]}") from None
    if not documents:
        raise ManifestError(f"{path}: is empty: write a {_KIND}")
    if len(documents) > 1:
        raise ManifestError(f"{path}: holds {len(documents)} documents: put one {_KIND} in a file")
    return documents[0]


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


def _repeated_keys(node: yaml.Node, path: str) -> Iterator[SpecError]:
    """Keys that a loader would let the last one win silently."""
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{path}[{index}]")
    elif isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                yield SpecError(inner, "is there twice: remove one of them")
            seen.add(key.value)
            yield from _repeated_keys(value, inner)


def _line(root: yaml.Node, field: str) -> int:
    """Line of the field, or of the deepest part of its path that the file has."""
    node, line = root, root.start_mark.line + 1
    for index, key in _PART.findall(field):
        if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line + 1
            continue
        entries = node.value if isinstance(node, yaml.MappingNode) else ()
        entry = next(((k, v) for k, v in reversed(entries) if k.value == key), None)
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line

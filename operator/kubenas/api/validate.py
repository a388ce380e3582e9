"""Reads an experiment that no apiserver has checked yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import NASExperiment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class InvalidExperimentError(ValueError):
    """An experiment that cannot be accepted; its text has one line for each of its `problems`."""

    def __init__(self, problems: Sequence[SpecError]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def read_experiment(document: Mapping[str, Any]) -> NASExperiment:
    """The experiment in a YAML document, with all that its schema and CEL rules demand.

    Raises:
        InvalidExperimentError: the document is none; it holds every problem found.
    """
    try:
        return NASExperiment.model_validate({"apiVersion": "", "kind": "", **document})
    except ValidationError as error:
        raise InvalidExperimentError(problems_of(error)) from None

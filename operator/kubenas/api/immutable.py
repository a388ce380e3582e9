"""The fields of an experiment that past trials depend on, read from the rules that the apiserver checks them by."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from kubenas.api.experiment import ExperimentSpec


@cache
def immutable_fields() -> tuple[str, ...]:
    """Paths below `spec` of the outermost fields with a rule that compares them with what they were."""
    schema = ExperimentSpec.model_json_schema(by_alias=True)
    return tuple(_immutable(schema, schema["$defs"], ""))


def _immutable(schema: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[str]:
    for name, field in schema.get("properties", {}).items():
        if any("oldSelf" in one["rule"] for one in field.get("x-kubernetes-validations", ())):
            yield f"{path}{name}"
        elif "$ref" in field:
            yield from _immutable(definitions[field["$ref"].rpartition("/")[2]], definitions, f"{path}{name}.")

"""Pydantic models as Kubernetes structural schemas.

A structural schema is the part of OpenAPI 3.0 that a CustomResourceDefinition may use: no references, no unions
and a type everywhere (https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic_core import core_schema

_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "default",
    "required",
)
_INT32_MAX: Final = 2**31 - 1
_VALIDATIONS: Final = "x-kubernetes-validations"


class _WithFactories(GenerateJsonSchema):
    """Also gives the defaults that are made by a factory; pydantic leaves those out."""

    def get_default_value(self, schema: core_schema.WithDefaultSchema) -> Any:
        factory = schema.get("default_factory")
        if not isinstance(factory, type):
            return super().get_default_value(schema)
        # The empty object: the apiserver then fills in the defaults of its fields.
        return [] if issubclass(factory, list) else {}


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of `model`, by the names used in YAML.

    A field that may be None becomes an optional one, never a nullable one. Integers and floats get a format,
    int32 where their bounds allow it.

    Raises:
        TypeError: a field's type has no structural schema, such as a union of two types.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_WithFactories)
    return _structural(schema, schema.get("$defs", {}), model.__name__)


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> dict[str, Any]:
    node = _inlined(node, definitions, path)
    if "const" in node:
        node["enum"] = [node["const"]]
    if "type" not in node:
        raise TypeError(f"{path}: has no single type that a structural schema can express: {node}")
    schema = {key: node[key] for key in _KEPT if node.get(key) is not None}
    schema |= _number(node)
    if "properties" in node:
        schema["properties"] = {
            name: _structural(field, definitions, f"{path}.{name}") for name, field in node["properties"].items()
        }
    if "items" in node:
        schema["items"] = _structural(node["items"], definitions, f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        schema["additionalProperties"] = _structural(node["additionalProperties"], definitions, f"{path}[]")
    return schema | {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}


def _inlined(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> dict[str, Any]:
    """`node` with its reference, or the one alternative to null, in its place; what stands beside it goes first."""
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
    elif "anyOf" in node:
        options = [option for option in node["anyOf"] if option != {"type": "null"}]
        if len(options) != 1:
            raise TypeError(f"{path}: a union has no structural schema: {node['anyOf']}")
        target = options[0]
    else:
        return dict(node)
    target = _inlined(target, definitions, path)
    beside = {key: value for key, value in node.items() if key not in {"$ref", "anyOf"}}
    merged = target | beside
    validations = [*target.get(_VALIDATIONS, ()), *beside.get(_VALIDATIONS, ())]
    if validations:
        merged[_VALIDATIONS] = validations
    return merged


def _number(node: Mapping[str, Any]) -> dict[str, Any]:
    """Format and bounds of a number, as OpenAPI 3.0 writes them."""
    if node["type"] not in {"integer", "number"}:
        return {}
    schema: dict[str, Any] = {}
    if node["type"] == "number":
        schema["format"] = "double"
    else:
        schema["format"] = "int32" if node.get("maximum", _INT32_MAX + 1) <= _INT32_MAX else "int64"
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in node:
            schema |= {bound: node[exclusive], exclusive: True}
    return schema

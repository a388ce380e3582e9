"""Structural schemas of small models."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from kubenas.api.base import Model, rule, rules
from kubenas.api.schema import structural_schema


class Inner(Model):
    """An inner object."""

    width: int = Field(default=3, ge=1, le=9, description="Width.")


class Outer(Model):
    """An outer object."""

    inner_part: Inner = Field(
        default_factory=Inner, description="Its own words.", json_schema_extra=rules(rule("true", "always"))
    )
    maybe: Inner | None = Field(default=None, description="Perhaps.")
    share: float | None = Field(default=None, gt=0, le=1)
    mode: Literal["one"] = "one"
    tags: dict[str, Annotated[str, Field(max_length=9)]] = Field(default_factory=dict, max_length=2)


class Union(Model):
    """A union."""

    value: int | str


def test_a_model_as_a_structural_schema() -> None:
    inner = {
        "type": "object",
        "properties": {
            "width": {
                "description": "Width.",
                "type": "integer",
                "format": "int32",
                "minimum": 1,
                "maximum": 9,
                "default": 3,
            }
        },
    }
    assert structural_schema(Outer) == {
        "description": "An outer object.",
        "type": "object",
        "properties": {
            "innerPart": {
                **inner,
                "description": "Its own words.",
                "default": {},
                "x-kubernetes-validations": [{"rule": "true", "message": "always"}],
            },
            "maybe": {**inner, "description": "Perhaps."},
            "share": {"type": "number", "format": "double", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
            "mode": {"type": "string", "enum": ["one"], "default": "one"},
            "tags": {
                "type": "object",
                "maxProperties": 2,
                "default": {},
                "additionalProperties": {"type": "string", "maxLength": 9},
            },
        },
    }


def test_a_union_has_none() -> None:
    with pytest.raises(TypeError, match=r"Union\.value: a union has no structural schema"):
        structural_schema(Union)

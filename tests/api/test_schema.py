"""Structural schemas of small models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError

from kubenas.api.base import Model, Ruled
from kubenas.api.errors import problems_of
from kubenas.api.rule import ItemRule, Rule, Transition, Unique
from kubenas.api.schema import structural_schema


class Inner(Ruled):
    """An inner object."""

    rules: ClassVar[Sequence[Rule[Inner]]] = [
        Rule(cel="self.width != 5", message="is 5", field="width", holds=lambda inner: inner.width != 5)
    ]

    width: int = Field(default=3, ge=1, le=9, description="Width.")


class Outer(Ruled):
    """An outer object."""

    rules: ClassVar[Sequence[ItemRule[Inner] | Unique]] = [
        ItemRule(
            items="someParts",
            cel="self.all(p, p.width < 4)",
            subject="width",
            message="is above 3",
            field="width",
            holds=lambda parts, index: parts[index].width < 4,
        ),
        Unique("someParts", "width"),
    ]

    inner_part: Annotated[Inner, Transition(cel="self == oldSelf", message="is immutable")] = Field(
        default_factory=Inner, description="Its own words."
    )
    maybe: Inner | None = Field(default=None, description="Perhaps.")
    some_parts: list[Inner] = Field(default_factory=list, max_length=3)
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
    rule = {"rule": "self.width != 5", "message": "is 5", "fieldPath": ".width"}
    assert structural_schema(Outer) == {
        "description": "An outer object.",
        "type": "object",
        "properties": {
            "innerPart": {
                **inner,
                "description": "Its own words.",
                "default": {},
                "x-kubernetes-validations": [rule, {"rule": "self == oldSelf", "message": "is immutable"}],
            },
            "maybe": {**inner, "description": "Perhaps.", "x-kubernetes-validations": [rule]},
            "someParts": {
                "type": "array",
                "items": {**inner, "description": "An inner object.", "x-kubernetes-validations": [rule]},
                "maxItems": 3,
                "default": [],
                "x-kubernetes-validations": [{"rule": "self.all(p, p.width < 4)", "message": "width is above 3"}],
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["width"],
            },
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


def test_the_same_is_checked_in_python() -> None:
    for document, problems in (
        ({"innerPart": {"width": 5}, "maybe": {"width": 5}}, ["innerPart.width: is 5", "maybe.width: is 5"]),
        (
            {"someParts": [{}, {"width": 4}, {}]},
            ["someParts[1].width: is above 3", "someParts[2].width: 3 is there twice: each width must be unique"],
        ),
    ):
        with pytest.raises(ValidationError) as refused:
            Outer.model_validate(document)
        assert [str(problem) for problem in problems_of(refused.value)] == problems


def test_a_union_has_none() -> None:
    with pytest.raises(TypeError, match=r"Union\.value: a union has no structural schema"):
        structural_schema(Union)

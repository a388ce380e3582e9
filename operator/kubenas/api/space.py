"""The search space as users write it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import Model, keyed, rule, rules

ChoiceText = Annotated[str, Field(min_length=1, max_length=253)]

_PARAMETER_RULES = rules(
    rule("self.type != 'choice' || has(self.values)", "a choice needs values"),
    rule("self.type == 'choice' || !has(self.values)", "only a choice has values: give min and max"),
    rule("self.type == 'choice' || (has(self.min) && has(self.max))", "an int or float needs min and max"),
    rule("self.type != 'choice' || (!has(self.min) && !has(self.max))", "a choice has no min or max: give values"),
    rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min is greater than max"),
    rule(
        "self.scale != 'log' || self.type != 'choice' && has(self.min) && self.min > 0.0",
        "a log scale needs an int or float with min greater than 0",
    ),
    rule(
        "self.type != 'int' || !has(self.min) || !has(self.max) || "
        "(self.min == double(int(self.min)) && self.max == double(int(self.max)))",
        "min and max of an int must be whole numbers",
    ),
)


class Parameter(Model):
    """One decision of an architecture."""

    model_config = ConfigDict(json_schema_extra=_PARAMETER_RULES)

    name: str = Field(
        min_length=1,
        max_length=63,
        pattern=r"^[a-zA-Z][a-zA-Z0-9_.-]*$",
        description="Name of the decision; $(kubenas.NAME) in the trial template's args and env stands for its value.",
    )
    type: Literal["choice", "int", "float"] = Field(description="What values it has.")
    values: list[ChoiceText] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of a choice.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    min: float | None = Field(default=None, ge=-1e15, le=1e15, description="Smallest value of an int or float.")
    max: float | None = Field(default=None, ge=-1e15, le=1e15, description="Largest value of an int or float.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="How values are spread: log draws each order of magnitude as often."
    )

    @model_validator(mode="after")
    def _check(self) -> Parameter:
        """The CEL rules once more, for files that no apiserver has seen."""
        at = f"parameter {self.name}:"
        if self.type == "choice":
            if self.values is None or self.min is not None or self.max is not None or self.scale == "log":
                raise ValueError(f"{at} a choice needs values, and has no min, max or log scale")
            if len(set(self.values)) < len(self.values):
                raise ValueError(f"{at} values has a repeated entry")
            return self
        if self.values is not None or self.min is None or self.max is None:
            raise ValueError(f"{at} {self.type} needs min and max, and has no values")
        if self.min > self.max:
            raise ValueError(f"{at} min {self.min:g} is greater than max {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"{at} a log scale needs min greater than 0")
        if self.type == "int" and not (self.min.is_integer() and self.max.is_integer()):
            raise ValueError(f"{at} min and max of an int must be whole numbers")
        return self


class SearchSpace(Model):
    """The architectures to choose from: a preset, or parameters of one's own."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "[has(self.preset), has(self.parameters)].filter(x, x).size() == 1",
                "searchSpace needs exactly one of preset and parameters",
            )
        )
    )

    preset: Literal["nasbench201"] | None = Field(
        default=None, description="nasbench201: cells of 4 nodes and 6 edges with 5 operations (15,625)."
    )
    parameters: list[Parameter] | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Decisions of one's own.",
        json_schema_extra=keyed("name"),
    )

    @model_validator(mode="after")
    def _check(self) -> SearchSpace:
        """The CEL rules once more, for files that no apiserver has seen."""
        if (self.preset is None) == (self.parameters is None):
            raise ValueError("exactly one of preset and parameters must be given")
        names = [p.name for p in self.parameters or []]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"parameters: {name} is there twice; each name must be unique")
        return self

"""The search space as users write it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import SET, Model, keyed, rule, rules
from kubenas.api.errors import SpecError

ChoiceText = Annotated[str, Field(min_length=1, max_length=253)]

_PARAMETER_RULES = rules(
    rule("self.type != 'choice' || has(self.values)", "is required: a choice needs values", field=".values"),
    rule("self.type == 'choice' || !has(self.values)", "only a choice has values: give min and max", field=".values"),
    rule("self.type == 'choice' || has(self.min)", "is required: an int or float needs min and max", field=".min"),
    rule("self.type == 'choice' || has(self.max)", "is required: an int or float needs min and max", field=".max"),
    rule("self.type != 'choice' || !has(self.min)", "a choice has no min: give values", field=".min"),
    rule("self.type != 'choice' || !has(self.max)", "a choice has no max: give values", field=".max"),
    rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min is greater than max", field=".min"),
    rule("self.type != 'choice' || self.scale == 'linear'", "a choice has no log scale: remove it", field=".scale"),
    rule("self.scale != 'log' || !has(self.min) || self.min > 0.0", "a log scale needs min above 0", field=".min"),
    rule(
        "self.type != 'int' || !has(self.min) || self.min == double(int(self.min))",
        "must be a whole number, as the parameter is an int",
        field=".min",
    ),
    rule(
        "self.type != 'int' || !has(self.max) || self.max == double(int(self.max))",
        "must be a whole number, as the parameter is an int",
        field=".max",
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
        json_schema_extra=rules(
            # The equality of sets overlooks their order, which random draws depend on.
            rule("self.map(v, v) == oldSelf.map(v, v)", "is immutable: past trials were drawn from it"),
            **SET,
        ),
    )
    min: float | None = Field(default=None, ge=-1e15, le=1e15, description="Smallest value of an int or float.")
    max: float | None = Field(default=None, ge=-1e15, le=1e15, description="Largest value of an int or float.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="How values are spread: log draws each order of magnitude as often."
    )

    @model_validator(mode="after")
    def _check(self) -> Parameter:
        """The CEL rules once more, for files that no apiserver has seen."""
        if self.type == "choice":
            self._check_choice()
        else:
            self._check_range()
        return self

    def _check_choice(self) -> None:
        if self.values is None:
            raise SpecError("values", "is required: a choice needs values")
        for index, value in enumerate(self.values):
            if value in self.values[:index]:
                raise SpecError(f"values[{index}]", f"{value!r} is there twice: each value must be unique")
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None:
                raise SpecError(name, f"a choice has no {name}: give values")
        if self.scale != "linear":
            raise SpecError("scale", "a choice has no log scale: remove it")

    def _check_range(self) -> None:
        if self.values is not None:
            raise SpecError("values", "only a choice has values: give min and max")
        if self.min is None or self.max is None:
            raise SpecError("min" if self.min is None else "max", f"is required: {self.type} needs min and max")
        if self.min > self.max:
            raise SpecError("min", f"{self.min:g} is greater than max {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise SpecError("min", f"a log scale needs min above 0, not {self.min:g}")
        for name, bound in (("min", self.min), ("max", self.max)):
            if self.type == "int" and not bound.is_integer():
                raise SpecError(name, f"must be a whole number, as the parameter is an int, not {bound:g}")


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
        json_schema_extra=rules(
            # The equality of keyed lists overlooks their order, which random draws depend on.
            rule("self.map(p, p.name) == oldSelf.map(p, p.name)", "is immutable: past trials were drawn from it"),
            **keyed("name"),
        ),
    )

    @model_validator(mode="after")
    def _check(self) -> SearchSpace:
        """The CEL rules once more, for files that no apiserver has seen."""
        if (self.preset is None) == (self.parameters is None):
            raise SpecError("", "needs exactly one of preset and parameters")
        names = [parameter.name for parameter in self.parameters or ()]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise SpecError(f"parameters[{index}].name", f"{name!r} is there twice: each name must be unique")
        return self

"""One decision of an architecture, as users write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import SET, Model, rule, rules
from kubenas.api.errors import SpecError, refuse, repeats

MAX_REPEATS: Final = 64

ValueText = Annotated[str, Field(min_length=1, max_length=253)]
ValueNumber = Annotated[float, Field(ge=-1e15, le=1e15)]
ParameterName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z][a-zA-Z0-9_.-]*$")]

# What an item of a list of values may not be: the equality of sets overlooks their order, which draws depend on.
_IN_ORDER: Final = rules(
    rule("self.map(v, v) == oldSelf.map(v, v)", "is immutable: past trials were drawn from it"), **SET
)

_PARAMETER_RULES = rules(
    rule("self.type != 'choice' || has(self.values)", "is required: a choice needs values", field=".values"),
    rule(
        "self.type != 'ordinal' || has(self.values) != has(self.numbers)",
        "an ordinal needs either values or numbers, in order",
        field=".values",
    ),
    rule(
        "self.type in ['choice', 'ordinal'] || !has(self.values)",
        "only a choice or an ordinal has values: give min and max",
        field=".values",
    ),
    rule("self.type == 'ordinal' || !has(self.numbers)", "only an ordinal has numbers: remove it", field=".numbers"),
    rule(
        "self.type in ['choice', 'ordinal'] || has(self.min)",
        "is required: an int or float needs min and max",
        field=".min",
    ),
    rule(
        "self.type in ['choice', 'ordinal'] || has(self.max)",
        "is required: an int or float needs min and max",
        field=".max",
    ),
    rule(
        "!(self.type in ['choice', 'ordinal']) || !has(self.min)",
        "only an int or float has min: list what there is",
        field=".min",
    ),
    rule(
        "!(self.type in ['choice', 'ordinal']) || !has(self.max)",
        "only an int or float has max: list what there is",
        field=".max",
    ),
    rule("!has(self.min) || !has(self.max) || self.min <= self.max", "min is greater than max", field=".min"),
    rule(
        "!(self.type in ['choice', 'ordinal']) || self.scale == 'linear'",
        "only an int or float has a log scale: remove it",
        field=".scale",
    ),
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


class Condition(Model):
    """When an architecture takes a decision: where an earlier one has one of some values."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.values) != has(self.min)", "when needs either values or min"))
    )

    parameter: ParameterName = Field(description="An earlier choice, ordinal or int.")
    values: list[ValueText] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of it that switch this parameter on.",
        json_schema_extra=SET,
    )
    min: ValueNumber | None = Field(
        default=None, description="The least value of it that switches this parameter on, where it has numbers."
    )

    @model_validator(mode="after")
    def _check(self) -> Condition:
        """The CEL rule once more, for files that no apiserver has seen."""
        if (self.values is None) == (self.min is None):
            raise SpecError("", "needs either values or min")
        return self


class Repeat(Model):
    """How often a decision is taken, once for each layer: NAME.0, NAME.1 and so on."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule("has(self.times) != has(self.count)", "repeat needs either times or count"))
    )

    times: int | None = Field(default=None, ge=1, le=MAX_REPEATS, description="Always this often.")
    count: ParameterName | None = Field(
        default=None, description="As often as the value of this earlier int, or ordinal with whole numbers, says."
    )

    @model_validator(mode="after")
    def _check(self) -> Repeat:
        """The CEL rule once more, for files that no apiserver has seen."""
        if (self.times is None) == (self.count is None):
            raise SpecError("", "needs either times or count")
        return self


class Parameter(Model):
    """One decision of an architecture."""

    model_config = ConfigDict(json_schema_extra=_PARAMETER_RULES)

    name: ParameterName = Field(
        description="Name of the decision; $(kubenas.NAME) in the trial template's args and env stands for its value."
    )
    type: Literal["choice", "ordinal", "int", "float"] = Field(
        description="What values it has: a choice has no order, an ordinal has one."
    )
    values: list[ValueText] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of a choice, or of an ordinal in order.",
        json_schema_extra=_IN_ORDER,
    )
    numbers: list[ValueNumber] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of an ordinal that are numbers, in order, for example 3, 5, 7.",
        json_schema_extra=_IN_ORDER,
    )
    min: ValueNumber | None = Field(default=None, description="Smallest value of an int or float.")
    max: ValueNumber | None = Field(default=None, description="Largest value of an int or float.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="How values are spread: log draws each order of magnitude as often."
    )
    when: Condition | None = Field(default=None, description="When the decision is taken; always, if absent.")
    repeat: Repeat | None = Field(default=None, description="Take the decision once for each layer.")

    @model_validator(mode="after")
    def _check(self) -> Parameter:
        """The CEL rules once more, for files that no apiserver has seen."""
        refuse(self._listed_problems() if self.type in ("choice", "ordinal") else self._range_problems())
        return self

    def _listed_problems(self) -> Iterator[SpecError]:
        if self.type == "choice" and self.values is None:
            yield SpecError("values", "is required: a choice needs values")
        if self.type == "choice" and self.numbers is not None:
            yield SpecError("numbers", "only an ordinal has numbers: remove it")
        if self.type == "ordinal" and (self.values is None) == (self.numbers is None):
            yield SpecError("values", "an ordinal needs either values or numbers, in order")
        for field, listed in (("values", self.values), ("numbers", self.numbers)):
            yield from repeats(field, listed)
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is not None:
                yield SpecError(name, f"only an int or float has {name}: list what there is")
        if self.scale != "linear":
            yield SpecError("scale", "only an int or float has a log scale: remove it")

    def _range_problems(self) -> Iterator[SpecError]:
        if self.values is not None:
            yield SpecError("values", "only a choice or an ordinal has values: give min and max")
        if self.numbers is not None:
            yield SpecError("numbers", "only an ordinal has numbers: remove it")
        if self.min is not None and self.max is not None and self.min > self.max:
            yield SpecError("min", f"{self.min:g} is greater than max {self.max:g}")
        if self.scale == "log" and self.min is not None and self.min <= 0:
            yield SpecError("min", f"a log scale needs min above 0, not {self.min:g}")
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound is None:
                yield SpecError(name, f"is required: {self.type} needs min and max")
            elif self.type == "int" and not bound.is_integer():
                yield SpecError(name, f"must be a whole number, as the parameter is an int, not {bound:g}")

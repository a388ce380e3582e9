"""One decision of an architecture, as users write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.rule import Rule, Transition, Unique

MAX_REPEATS: Final = 64

ValueText = Annotated[str, Field(min_length=1, max_length=253)]
ValueNumber = Annotated[float, Field(ge=-1e15, le=1e15)]
ParameterName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z][a-zA-Z0-9_.-]*$")]

# The equality of sets overlooks their order, which draws depend on.
_IN_ORDER: Final = Transition(
    cel="self.map(v, v) == oldSelf.map(v, v)", message="is immutable: past trials were drawn from it"
)


class Condition(Ruled):
    """When an architecture takes a decision: where an earlier one has one of some values."""

    rules: ClassVar[Sequence[Rule[Condition] | Unique]] = [
        Rule(
            cel="has(self.values) != has(self.min)",
            subject="when",
            message="needs either values or min",
            holds=lambda when: (when.values is None) != (when.min is None),
        ),
        Unique("values"),
    ]

    parameter: ParameterName = Field(description="An earlier choice, ordinal or int.")
    values: list[ValueText] | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of it that switch this parameter on.",
    )
    min: ValueNumber | None = Field(
        default=None, description="The least value of it that switches this parameter on, where it has numbers."
    )


class Repeat(Ruled):
    """How often a decision is taken, once for each layer: NAME.0, NAME.1 and so on."""

    rules: ClassVar[Sequence[Rule[Repeat]]] = [
        Rule(
            cel="has(self.times) != has(self.count)",
            subject="repeat",
            message="needs either times or count",
            holds=lambda repeat: (repeat.times is None) != (repeat.count is None),
        )
    ]

    times: int | None = Field(default=None, ge=1, le=MAX_REPEATS, description="Always this often.")
    count: ParameterName | None = Field(
        default=None, description="As often as the value of this earlier int, or ordinal with whole numbers, says."
    )


class Parameter(Ruled):
    """One decision of an architecture."""

    rules: ClassVar[Sequence[Rule[Parameter] | Unique]] = [
        Rule(
            cel="self.type != 'choice' || has(self.values)",
            message="is required: a choice needs values",
            field="values",
            holds=lambda one: one.type != "choice" or one.values is not None,
        ),
        Rule(
            cel="self.type != 'ordinal' || has(self.values) != has(self.numbers)",
            message="an ordinal needs either values or numbers, in order",
            field="values",
            holds=lambda one: one.type != "ordinal" or (one.values is None) != (one.numbers is None),
        ),
        Rule(
            cel="self.type in ['choice', 'ordinal'] || !has(self.values)",
            message="only a choice or an ordinal has values: give min and max",
            field="values",
            holds=lambda one: one.listed or one.values is None,
        ),
        Rule(
            cel="self.type == 'ordinal' || !has(self.numbers)",
            message="only an ordinal has numbers: remove it",
            field="numbers",
            holds=lambda one: one.type == "ordinal" or one.numbers is None,
        ),
        Rule(
            cel="self.type in ['choice', 'ordinal'] || has(self.min)",
            message="is required: an int or float needs min and max",
            field="min",
            holds=lambda one: one.listed or one.min is not None,
        ),
        Rule(
            cel="self.type in ['choice', 'ordinal'] || has(self.max)",
            message="is required: an int or float needs min and max",
            field="max",
            holds=lambda one: one.listed or one.max is not None,
        ),
        Rule(
            cel="!(self.type in ['choice', 'ordinal']) || !has(self.min)",
            message="only an int or float has min: list what there is",
            field="min",
            holds=lambda one: not one.listed or one.min is None,
        ),
        Rule(
            cel="!(self.type in ['choice', 'ordinal']) || !has(self.max)",
            message="only an int or float has max: list what there is",
            field="max",
            holds=lambda one: not one.listed or one.max is None,
        ),
        Rule(
            cel="!has(self.min) || !has(self.max) || self.min <= self.max",
            subject="min",
            message="is greater than max",
            field="min",
            holds=lambda one: one.min is None or one.max is None or one.min <= one.max,
        ),
        Rule(
            cel="!(self.type in ['choice', 'ordinal']) || self.scale == 'linear'",
            message="only an int or float has a log scale: remove it",
            field="scale",
            holds=lambda one: not one.listed or one.scale == "linear",
        ),
        Rule(
            cel="self.scale != 'log' || !has(self.min) || self.min > 0.0",
            message="a log scale needs min above 0",
            field="min",
            holds=lambda one: one.scale != "log" or one.min is None or one.min > 0,
        ),
        Rule(
            cel="self.type != 'int' || !has(self.min) || self.min == double(int(self.min))",
            message="must be a whole number, as the parameter is an int",
            field="min",
            holds=lambda one: one.type != "int" or one.min is None or one.min.is_integer(),
        ),
        Rule(
            cel="self.type != 'int' || !has(self.max) || self.max == double(int(self.max))",
            message="must be a whole number, as the parameter is an int",
            field="max",
            holds=lambda one: one.type != "int" or one.max is None or one.max.is_integer(),
        ),
        Unique("values"),
        Unique("numbers"),
    ]

    name: ParameterName = Field(
        description="Name of the decision; $(kubenas.NAME) in the trial template's args and env stands for its value."
    )
    type: Literal["choice", "ordinal", "int", "float"] = Field(
        description="What values it has: a choice has no order, an ordinal has one."
    )
    values: Annotated[list[ValueText] | None, _IN_ORDER] = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of a choice, or of an ordinal in order.",
    )
    numbers: Annotated[list[ValueNumber] | None, _IN_ORDER] = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="The values of an ordinal that are numbers, in order, for example 3, 5, 7.",
    )
    min: ValueNumber | None = Field(default=None, description="Smallest value of an int or float.")
    max: ValueNumber | None = Field(default=None, description="Largest value of an int or float.")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="How values are spread: log draws each order of magnitude as often."
    )
    when: Condition | None = Field(default=None, description="When the decision is taken; always, if absent.")
    repeat: Repeat | None = Field(default=None, description="Take the decision once for each layer.")

    @property
    def listed(self) -> bool:
        """Whether its values are listed, rather than a range."""
        return self.type in ("choice", "ordinal")

"""Users' parameters as decisions: conditions on earlier ones, repeats for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubenas.api.errors import SpecError, combined, refuse
from kubenas.api.parameter import MAX_REPEATS, Condition, Parameter
from kubenas.space.architecture import Value
from kubenas.space.decisions import Decision, When
from kubenas.space.domains import Choice, Domain, Float, Int, Ordinal
from kubenas.space.layers import numbers

MAX_DECISIONS: Final = 1024
# Values of choices and all other decisions together: a model sees a number for each.
MAX_VALUES: Final = 4096
# Values of a parameter that others depend on: architectures are counted below each.
MAX_SWITCHES: Final = 1000


def expand(parameters: Sequence[Parameter]) -> list[Decision]:
    """The decisions of (validated) `parameters`.

    Raises:
        SpecError: conditions or repeats name parameters that cannot switch others on, or ask for values that those
            do not have.
    """
    expanded: dict[str, list[Decision]] = {}
    names = [parameter.name for parameter in parameters]
    taken: set[str] = set()
    wrong: set[str] = set()
    problems: list[SpecError] = []
    for index, parameter in enumerate(parameters):
        path = f"parameters[{index}]"
        if _needed(parameter) & wrong:
            # What is wrong with it may be that of the other alone.
            wrong.add(parameter.name)
            continue
        try:
            expanded[parameter.name] = made = _Expansion(parameter, path, expanded, names).decisions()
        except SpecError as error:
            problems.append(error)
            wrong.add(parameter.name)
            continue
        if twice := next((decision.name for decision in made if decision.name in taken), None):
            problems.append(SpecError(f"{path}.name", f"{twice!r} is also what a repeated parameter makes: rename it"))
        taken |= {decision.name for decision in made}
        values = sum(decision.domain.width for others in expanded.values() for decision in others)
        if len(taken) > MAX_DECISIONS:
            problems.append(SpecError(path, f"makes more than {MAX_DECISIONS:,} decisions in all: repeat fewer times"))
            break
        if values > MAX_VALUES:
            more = f"makes {values:,} values of choices in all, of {MAX_VALUES:,} at most: give fewer"
            problems.append(SpecError(path, more))
            break
    refuse(problems)
    return [decision for made in expanded.values() for decision in made]


def _needed(parameter: Parameter) -> set[str]:
    """Names of the others that it depends on."""
    when, repeat = parameter.when, parameter.repeat
    return {name for name in (when and when.parameter, repeat and repeat.count) if name}


class _Expansion:
    """One parameter among those before it."""

    def __init__(
        self, parameter: Parameter, path: str, earlier: dict[str, list[Decision]], names: Sequence[str]
    ) -> None:
        self._parameter = parameter
        self._path = path
        self._earlier = earlier
        self._names = names
        self._domain = _domain(parameter)

    def decisions(self) -> list[Decision]:
        name, when, repeat = self._parameter.name, self._parameter.when, self._parameter.repeat
        if repeat is None:
            return [Decision(name, self._domain, self._switch(when, None) if when else None)]
        if repeat.count is None:
            times = repeat.times or 1
            return [
                Decision(f"{name}.{layer}", self._domain, self._switch(when, layer, times) if when else None)
                for layer in range(times)
            ]
        try:
            count = self._one(repeat.count, f"{self._path}.repeat.count")
            depths = self._depths(count)
        except SpecError as error:
            raise combined([error, *self._condition_problems()]) from None
        return [
            Decision(
                f"{name}.{layer}",
                self._domain,
                self._switch(when, layer, max(depths), counted=True)
                if when
                else count.when_in(depth for depth in depths if depth > layer),
            )
            for layer in range(max(depths))
        ]

    def _condition_problems(self) -> Sequence[SpecError]:
        """What is wrong with the condition, however often the parameter is repeated."""
        when = self._parameter.when
        try:
            if when:
                self._having(self._found(when.parameter, f"{self._path}.when.parameter")[0], when)
        except SpecError as error:
            return error.problems
        return ()

    def _depths(self, count: Decision) -> list[int]:
        field = f"{self._path}.repeat.count"
        if isinstance(count.domain, Int) and count.domain.high > MAX_REPEATS:
            raise SpecError(
                field, f"{count.name} goes up to {count.domain.high:g}, but there are {MAX_REPEATS} layers at most"
            )
        values = numbers(count.domain)
        if not values or any(value != int(value) or value < 0 for value in values):
            raise SpecError(field, f"{count.name} must be an int, or an ordinal of whole numbers, not below 0")
        if not 0 < max(values) <= MAX_REPEATS:
            raise SpecError(field, f"{count.name} must go up to between 1 and {MAX_REPEATS} layers")
        return [int(value) for value in values]

    def _switch(self, when: Condition, layer: int | None, times: int = 1, *, counted: bool = False) -> When:
        """What switches one decision on: where the other is repeated as often, its value in the same layer."""
        field = f"{self._path}.when.parameter"
        others = self._found(when.parameter, field)
        if len(others) == 1 and "." not in others[0].name.removeprefix(when.parameter):
            if counted:
                raise SpecError(field, "must be repeated by the same count, as this parameter is")
            return self._having(others[0], when)
        if layer is None or len(others) != times:
            raise SpecError(field, f"{when.parameter} is repeated: only one repeated as often can depend on it")
        return self._having(others[layer], when)

    def _having(self, other: Decision, when: Condition) -> When:
        domain, path = other.domain, f"{self._path}.when"
        if isinstance(domain, Float):
            raise SpecError(
                f"{path}.parameter", f"{when.parameter} is a float: only choice, ordinal and int can switch"
            )
        size = domain.size() or 0
        if size > MAX_SWITCHES:
            raise SpecError(
                f"{path}.parameter", f"{when.parameter} has {size:,} values: {MAX_SWITCHES:,} at most can switch"
            )
        if when.values is not None:
            known = domain.values if isinstance(domain, Choice) else ()
            hint = f"one of {domain}" if isinstance(domain, Choice) and not numbers(domain) else "asked for by min"
            refuse(
                SpecError(f"{path}.values[{index}]", f"{when.parameter} is never {value!r}: it is {hint}")
                for index, value in enumerate(when.values)
                if value not in known
            )
            return other.when_in(when.values)
        least = when.min or 0.0
        if not (values := numbers(domain)):
            raise SpecError(f"{path}.min", f"{when.parameter} has no numbers: give values")
        if not (switching := [value for value in values if value >= least]):
            raise SpecError(f"{path}.min", f"{when.parameter} is never as large: it is {domain}")
        return other.when_in(switching)

    def _one(self, name: str, field: str) -> Decision:
        found = self._found(name, field)
        if len(found) != 1 or found[0].name != name:
            raise SpecError(field, f"{name} is repeated itself")
        return found[0]

    def _found(self, name: str, field: str) -> list[Decision]:
        if name in self._earlier:
            return self._earlier[name]
        if name in self._names:
            raise SpecError(field, f"{name} must stand before {self._parameter.name}, which depends on it")
        raise SpecError(field, f"{name} is no parameter: there are {', '.join(self._names[:12])}")


def _domain(parameter: Parameter) -> Domain:
    if parameter.numbers is not None:
        return Ordinal(tuple(_number(number) for number in parameter.numbers))
    if parameter.values is not None:
        return (Choice if parameter.type == "choice" else Ordinal)(tuple(parameter.values))
    if parameter.min is None or parameter.max is None:
        raise SpecError("", f"parameter {parameter.name} needs min and max")
    kind = Int if parameter.type == "int" else Float
    return kind(parameter.min, parameter.max, parameter.scale)


def _number(number: float) -> Value:
    return int(number) if number.is_integer() else number

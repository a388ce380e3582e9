"""Spaces of named parameters: choices, whole numbers, numbers."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

from kubenas.space.base import Architecture, InvalidArchitectureError, Space, Value

Scale = Literal["linear", "log"]

# Standard deviation of a number's mutation, in units of its range (SMAC's local search, Hutter et al. 2011).
STEP: Final = 0.2


class Domain(ABC):
    """The values of one parameter."""

    @abstractmethod
    def sample(self, rng: Random) -> Value:
        """One value, uniform on the domain's scale."""

    @abstractmethod
    def mutate(self, value: Value, rng: Random) -> Value:
        """Another value; the same one only where there is no other."""

    @abstractmethod
    def size(self) -> int | None:
        """Number of values, or None where it is unbounded."""

    @abstractmethod
    def at(self, index: int) -> Value:
        """The value at `index`, from 0 to `size`."""

    @abstractmethod
    def parse(self, value: Any) -> Value:
        """The value in JSON.

        Raises:
            ValueError: it is none of this domain.
        """


@dataclass(frozen=True)
class Choice(Domain):
    """One of a few values without order."""

    values: tuple[str, ...]

    def sample(self, rng: Random) -> str:
        """Each value as likely as any other."""
        return rng.choice(self.values)

    def mutate(self, value: Value, rng: Random) -> str:
        """Each other value as likely as any other."""
        return rng.choice([other for other in self.values if other != value] or self.values)

    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    def at(self, index: int) -> str:
        """The value at `index`."""
        return self.values[index]

    def parse(self, value: Any) -> str:
        """The value as it is."""
        if not isinstance(value, str) or value not in self.values:
            raise ValueError(f"{value!r:.80} is none of {', '.join(self.values)}")
        return value

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Number(Domain):
    """A number between `low` and `high`, both included; on a log scale each order of magnitude is as likely."""

    low: float
    high: float
    scale: Scale

    def mutate(self, value: Value, rng: Random) -> int | float:
        """A Gaussian step of deviation `STEP` on the unit interval, reflected at its ends."""
        if self.low == self.high:
            return self._value(self.low)
        number = float(value)
        mutated = self._value(self._from_unit(_reflect(self._to_unit(number) + rng.gauss(0, STEP))))
        return mutated if mutated != number else self._beside(number, rng)

    def parse(self, value: Any) -> int | float:
        """The number; a whole number may be written with or without a fraction, since JSON knows one type."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{value!r:.80} is no number")  # noqa: TRY004 - the type of a value in JSON
        if not self.low <= value <= self.high:
            raise ValueError(f"{value!r:.80} is outside {self}")
        return self._value(value)

    @abstractmethod
    def _value(self, number: float) -> int | float:
        """The value of the domain nearest to `number`."""

    @abstractmethod
    def _beside(self, number: float, rng: Random) -> int | float:
        """A value next to `number`."""

    def _edges(self) -> tuple[float, float]:
        """What the unit interval's ends stand for."""
        return self.low, self.high

    def _to_unit(self, number: float) -> float:
        low, high = map(self._scaled, self._edges())
        # The logs of two neighbouring numbers can be one.
        return (self._scaled(number) - low) / (high - low) if low < high else 0.5

    def _from_unit(self, unit: float) -> float:
        low, high = map(self._scaled, self._edges())
        scaled = low + unit * (high - low)
        return math.exp(scaled) if self.scale == "log" else scaled

    def _scaled(self, number: float) -> float:
        return math.log(number) if self.scale == "log" else number

    def __str__(self) -> str:
        return f"{self.low:.12g} to {self.high:.12g}" + (" (log)" if self.scale == "log" else "")


@dataclass(frozen=True)
class Int(Number):
    """A whole number."""

    def sample(self, rng: Random) -> int:
        """Each value as likely as any other, or by the log of its share of the range."""
        return self._value(self._from_unit(rng.random()))

    def size(self) -> int:
        """Number of values."""
        return int(self.high) - int(self.low) + 1

    def at(self, index: int) -> int:
        """The value at `index`."""
        return int(self.low) + index

    def parse(self, value: Any) -> int:
        """The whole number."""
        number = super().parse(value)
        if number != value:
            raise ValueError(f"{value!r:.80} is no whole number")
        return int(number)

    def _edges(self) -> tuple[float, float]:
        # Half a unit more on each side, so that the first and the last value have a full share.
        return self.low - 0.5, self.high + 0.5

    def _value(self, number: float) -> int:
        return min(max(math.floor(number + 0.5), int(self.low)), int(self.high))

    def _beside(self, number: float, rng: Random) -> int:
        return int(number) + rng.choice([step for step in (-1, 1) if self.low <= number + step <= self.high])


@dataclass(frozen=True)
class Float(Number):
    """A number with a fraction."""

    def sample(self, rng: Random) -> float:
        """Uniform between the bounds, or between their logs."""
        return self._value(self._from_unit(rng.random()))

    def size(self) -> int | None:
        """1 where both bounds are one, else None."""
        return 1 if self.low == self.high else None

    def at(self, index: int) -> float:  # noqa: ARG002 - the only index is 0
        """The only value."""
        return self._value(self.low)

    def _value(self, number: float) -> float:
        return min(max(float(number), self.low), self.high) + 0.0  # no negative zero: JSON would tell them apart

    def _beside(self, number: float, rng: Random) -> float:
        ends = [end for end in (self.low, self.high) if end != number]
        return self._value(math.nextafter(number, rng.choice(ends)))


def _reflect(unit: float) -> float:
    """`unit` folded back into [0, 1] at its ends."""
    folded = unit % 2.0
    return 2.0 - folded if folded > 1.0 else folded


class ParameterSpace(Space):
    """Every combination of the values of named, independent parameters."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        self.domains = dict(domains)
        self._mutable: Sequence[str] = [name for name, domain in self.domains.items() if domain.size() != 1]

    def sample(self, rng: Random) -> Architecture:
        """One architecture, each parameter drawn on its own scale."""
        return Architecture({name: domain.sample(rng) for name, domain in self.domains.items()})

    def mutate(self, architecture: Architecture, rng: Random) -> Architecture:
        """A copy with one parameter changed: a choice drawn anew, a number moved by a Gaussian step on its scale."""
        if not self._mutable:
            return architecture
        name = rng.choice(self._mutable)
        return architecture.with_decision(name, self.domains[name].mutate(architecture[name], rng))

    def size(self) -> int | None:
        """The product of the parameters' numbers of values, or None where one of them is unbounded."""
        total = 1
        for domain in self.domains.values():
            size = domain.size()
            if size is None:
                return None
            total *= size
        return total

    def enumerate(self) -> Iterator[Architecture]:
        """Each architecture once, the last parameter changing fastest.

        Raises:
            ValueError: a parameter is unbounded.
        """
        total = self.size()
        if total is None:
            raise ValueError("a space with a float parameter cannot be enumerated")
        return (self._at(index) for index in range(total))

    def _at(self, index: int) -> Architecture:
        values: list[Value] = []
        for domain in reversed(self.domains.values()):
            index, place = divmod(index, domain.size() or 1)
            values.append(domain.at(place))
        return Architecture(dict(zip(self.domains, reversed(values), strict=True)))

    def key(self, architecture: Architecture) -> str:
        """The values as a JSON array, in the space's order."""
        return json.dumps([architecture[name] for name in self.domains], separators=(",", ":"))

    def parse(self, document: Any) -> Architecture:
        """The architecture in an object of parameters.

        Raises:
            InvalidArchitectureError: a parameter is missing, unknown, or has a value outside its domain.
        """
        if not isinstance(document, Mapping):
            raise InvalidArchitectureError(
                f"an architecture is an object of the parameters {', '.join(self.domains)}, not {document!r:.80}"
            )
        if unknown := [name for name in document if name not in self.domains]:
            raise InvalidArchitectureError(
                f"{unknown[0]!r:.80} is no parameter: the parameters are {', '.join(self.domains)}"
            )
        values: dict[str, Value] = {}
        for name, domain in self.domains.items():
            if name not in document:
                raise InvalidArchitectureError(f"parameter {name} is missing")
            try:
                values[name] = domain.parse(document[name])
            except ValueError as error:
                raise InvalidArchitectureError(f"parameter {name}: {error}") from None
        return Architecture(values)

    def name(self, architecture: Architecture) -> str:
        """The parameters as `name=value`, numbers to six digits."""
        return " ".join(f"{name}={_text(value)}" for name, value in architecture.items())

    def draw(self, architecture: Architecture) -> str:
        """One line a parameter: its name, its value and the values it could have."""
        width = max(map(len, architecture))
        values = {name: _text(value) for name, value in architecture.items()}
        value_width = max(map(len, values.values()))
        return "\n".join(
            f"{name:<{width}}  {values[name]:<{value_width}}  of {domain}" for name, domain in self.domains.items()
        )


def _text(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

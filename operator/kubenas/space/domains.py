"""The values that one decision can have: choices, ordered values, whole numbers, numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal

from kubenas.space.architecture import Value

Scale = Literal["linear", "log"]

# Standard deviation of a number's mutation, in units of its range (SMAC's local search, Hutter et al. 2011).
STEP: Final = 0.2
# The finest step of a number with a fraction, in halvings of its range.
FINEST: Final = 50.0
NEIGHBOUR_STEPS: Final = (-0.2, -0.02, 0.02, 0.2)


class Domain(ABC):
    """The values of one parameter."""

    @abstractmethod
    def sample(self, rng: Random) -> Value:
        """One value, uniform on the domain's scale."""

    @abstractmethod
    def at_share(self, share: float) -> Value:
        """The value at a share of the domain, from 0 (first) to 1 (last), on its scale."""

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
    def neighbours(self, value: Value) -> list[Value]:
        """The values one step away."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of an encoding."""

    @abstractmethod
    def encode(self, value: Value) -> list[float]:
        """The value as numbers in [0, 1]."""

    @abstractmethod
    def parse(self, value: Any) -> Value:
        """The value in JSON.

        Raises:
            ValueError: it is none of this domain.
        """


@dataclass(frozen=True)
class Choice(Domain):
    """One of a few values without order."""

    values: tuple[Value, ...]

    def sample(self, rng: Random) -> Value:
        """Each value as likely as any other."""
        return rng.choice(self.values)

    def at_share(self, share: float) -> Value:
        """Each value has as large a share as any other."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def mutate(self, value: Value, rng: Random) -> Value:
        """Each other value as likely as any other."""
        return rng.choice([other for other in self.values if other != value] or self.values)

    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    def at(self, index: int) -> Value:
        """The value at `index`."""
        return self.values[index]

    def neighbours(self, value: Value) -> list[Value]:
        """All others."""
        return [other for other in self.values if other != value]

    @property
    def width(self) -> int:
        """Number of values."""
        return len(self.values)

    def encode(self, value: Value) -> list[float]:
        """One-hot."""
        return [float(other == value) for other in self.values]

    def parse(self, value: Any) -> Value:
        """The value as it is; numbers may be written with or without a fraction, since JSON knows one type."""
        if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value not in self.values:
            raise ValueError(f"{value!r:.80} is not one of {self}")
        return self.values[self.values.index(value)]

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


@dataclass(frozen=True)
class Ordinal(Choice):
    """One of a few values in order, for example the sizes of a kernel."""

    def neighbours(self, value: Value) -> list[Value]:
        """The value before and the value after."""
        index = self.values.index(value)
        return [self.values[other] for other in (index - 1, index + 1) if 0 <= other < len(self.values)]

    @property
    def width(self) -> int:
        """1."""
        return 1

    def encode(self, value: Value) -> list[float]:
        """The index, scaled to [0, 1]."""
        return [self.values.index(value) / max(1, len(self.values) - 1)]


@dataclass(frozen=True)
class Number(Domain):
    """A number between `low` and `high`, both included; on a log scale each order of magnitude is as likely."""

    low: float
    high: float
    scale: Scale

    def at_share(self, share: float) -> int | float:
        """The value nearest to the share of the range, or of its logarithm."""
        return self._value(self._from_unit(share))

    def mutate(self, value: Value, rng: Random) -> int | float:
        """A Gaussian step with standard deviation `STEP` on the unit interval, reflected at its ends."""
        if self.low == self.high:
            return self._value(self.low)
        number = float(value)
        mutated = self._value(self._from_unit(_reflect(self._to_unit(number) + rng.gauss(0, STEP))))
        return mutated if mutated != number else self._adjacent(number, rng)

    def neighbours(self, value: Value) -> list[Value]:
        """A short and a long step up and down the scale, at least to the next value."""
        if self.low == self.high:
            return []
        number = float(value)
        unit = self._to_unit(number)
        found: dict[Value, None] = {}
        for step in NEIGHBOUR_STEPS:
            if 0.0 <= unit + step <= 1.0:
                stepped = self._value(self._from_unit(unit + step))
                found.setdefault(stepped if stepped != number else self._next(number, step > 0))
        return [other for other in found if other != number]

    @property
    def width(self) -> int:
        """1."""
        return 1

    def encode(self, value: Value) -> list[float]:
        """The number on its scale, from 0 to 1."""
        return [self._to_unit(float(value))]

    def parse(self, value: Any) -> int | float:
        """The number; a whole number may be written with or without a fraction, since JSON knows one type."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{value!r:.80} is no number")  # noqa: TRY004 - the type of a value in JSON
        if not self.low <= value <= self.high:
            raise ValueError(f"{value!r:.80} is outside {self}")
        return self._value(value)

    def stepped(self, value: Value, rng: Random) -> int | float:
        """Another value, a step up or down whose logarithm is uniform; the same one only where there is no other."""
        if self.low == self.high:
            return self._value(self.low)
        number, size = float(value), self.size()
        finest = math.log2(size) if size else FINEST
        step = rng.choice((-1.0, 1.0)) * 2.0 ** -rng.uniform(0.0, finest)
        stepped = self._value(self._from_unit(min(max(self._to_unit(number) + step, 0.0), 1.0)))
        return stepped if stepped != number else self._adjacent(number, rng)

    @abstractmethod
    def _value(self, number: float) -> int | float:
        """The value of the domain nearest to `number`."""

    @abstractmethod
    def _next(self, number: float, up: bool) -> int | float:
        """The value after `number`, or the one before; at an end `number` itself."""

    def _adjacent(self, number: float, rng: Random) -> int | float:
        return self._next(
            number, rng.choice([up for up, end in ((False, self.low), (True, self.high)) if number != end])
        )

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

    def _next(self, number: float, up: bool) -> int:
        return self._value(number + (1 if up else -1))


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

    def _next(self, number: float, up: bool) -> float:
        return self._value(math.nextafter(number, self.high if up else self.low))


def _reflect(unit: float) -> float:
    """`unit` folded back into [0, 1] at its ends."""
    folded = unit % 2.0
    return 2.0 - folded if folded > 1.0 else folded

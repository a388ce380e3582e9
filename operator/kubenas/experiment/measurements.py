"""What measurements on devices come to, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kubenas.api.trial import Measurement


@dataclass(frozen=True, slots=True)
class Measurements:
    """Those of one metric, or of one candidate of it.

    Attributes:
        open: without a value yet, and not given up.
        measured: with a value.
        given_up: without one for good.
        failed: attempts that failed.
        milliseconds: how long pods of ended attempts have run. Whole, so that the sum does not depend on the order.
    """

    open: int = 0
    measured: int = 0
    given_up: int = 0
    failed: int = 0
    milliseconds: int = 0

    @classmethod
    def of(cls, one: Measurement) -> Measurements:
        """A single one."""
        ended = one.completion_time is not None
        return cls(
            open=not ended,
            measured=ended and one.last_failure is None,
            given_up=ended and one.last_failure is not None,
            failed=one.failures,
            milliseconds=round(one.seconds * 1000),
        )

    def __add__(self, other: Measurements) -> Measurements:
        """Both together."""
        return Measurements(
            self.open + other.open,
            self.measured + other.measured,
            self.given_up + other.given_up,
            self.failed + other.failed,
            self.milliseconds + other.milliseconds,
        )

    def never_less(self, before: Measurements) -> Measurements:
        """The same; what has happened has happened, though trials may be deleted."""
        return replace(
            self,
            measured=max(self.measured, before.measured),
            given_up=max(self.given_up, before.given_up),
            failed=max(self.failed, before.failed),
            milliseconds=max(self.milliseconds, before.milliseconds),
        )


def added(known: Mapping[str, Measurements], more: Iterable[Measurement]) -> dict[str, Measurements]:
    """By metric, with `more` of them."""
    found = dict(known)
    for one in more:
        found[one.metric] = found.get(one.metric, Measurements()) + Measurements.of(one)
    return found

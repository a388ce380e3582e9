"""FairNAS: strict fairness (Chu et al., "FairNAS", ICCV 2021, arXiv:1907.01845)."""

from __future__ import annotations

from collections.abc import Sequence

from kubenas.space.base import Space, Value
from kubenas_trial.step import Step
from kubenas_trial.supernets.covering import MAX_VALUES, is_ordered, values_of
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, Unbranched, rng_of


class FairNAS(Unbranched):
    """Each step trains as many sub-networks as a decision has values, each value once, and then updates once.

    Of decisions with fewer values than the longest each value comes as often as any other, or once more. Numbers of
    more than 8 values are drawn, as they are sizes of one operation rather than choices. Constraints are not heeded:
    what they exclude is trained too, as a value would else be trained less than others.
    """

    def __init__(self, space: Space, networks: Networks) -> None:  # noqa: ARG002 - of the protocol
        self._space = space
        self._dealt: dict[str, Sequence[Value]] = {
            each.name: values_of(each)
            for each in space.decisions.values()
            if not is_ordered(each) or (each.domain.size() or MAX_VALUES + 1) <= MAX_VALUES
        }

    def __call__(self, step: Step) -> Paths:
        """Architectures that have each value of each decision equally often."""
        rng = rng_of(step)
        count = max(map(len, self._dealt.values()), default=1)
        columns = {}
        for name, values in self._dealt.items():
            full, rest = divmod(count, len(values))
            columns[name] = rng.sample([*values] * full + rng.sample(values, rest), count)
        return Paths(
            [self._space.complete({name: column[row] for name, column in columns.items()}, rng) for row in range(count)]
        )

"""Progressive shrinking (Cai et al., "Once-for-All", ICLR 2020, arXiv:1908.09791)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubenas.space.base import Space, Value
from kubenas.space.decisions import Decision
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.step import Step
from kubenas_trial.supernets.covering import is_ordered, values_of
from kubenas_trial.supernets.extremes import allowed, extremes
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, Unbranched, rng_of


class ProgressiveShrinking(Unbranched):
    """First the largest sub-network alone, then smaller kernels too, then fewer layers, then smaller widths.

    Each phase takes as long as any other, and lets its sizes down step by step. Sub-networks learn from labels and, as
    much, from the outputs of the largest one, which is trained in the same step; the paper's is trained before.
    Decisions without order are drawn from the beginning. The paper's sorting of channels is left out.
    """

    def __init__(self, space: Space, networks: Networks) -> None:
        self._space = space
        ordered = [each for each in space.decisions.values() if is_ordered(each) and len(values_of(each)) > 1]
        if not ordered:
            raise InvalidTrialError(
                "evaluation.rule: progressive-shrinking lessens sizes, and no decision of this space is one: choose "
                "another rule, such as fairnas"
            )
        _, self._largest = extremes(space, networks)
        switches = {each.when.decision for each in space.decisions.values() if each.when is not None}
        kinds: Mapping[str, list[Decision]] = {"kernel": [], "depth": [], "width": []}
        for each in ordered:
            kind = "kernel" if "kernel" in each.name else "depth" if each.name in switches else "width"
            kinds[kind].append(each)
        self._phases: Sequence[Sequence[Decision]] = [[], *(group for group in kinds.values() if group)]

    def __call__(self, step: Step) -> Paths:
        """The largest, and one that is drawn of those allowed so far."""
        rng, at = rng_of(step), step.progress * len(self._phases)
        if at < 1:
            return Paths([self._largest])
        fixed: dict[str, Value] = {}
        for number, group in enumerate(self._phases):
            for decision in group:
                fixed[decision.name] = rng.choice(self.values(decision, min(max(at - number, 0.0), 1.0)))
        drawn = allowed(self._space, fixed, rng)
        return Paths([self._largest, drawn or self._largest], distillation=0.5)

    def values(self, decision: Decision, share: float) -> Sequence[Value]:
        """The values that are allowed after a share of the decision's phase, those nearest to the largest network's."""
        values = values_of(decision)
        # A layer that the largest network lacks is as large as can be.
        best = values.index(self._largest[decision.name]) if decision.name in self._largest else len(values) - 1
        reach = 0 if share == 0 else 1 + int(share * (len(values) - 1))
        return [value for index, value in enumerate(values) if abs(index - best) <= reach]

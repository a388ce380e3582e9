"""Few-shot: a supernet for each part of the space (Zhao et al., "Few-Shot NAS", ICML 2021, arXiv:2006.06863)."""

from __future__ import annotations

from typing import Final

from kubenas.space.base import Space, Value
from kubenas.space.decisions import Decision
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.step import Step
from kubenas_trial.supernets.covering import MAX_VALUES, is_ordered, values_of
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Paths, rng_of

# As in the paper one supernet is trained first, and its weights are what the others begin from.
_DIVIDED_FROM: Final = 0.5


class FewShot:
    """Each value of one decision gets a supernet of its own, after half of the training of a common one.

    It is the decision with the most values of those that every architecture takes, the first of these, and of choices
    before sizes: more values leave fewer sub-networks to each supernet, and operations share less than sizes do. The
    paper splits any; gradients may say which (Hu et al., ICLR 2022), which costs a training before.
    """

    def __init__(self, space: Space, networks: Networks) -> None:  # noqa: ARG002 - of the protocol
        self._space = space
        able = [
            each
            for each in space.decisions.values()
            if each.when is None and 1 < (each.domain.size() or MAX_VALUES + 1) <= MAX_VALUES
        ]
        if not able:
            raise InvalidTrialError(
                "evaluation.rule: few-shot splits a decision of 2 to 8 values that every architecture takes, and this "
                "space has none: choose another rule, such as fairnas"
            )
        self._split: Decision = max(able, key=lambda each: (not is_ordered(each), len(values_of(each))))
        self.branches: tuple[str, tuple[Value, ...]] | None = self._split.name, tuple(values_of(self._split))

    def __call__(self, step: Step) -> Paths:
        """One architecture, drawn uniformly."""
        return Paths([self._space.sample(rng_of(step))])

    def divides(self, step: Step) -> bool:
        """In the second half of the training."""
        return step.progress >= _DIVIDED_FROM

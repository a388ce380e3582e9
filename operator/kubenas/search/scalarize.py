"""Several objectives as one number, for strategies that improve one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from kubenas.search.base import Observation, Score

# Share of the plain sum, so that what is as bad in its worst objective is told apart (Knowles 2006).
AUGMENTATION: Final = 0.05


def scalarized(observations: Sequence[Observation], rng: Random) -> list[Score]:
    """A score for each observation, by weights drawn anew for each call.

    With one objective it is the observation's own. With several it is the augmented Chebyshev function with weights
    drawn evenly from the simplex, as in ParEGO (Knowles, IEEE Transactions on Evolutionary Computation 2006), over
    the range that the given observations have: repeated calls seek the whole front. The violation of limits stays
    first.

    Args:
        observations: all with a score.
        rng: of the weights; nothing is drawn for one objective.
    """
    if not observations or len(observations[0].objectives) == 1:
        return [observation.known_score for observation in observations]
    values = [observation.objectives for observation in observations]
    weights = _even(len(values[0]), rng)
    lows = [min(column) for column in zip(*values, strict=True)]
    highs = [max(column) for column in zip(*values, strict=True)]
    scores: list[Score] = []
    for observation, point in zip(observations, values, strict=True):
        # 1 is the worst seen, 0 the best.
        costs = [
            weight * (high - value) / (high - low) if high > low else 0.0
            for weight, value, low, high in zip(weights, point, lows, highs, strict=True)
        ]
        scores.append((observation.known_score[0], -(max(costs) + AUGMENTATION * sum(costs))))
    return scores


def _even(count: int, rng: Random) -> list[float]:
    """A point of the simplex, each as likely as any other."""
    cuts = sorted(rng.random() for _ in range(count - 1))
    return [upper - lower for lower, upper in zip([0.0, *cuts], [*cuts, 1.0], strict=True)]

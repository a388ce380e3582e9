"""Results of trainings that were stopped at rungs, for a model to learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kubenas.search.models import Models

if TYPE_CHECKING:
    from kubenas.search.base import Observation, Score
    from kubenas.search.encoding import Encoder
    from kubenas.space.base import Architecture

# Results at a rung that a model can be fitted to.
FEWEST: Final = 2
# Rungs that have a model each; of more, some evenly between the first and the last.
MOST: Final = 4


def models_of(
    encoder: Encoder, observations: Sequence[Observation], seed: int, earlier: Models | None = None
) -> Models:
    """The models of what trainings come to at the highest rung of which enough is known, mostly their end.

    Values at different rungs are never compared. Each rung has models of its own, of all that have come so far, and
    those of a rung are the prior means of the next one's (Kennedy & O'Hagan, Biometrika 2000): where few were trained
    to the end, what is known of the many that were stopped says most. The highest rung is one of which enough is known
    to learn from, as for Falkner et al., "BOHB", ICML 2018, who leave out what is below.

    Args:
        encoder: of the architectures.
        observations: at least one, all with a score.
        seed: of the models.
        earlier: models of results known before, the prior means of the first rung's.
    """
    for results in by_rung(observations):
        earlier = Models(encoder, results, seed, earlier)
    assert earlier is not None  # noqa: S101 - there is at least one rung
    return earlier


def by_rung(observations: Sequence[Observation]) -> list[Sequence[Observation]]:
    """What the trainings have come to at each rung of which enough is known, from the lowest up."""
    if not any(one.epochs or one.rungs for one in observations):
        return [observations]
    # By architecture, as one that went on in another trial is there once for each.
    found: dict[float, dict[Architecture, Observation]] = {}
    for one in observations:
        seen: dict[float, tuple[Score, tuple[float, ...]]] = dict(one.rungs.items())
        seen[one.epochs or math.inf] = one.known_score, one.values
        for epochs, (score, values) in seen.items():
            found.setdefault(epochs, {})[one.architecture] = replace(one, score=score, values=values, rungs={})
    rungs = [epochs for epochs in sorted(found) if len(found[epochs]) >= FEWEST]
    if len(rungs) > MOST:
        rungs = [rungs[round(place * (len(rungs) - 1) / (MOST - 1))] for place in range(MOST)]
    return [[*found[epochs].values()] for epochs in rungs] or [observations]


def tried(observations: Sequence[Observation], first: Sequence[Architecture]) -> list[Architecture]:
    """The architectures of all results: `first`, then the others by their highest rungs and by what they were there."""
    rest = sorted(observations, key=lambda one: (one.epochs or math.inf, one.known_score), reverse=True)
    return list(dict.fromkeys([*first, *(one.architecture for one in rest)]))

"""How far cheap judgements of candidates put them in the order that their training then has found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kubenas.api.metric_names import SCORE, of_proxies

if TYPE_CHECKING:
    from kubenas.api.objective import Objective
    from kubenas.experiment.judged import Judged
    from kubenas.experiment.ledger import Ledger
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.space.base import Architecture

# What all other scores are to be compared with: it needs no more than the architecture.
FLOPS: Final = "flops"


@dataclass(frozen=True, slots=True)
class Ranking:
    """Kendall's tau-b of judgements with the primary objective after training.

    Attributes:
        stage: where the candidates were trained.
        candidates: how many were judged and trained.
        correlations: by metric, the greatest first; without those that have one value only.
        inherited: whether training began with the supernet's weights.
    """

    stage: str | None
    candidates: int
    correlations: Mapping[str, float]
    inherited: bool = False


def proxy_ranking(objective: Objective, stages: Sequence[ResolvedStage], ledger: Ledger) -> Ranking | None:
    """That of zero-cost proxies, and of the scores that they make together; None where no stage has any.

    Args:
        objective: the primary one.
        stages: the experiment's.
        ledger: their trials.
    """
    columns = {
        stage.index: (SCORE, FLOPS, *of_proxies(stage.evaluation.proxies or ()))
        for stage in stages
        if stage.evaluation.method == "zero-cost"
    }
    judged = ((stage, columns[stage.index], 1) for stage in stages if stage.index in columns)
    return _ranking(objective, stages, ledger, tuple(judged))


def supernet_ranking(objective: Objective, stages: Sequence[ResolvedStage], ledger: Ledger) -> Ranking | None:
    """That of the primary objective with a supernet's weights; None where no stage judges by a supernet."""
    sign = 1 if objective.goal == "maximize" else -1
    judged = tuple((stage, (objective.metric,), sign) for stage in stages if stage.evaluation.method == "supernet")
    return _ranking(objective, stages, ledger, judged)


def _ranking(
    objective: Objective,
    stages: Sequence[ResolvedStage],
    ledger: Ledger,
    judged: Sequence[tuple[ResolvedStage, Sequence[str], int]],
) -> Ranking | None:
    """Of the training stage that has most of the candidates: trainings of different stages cannot be compared.

    Args:
        objective: the primary one.
        stages: the experiment's.
        ledger: their trials.
        judged: stages with their metrics, and the sign by which greater is better.
    """
    if not judged:
        return None
    best = Ranking(None, 0, {})
    for stage in stages:
        earlier = [one for one in judged if one[0].index < stage.index]
        if stage.evaluation.method != "train" or not earlier:
            continue
        trained = _values(objective, ledger.stage(stage.name).candidates())
        known: dict[Architecture, dict[str, float]] = {}
        for before, metrics, sign in earlier:
            for one in ledger.stage(before.name).candidates():
                if one.architecture in trained:
                    found = {name: sign * one.metrics[name] for name in metrics if name in one.metrics}
                    known.setdefault(one.architecture, {}).update(found)
        both = [architecture for architecture in trained if known.get(architecture)]
        if len(both) >= max(best.candidates, 1):
            inherited = bool(stage.evaluation.inherit)
            correlations = _correlations([trained[one] for one in both], [known[one] for one in both])
            best = Ranking(stage.name, len(both), correlations, inherited)
    return best


def _values(objective: Objective, candidates: Iterable[Judged]) -> dict[Architecture, float]:
    """The objective of each candidate with a score, greater being better."""
    sign = 1 if objective.goal == "maximize" else -1
    return {one.architecture: sign * one.metrics[objective.metric] for one in candidates if one.score is not None}


def _correlations(values: Sequence[float], known: Sequence[Mapping[str, float]]) -> dict[str, float]:
    # Only experiments with such stages need NumPy for it.
    from kubenas.scores.correlation import kendall  # noqa: PLC0415

    names = sorted({name for one in known for name in one})
    found = {name: kendall([one.get(name, math.nan) for one in known], values) for name in names}
    told = [(name, value) for name, value in found.items() if value is not None]
    return dict(sorted(told, key=lambda one: -one[1]))

"""What trainings, and searches by gradients, tell of the cheap ways to judge: worked out once for each result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubenas.experiment.convergence import convergence
from kubenas.experiment.rankings import Ranking, proxy_ranking, supernet_ranking
from kubenas.experiment.state import trial_name
from kubenas.experiment.usefulness import proxy_usefulness, ranking_reliability

if TYPE_CHECKING:
    from kubenas.api.experiment import NASExperiment
    from kubenas.api.objective import Objective
    from kubenas.experiment.finding import Finding
    from kubenas.experiment.ledger import Ledger
    from kubenas.experiment.stages import ResolvedStage


@dataclass(frozen=True, slots=True)
class Judgements:
    """What is known of an experiment's ways to judge; None where it does not have that way.

    Attributes:
        proxies: how zero-cost proxies have ranked what was trained.
        supernet: how a supernet has.
        searches: number of the trial and metrics of each differentiable search that has ended, in order of trials.
    """

    proxies: Ranking | None
    supernet: Ranking | None
    searches: Sequence[tuple[int, Mapping[str, float]]] | None


def judgements(objective: Objective, stages: Sequence[ResolvedStage], ledger: Ledger) -> Judgements:
    """Those of an experiment.

    Args:
        objective: the primary one.
        stages: the experiment's.
        ledger: their trials.
    """
    searching = [stage for stage in stages if stage.evaluation.method == "differentiable"]
    ended = [one for stage in searching for one in ledger.stage(stage.name).candidates() if one.score is not None]
    searches = sorted(((one.trial, one.metrics) for one in ended), key=lambda one: one[0]) if searching else None
    return Judgements(proxy_ranking(objective, stages, ledger), supernet_ranking(objective, stages, ledger), searches)


def findings(experiment: NASExperiment, known: Judgements) -> Iterator[tuple[str, Finding]]:
    """The conditions that say so, by type; none of a way to judge that the experiment does not have."""
    objective = experiment.spec.objectives[0]
    if known.searches is not None:
        name = experiment.metadata.name
        yield "Converged", convergence([(trial_name(name, trial), metrics) for trial, metrics in known.searches])
    if known.proxies is not None:
        yield "ProxyUseful", proxy_usefulness(known.proxies, objective)
    if known.supernet is not None:
        yield "RankingReliable", ranking_reliability(known.supernet, objective)

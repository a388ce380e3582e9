"""Method `zero-cost`: judge candidates by proxies, without training them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kubenas.api.metric_names import ALWAYS, INT8, MEASURES
from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.contract import Trial
from kubenas_trial.errors import NonFiniteMetricError
from kubenas_trial.evaluation.peak import peak_of_training
from kubenas_trial.evaluation.reporter import Reporter
from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.measure.measures import before_training
from kubenas_trial.proxies.base import Proxy, score
from kubenas_trial.proxies.load import load_proxies
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.tasks.base import Task

_LOG = logging.getLogger("kubenas_trial")
# Of a result that took no epoch.
_STEP = 0


def evaluate(task: Task[Any, Any], trial: Trial, reporter: Reporter) -> None:
    """Score each candidate of `trial`, one after another; one that fails does so alone.

    Raises:
        InvalidTrialError: a proxy is unknown.
        TrialError: these are more results than a trial can have.
    """
    evaluation = trial.document.evaluation
    proxies = load_proxies(evaluation.proxies)
    measures = (name for measure in task.settings.measure if measure != INT8 for name in MEASURES[measure])
    costs = trial.space.costs(trial.candidates[0].architecture)
    trial.check_room([*(name for proxy in proxies for name in proxy.metrics), *costs, *ALWAYS, *measures])
    probe = Probe.of(task, evaluation.input, trial.seed)
    for candidate in trial.candidates:
        try:
            scores = judge(task, trial.document.search_space, candidate.architecture, proxies, probe, trial.seed)
        except Exception as error:
            trial.fail(candidate, error)
        else:
            reporter.report(candidate, _STEP, **scores)


def judge(
    task: Task[Any, Any],
    space: SearchSpace,
    architecture: Architecture,
    proxies: Sequence[Proxy],
    probe: Probe,
    seed: int,
) -> dict[str, float]:
    """The scores of one architecture, by `seed` and regardless of what was judged before.

    Metrics: those of `proxies`, what the space knows of its costs, `params` (weights), `flops` (multiply-adds of one
    example), `seconds` (all that it took), `peak_memory_mb` (of a step of training), and what `task.settings.measure`
    lists. A proxy whose score is NaN or infinite is left out, and the log says so.

    Raises:
        InvalidTrialError: the architecture makes no network of this task, or one that a proxy makes no sense for.
    """
    start = time.monotonic()
    network = built(task, space, architecture, seed)
    return {
        **build_space(space).costs(architecture),
        **scores_of(network, proxies, probe, seed),
        "params": count_parameters(network),
        "flops": probe.flops(network),
        **before_training(task, network),
        "peak_memory_mb": peak_of_training(task, network, probe.batches[0]),
        "seconds": time.monotonic() - start,
    }


def built(task: Task[Any, Any], space: SearchSpace, architecture: Architecture, seed: int) -> nn.Module:
    """The network that is scored: its initial weights follow from `seed`.

    Raises:
        InvalidTrialError: the architecture makes no network of this task.
    """
    torch.manual_seed(seed)
    return task.build(architecture, space)


def scores_of(network: nn.Module, proxies: Sequence[Proxy], probe: Probe, seed: int) -> dict[str, float]:
    """The metrics of `proxies`, without those that are NaN or infinite.

    Raises:
        InvalidTrialError: a proxy makes no sense for this network.
    """
    scores: dict[str, float] = {}
    for proxy in proxies:
        try:
            scores |= score(proxy, network, probe, seed)
        except NonFiniteMetricError as error:
            # As of a network whose output does not depend on its input; it ranks last where it has no score.
            _LOG.warning("%s", error)
    return scores

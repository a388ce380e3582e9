"""Tries pods that are needed only later, before anything is spent that they would lose.

A mistake in an alternative would be found once pods were taken away, one in `measuredOn` once a network was trained.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kubenas.api.experiment import ExperimentSpec, NASExperiment
from kubenas.cluster.benchmarks import benchmark_manifest
from kubenas.cluster.client import ApiError, Client, Object
from kubenas.cluster.names import pods
from kubenas.cluster.pods import PodDefaults, pod_manifest
from kubenas.experiment.benchmarks import Benchmark
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial

# What no wait mends: no pod at all, or not a valid one. A quota or an unreachable apiserver says nothing of later.
_WRONG: Final = frozenset({400, 422})


class LaterPods:
    """What the apiserver says of the pods that an experiment needs later."""

    def __init__(self, client: Client, defaults: PodDefaults) -> None:
        self._client = client
        self._defaults = defaults
        self._tried: ExperimentSpec | None = None
        self._lock = asyncio.Lock()

    async def check(self, experiment: NASExperiment, stage: ResolvedStage, trial: Trial) -> None:
        """Ask for them without making them, once for each specification that they follow from.

        Args:
            stage: the trial's.
            trial: one whose pods they would be.

        Raises:
            ApiError: one of them will be refused, with the field that it comes from.
        """
        async with self._lock:
            if self._tried is not None and _same(self._tried, experiment.spec):
                return
            for field, manifest in self._pods(experiment, stage, trial):
                try:
                    await self._client.try_create(pods(experiment.metadata.namespace), manifest)
                except ApiError as error:
                    if error.code in _WRONG:
                        raise ApiError(error.code, error.reason, f"{field}: {error.message}") from error
            self._tried = experiment.spec

    def _pods(self, experiment: NASExperiment, stage: ResolvedStage, trial: Trial) -> Iterator[tuple[str, Object]]:
        """The pods, each with the field that it follows from."""
        for index, one in enumerate(experiment.spec.trial_template.alternatives):
            taken = replace(trial, status=trial.status.model_copy(update={"disruptions": one.after_disruptions}))
            manifest = pod_manifest(experiment, stage, taken, self._defaults, "")
            yield f"trialTemplate.alternatives[{index}]", manifest
        for index, objective in enumerate(experiment.spec.objectives):
            if objective.measured_on is not None:
                made = Benchmark(trial, trial.candidates[0].id, objective, index, attempt=1)
                yield f"objectives[{index}].measuredOn", benchmark_manifest(experiment, made, self._defaults)


def _same(one: ExperimentSpec, other: ExperimentSpec) -> bool:
    """Whether the same pods follow from both; `trials`, which an autoscaler changes all the time, has no part in it."""
    fields = ("trial_template", "objectives", "storage", "queue_name", "workload_priority_class")
    return all(getattr(one, field) == getattr(other, field) for field in fields)

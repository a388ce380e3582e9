"""What the operator remembers of one experiment: the newest state that watches, lists and answers have shown.

Every source goes through the same `put_…`: older than what is known is ignored, so that events may come late,
twice or out of order.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TypeAlias

from pydantic import ValidationError

from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import Source
from kubenas.cluster.client import Object
from kubenas.cluster.names import EXPERIMENT_UID_LABEL
from kubenas.cluster.observe import attempt_of, trial_of, version
from kubenas.experiment.accept import problems
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed
from kubenas.experiment.stages import stage_plans
from kubenas.experiment.state import Attempt, Readings, Trial, trial_number
from kubenas.search.base import Strategy
from kubenas.search.load import build_strategy
from kubenas.space.base import InvalidArchitectureError, Space
from kubenas.space.load import build_space
from kubenas.space.parameters import ParameterSpace

Key: TypeAlias = tuple[str, str]

_LOG = logging.getLogger(__name__)


class Store:
    """One experiment's state.

    Attributes:
        changed: set by every change; the experiment's loop waits for it.
        refusal: what the apiserver said when it last refused a pod, until it takes one.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.changed = asyncio.Event()
        self.experiment: NASExperiment | None = None
        self.problems: list[SpecError] = []
        self.readings = Readings()
        self.refusal: str | None = None
        self._uid = ""
        self._version = 0
        self._unreadable = False
        self._ledger: Ledger | None = None
        self._strategy: Strategy | None = None
        self._attempts: dict[str, Attempt] = {}
        # Newest known resource version by name; kept for deleted objects, so that late events do not revive them.
        self._trial_versions: dict[str, int] = {}
        self._pod_versions: dict[str, int] = {}
        # Trials and pods that came before their experiment.
        self._early: list[Object] = []

    def observed(self) -> Observed | None:
        """Everything known, or None as long as the experiment itself is not."""
        if self.experiment is None or self._ledger is None:
            return None
        return Observed(
            experiment=self.experiment,
            ledger=self._ledger,
            strategy=self._strategy,
            attempts=self._attempts,
            readings=self.readings,
            problems=self.problems,
            refusal=self.refusal,
        )

    @property
    def uid(self) -> str:
        """The experiment's uid; empty as long as it is not known."""
        return self._uid

    def older_than(self, at: int) -> bool:
        """Whether the experiment was last seen at resource version `at` or before."""
        return self._version <= at

    def put_experiment(self, document: Object) -> None:
        """Take in the experiment."""
        uid = document["metadata"]["uid"]
        if uid != self._uid:
            self._begin(uid)
        if version(document) <= self._version:
            return
        self._version = version(document)
        try:
            experiment = NASExperiment.model_validate(document)
        except ValidationError as error:
            # The schema lets through what the models refuse only where both are of different versions.
            self.problems = problems_of(error)
            self._unreadable = True
            _LOG.warning("%s/%s cannot be read: %s", *self.key, "; ".join(str(p) for p in self.problems))
            self.changed.set()
            return
        if self.experiment is None or self._unreadable or experiment.spec != self.experiment.spec:
            self._read_spec(experiment)
        self._unreadable = False
        self.experiment = experiment
        early, self._early = self._early, []
        for one in early:
            self._put(one)
        self.changed.set()

    def put_trial(self, document: Object) -> None:
        """Take in a trial."""
        self._put(document)

    def put_pod(self, document: Object) -> None:
        """Take in a pod."""
        self._put(document)

    def drop_trial(self, name: str, at: int) -> None:
        """A trial was deleted, at resource version `at`."""
        known = self._trial_versions.get(name)
        if known is None or known > at or self._ledger is None:
            return
        self._trial_versions[name] = at
        self._ledger.remove(trial_number(name))
        self.changed.set()

    def forget_trial(self, name: str) -> None:
        """A trial turned out to be deleted."""
        self.drop_trial(name, self._trial_versions.get(name, 0))

    def drop_pod(self, name: str, at: int) -> None:
        """A pod was deleted, at resource version `at`."""
        if self._pod_versions.get(name, 0) > at:
            return
        self._pod_versions[name] = at
        if self._attempts.pop(name, None):
            self.changed.set()

    def keep_only(self, trials: set[str], pods: set[str], at: int) -> None:
        """Drop what a complete list, at resource version `at`, does not have; newer objects stay."""
        if self._ledger is None:
            return
        for name in [n for n, v in self._trial_versions.items() if v <= at and n not in trials]:
            self.drop_trial(name, at)
            del self._trial_versions[name]
        for name in [n for n, v in self._pod_versions.items() if v <= at and n not in pods]:
            self.drop_pod(name, at)
            del self._pod_versions[name]

    def mark_leaving(self, attempt: Attempt, gone_by: float) -> None:
        """Note that a pod's deletion was asked for, before a watch says so."""
        if attempt.name in self._attempts:
            self._attempts[attempt.name] = dataclasses.replace(attempt, gone_by=gone_by)

    def _begin(self, uid: str) -> None:
        """A new experiment, perhaps in place of a deleted one of the same name."""
        early, changed = self._early, self.changed
        self.__init__(self.key)  # type: ignore[misc]
        # The loop waits for the event that it knows.
        self._uid, self._early, self.changed = uid, early, changed

    def _read_spec(self, experiment: NASExperiment) -> None:
        self.problems = problems(experiment)
        if self._ledger is None:
            self._ledger = Ledger(_space(experiment), experiment.spec.objectives, stage_plans(experiment.spec)[0].name)
        try:
            self._strategy = build_strategy(experiment.spec.search, self._ledger.space)
        except SpecError:
            self._strategy = None  # `problems` says why
        source: Source = "Prometheus" if experiment.spec.metrics.source == "Prometheus" else "Pod"
        self.readings.source = source

    def _put(self, document: Object) -> None:
        if self.experiment is None or self._ledger is None:
            self._early.append(document)
            return
        metadata = document["metadata"]
        if metadata.get("labels", {}).get(EXPERIMENT_UID_LABEL) != self._uid:
            return  # of a deleted experiment of the same name
        name = metadata["name"]
        is_pod = document.get("kind") == "Pod"
        versions = self._pod_versions if is_pod else self._trial_versions
        if versions.get(name, 0) >= version(document):
            return
        versions[name] = version(document)
        if is_pod:
            attempt = attempt_of(document)
            if self._attempts.get(name) == attempt:
                return
            self._attempts[name] = attempt
        else:
            self._put_trial(trial_of(document), self._ledger)
        self.changed.set()

    def _put_trial(self, trial: Trial, ledger: Ledger) -> None:
        try:
            ledger.put(trial)
        except InvalidArchitectureError as error:
            _LOG.warning("trial %s is left out: %s", trial.name, error)
        if trial.finished:
            self.readings.curves.pop(trial.name, None)


def _space(experiment: NASExperiment) -> Space:
    try:
        return build_space(experiment.spec.search_space)
    except SpecError:
        return ParameterSpace({})  # `problems` says why; there is nothing to search

"""What the operator remembers of one experiment: the newest state that watches, lists and answers have shown.

Every source goes through the same `put_…`: older than what is known is ignored, so that events may come late,
twice or out of order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from kubenas.api.errors import SpecError
from kubenas.api.experiment import ExperimentSpec, NASExperiment
from kubenas.api.status import Imported
from kubenas.cluster.checker import CHECKER
from kubenas.cluster.client import Object
from kubenas.cluster.documents import check_size, experiment_of, problems_in
from kubenas.cluster.known_pods import KnownPods
from kubenas.cluster.known_trials import KnownTrials
from kubenas.cluster.names import EXPERIMENT_UID_LABEL
from kubenas.cluster.observe import attempt_of, trial_of, version
from kubenas.cluster.ownership import is_attempt, is_trial
from kubenas.cluster.turns import Turn
from kubenas.cluster.unreadable import Kind, Unreadable
from kubenas.cluster.unverified import UnverifiedTrials
from kubenas.experiment.admission import QueueReason
from kubenas.experiment.device_queues import Refusal
from kubenas.experiment.failures import Failures
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed
from kubenas.experiment.progress import Progress
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, Readings, Trial, trial_number
from kubenas.experiment.validation import ResolvedSpec
from kubenas.experiment.warm_start import observations
from kubenas.metrics.selection import Snapshot
from kubenas.space.base import Space

Key: TypeAlias = tuple[str, str]


class Store:
    """One experiment's state.

    Attributes:
        changed: set by every change; the experiment's loop waits for it.
        document: the experiment as it came last, whether or not it can be read.
        pods: what is known of them.
        unverified: ended trials that somebody may have deleted.
        refusal: what the apiserver said when it last refused a trial or a pod of one, until it takes one.
        refusals: as `refusal`, of pods that measure on devices, by the number of the objective.
        progress: what the last reconcile has found.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.changed = asyncio.Event()
        self.document: Object | None = None
        self.experiment: NASExperiment | None = None
        self.problems: list[SpecError] = []
        self.readings = Readings()
        self.refusal: str | None = None
        self.refusals: dict[int, Refusal] = {}
        self.progress: Progress | None = None
        self._failures = Failures()
        self._uid = ""
        self._version = 0
        # Resource versions at which the specification last changed, and of the one that `_stages` were made from.
        self._spec_at = 0
        self._read_at = 0
        self._unreadable = False
        self._space: Space | None = None
        self._ledger: Ledger | None = None
        self._stages: tuple[ResolvedStage, ...] = ()
        self._trials, self.pods = KnownTrials(), KnownPods()
        # What the ledger has not been told yet: `settle` does that.
        self._news: deque[Callable[[Ledger], None]] = deque()
        # Trials and pods that came before the experiment was read.
        self._early: list[tuple[Kind, Object]] = []
        self._left_out = Unreadable()
        self.unverified = UnverifiedTrials()
        # What other experiments bring, as long as it is not recorded, and what is wrong with it; whether it is known.
        self.imported: list[Imported] = []
        self.warm_start_problems: list[SpecError] = []
        self._learned = False
        # Why an attempt is not admitted by its queue.
        self.queue_reason: QueueReason | None = None

    def observed(self) -> Observed | None:
        """Everything known, or None as long as the experiment itself is not, or `read` has not come to it."""
        if self.experiment is None or self._ledger is None or self._read_at != self._spec_at:
            return None
        return Observed(
            experiment=self.experiment,
            ledger=self._ledger,
            stages=self._stages,
            attempts=self.pods.attempts(),
            benchmarks=self.pods.benchmarks(),
            readings=self.readings,
            problems=[*self.problems, *self.warm_start_problems],
            refusal=self.refusal,
            refusals=dict(self.refusals),
            imported=self.imported,
            queue_reason=self.queue_reason,
            unreadable=[*self._left_out.messages(), *self._ledger.unreadable()],
        )

    def settle(self) -> None:
        """Tell the ledger what has come in; in whatever thread plans, but only in one at a time."""
        while self._ledger is not None and self._news:
            self._news.popleft()(self._ledger)

    def snapshot(self) -> Snapshot:
        """What is exported of the experiment."""
        return Snapshot(self.key[0], self.experiment, self.progress, self._failures.counts)

    @property
    def space(self) -> Space | None:
        """What is searched, once the specification was checked."""
        return self._space

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
        self.document = document
        try:
            experiment = experiment_of(document, self.experiment)
        except Exception as error:
            # The schema lets little through that the models refuse, but whatever it is, others must not feel it.
            self._left_out.put("NASExperiment", document, error)
            self.problems = problems_in(error)
            self._unreadable = True
            self.changed.set()
            return
        self._left_out.drop("NASExperiment", self.key[1])
        if self.experiment is None or self._unreadable or experiment.spec != self.experiment.spec:
            self._spec_at = self._version
        self._unreadable = False
        self.experiment = experiment
        self._learn()
        self.changed.set()

    async def read(self) -> None:
        """Check and build what a new specification describes; elsewhere, as constraints and libraries take long."""
        while self.experiment is not None and self._read_at != self._spec_at:
            reading, spec = self._spec_at, self.experiment.spec
            resolved = await CHECKER.resolve(self.key[0], spec, self._space)
            if reading == self._spec_at:
                self._take_in(reading, spec, resolved)
                early, self._early = self._early, []
                turn = Turn()
                for kind, one in early:
                    self._put(kind, one)
                    await turn.shared()

    def put_trial(self, document: Object) -> None:
        """Take in a trial."""
        self._put("NASTrial", document)

    def put_pod(self, document: Object) -> None:
        """Take in a pod."""
        self._put("Pod", document)

    def drop_trial(self, name: str, at: int) -> None:
        """A trial was deleted, at resource version `at`."""
        known = self._trials.versions.newest(name)
        if known is None or known > at or self._ledger is None:
            return
        self._trials.versions.put(name, at)
        self._forget_readings(name)
        self._trials.drop(name)
        self.unverified.verified(name)
        self._news.append(lambda ledger: ledger.remove(trial_number(name)))
        self._left_out.drop("NASTrial", name)
        self.changed.set()

    def forget_trial(self, name: str) -> None:
        """A trial turned out to be deleted."""
        self.drop_trial(name, self._trials.versions.newest(name) or 0)

    def drop_pod(self, name: str, at: int, last: Object | None = None) -> None:
        """A pod was deleted, at resource version `at`; `last` is what it was then, if that is known.

        What became of a trial's current attempt is decided from that, as its end may never have been shown alone.
        """
        if (self.pods.versions.newest(name) or 0) > at:
            return
        self.pods.versions.put(name, at)
        self._left_out.drop("Pod", name)
        known = self.pods.drop(name)
        ended = known is not None and self._trials.has_ended(known.trial)
        self.unverified.pod_deleted(name, known.trial if known is not None and ended else None)
        if known is None:
            return
        if last is not None and self._ledger is not None:
            self.pods.put_departed(known, last, self._trials.unfinished(known.trial))
        self.changed.set()

    def keep_only(self, trials: set[str], pods: set[str], at: int) -> None:
        """Drop what a complete list, at resource version `at`, does not have; newer objects stay."""
        if self._ledger is None:
            return
        for name in self._trials.versions.missing(trials, at):
            self.drop_trial(name, at)
            self._trials.versions.forget(name)
        for name in self.pods.versions.missing(pods, at):
            self.drop_pod(name, at)
            self.pods.versions.forget(name)

    def mark_leaving(self, attempt: Attempt, gone_by: float) -> None:
        """Note that a pod's deletion was asked for, before a watch says so."""
        self.pods.mark_leaving(attempt, gone_by)

    def has_left(self, attempt: Attempt) -> bool:
        """Whether a pod is gone, or its deletion was asked for: since a plan was made, perhaps."""
        return self.pods.has_left(attempt)

    def _begin(self, uid: str) -> None:
        """A new experiment, perhaps in place of a deleted one of the same name."""
        changed = self.changed
        self.__init__(self.key)  # type: ignore[misc]
        # The loop waits for the event that it knows.
        self._uid, self.changed = uid, changed

    def _take_in(self, at: int, spec: ExperimentSpec, resolved: ResolvedSpec) -> None:
        self._read_at = at
        if not self._unreadable:
            self.problems = list(resolved.problems)
        self._space, self._stages = resolved.space, resolved.stages
        self.readings.source = spec.metrics.source
        if self._ledger is None:
            # Without a space there is nothing to search; `problems` says why.
            space = resolved.space or Space(())
            self._ledger = Ledger(space, self._stages)
            self._learn()

    def _learn(self) -> None:
        """Give the search what its status has recorded of other experiments, once."""
        experiment, ledger, space = self.experiment, self._ledger, self._space
        if self._learned or experiment is None or ledger is None or space is None or not experiment.status.warm_start:
            return
        self._learned = True
        objectives, sources = experiment.spec.objectives, experiment.status.warm_start
        self._news.append(lambda ledger: ledger.learn(observations(objectives, space, sources)))

    def _put(self, kind: Kind, document: Object) -> None:
        """Take in a trial or a pod. One that cannot be read is left out: whatever it is, the others go on."""
        if (document["metadata"].get("labels") or {}).get(EXPERIMENT_UID_LABEL) != self._uid:
            return  # of a deleted experiment of the same name
        if self.experiment is None or self._ledger is None:
            self._early.append((kind, document))
            return
        name, is_pod = document["metadata"]["name"], kind == "Pod"
        versions = self.pods.versions if is_pod else self._trials.versions
        if versions.outdates(name, version(document)):
            return
        try:
            if is_pod:
                own = is_attempt(document, self.key[1], self._trials.uids)
            else:
                own = is_trial(document, self.key[1], self._uid)
            if not own:
                return
            versions.put(name, version(document))
            check_size(document, "spec", "status")
            if is_pod:
                self._put_pod(attempt_of(document))
            else:
                self._put_trial(trial_of(document))
        except Exception as error:
            versions.put(name, version(document))
            self._left_out.put(kind, document, error)
            self.changed.set()
        else:
            self._left_out.drop(kind, name)

    def _put_pod(self, attempt: Attempt) -> None:
        if self.pods.put(attempt):
            self.changed.set()

    def has(self, trial: Trial) -> bool:
        """Whether that trial exists, and not another one of its name in its place."""
        return self._trials.uids.get(trial.name) == trial.uid

    def _forget_readings(self, name: str) -> None:
        """What was read of a deleted trial is none of the one that is made in its place."""
        gone = self._trials.unfinished(name)
        if gone is not None:
            self.readings.forget_attempt(gone.attempt_name)

    def _put_trial(self, trial: Trial) -> None:
        if not self.has(trial):
            self._forget_readings(trial.name)
        if self._trials.put(trial):
            self.pods.drop_others(trial)
        self._failures.put(trial)
        self._news.append(lambda ledger: ledger.put(trial))
        self.changed.set()
        self.readings.forget(trial)
        self.pods.drop_past(trial)

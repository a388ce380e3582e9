"""What is remembered of an experiment's pods: the newest state of each."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping

from kubenas.cluster.client import Object
from kubenas.cluster.observe import attempt_of
from kubenas.cluster.operator_metrics import TRIAL_PHASES
from kubenas.cluster.versions import Versions
from kubenas.experiment.admission import since_admission
from kubenas.experiment.benchmarks import awaited
from kubenas.experiment.clocks import by_own_clock
from kubenas.experiment.phases import phases_ended
from kubenas.experiment.state import Attempt, Trial, past_attempts

_LOG = logging.getLogger(__name__)


class KnownPods:
    """Attempts by the names of their pods.

    Attributes:
        versions: of all pods that were heard of.
    """

    def __init__(self) -> None:
        self.versions = Versions()
        self._attempts: dict[str, Attempt] = {}
        # Devices of claims by the uids of the pods that have them; pods themselves do not tell how many.
        self._claimed: dict[str, Mapping[str, float]] = {}

    def attempts(self) -> dict[str, Attempt]:
        """Attempts at trials that exist now, by name."""
        return {name: self._with_claims(one) for name, one in self._attempts.items() if one.benchmark is None}

    def unread_claims(self) -> list[Attempt]:
        """Attempts on a node with claims of which it is not known how many devices they hold."""
        known = self._claimed
        return [a for a in self.attempts().values() if a.claims and a.node and not a.gone and a.uid not in known]

    def put_claimed(self, attempt: Attempt, devices: Mapping[str, float]) -> None:
        """Note how many devices an attempt's claims hold, by their names in the pod."""
        there = {one.uid for one in self._attempts.values()}
        self._claimed = {uid: known for uid, known in self._claimed.items() if uid in there}
        self._claimed[attempt.uid] = devices

    def benchmarks(self) -> dict[str, Attempt]:
        """Attempts to measure candidates on devices that exist now, by name."""
        return {name: one for name, one in self._attempts.items() if one.benchmark is not None}

    def put(self, attempt: Attempt) -> bool:
        """Take in an attempt; whether it says anything new."""
        known = self._attempts.get(attempt.name)
        now = time.time()
        attempt = by_own_clock(known, since_admission(known, attempt, now), now)
        if known == attempt:
            return False
        _observe_phases(known, attempt)
        self._attempts[attempt.name] = attempt
        return True

    def drop(self, name: str) -> Attempt | None:
        """Forget an attempt; what was known of it."""
        return self._attempts.pop(name, None)

    def put_departed(self, known: Attempt, last: Object, trial: Trial | None) -> None:
        """Keep the last state of a deleted pod, where what becomes of its trial is to be decided from it.

        Args:
            known: what was known of it.
            last: what it was when it was deleted.
            trial: its trial, where that has not ended.
        """
        now = time.time()
        try:
            attempt = by_own_clock(known, attempt_of(last), now).departed(now)
        except Exception as error:  # whatever it is, others must not feel it
            where = last["metadata"].get("namespace")
            _LOG.warning("%s: the last state of pod %s cannot be read: %s", where, known.name, error)
            attempt = known.departed(now)
        _observe_phases(known, attempt)
        if trial is None or trial.name != attempt.trial:
            return
        if known.benchmark is not None:
            decides = attempt.started is not None and awaited(trial, attempt)
        else:
            decides = trial.attempt_name == known.name and bool(
                trial.status.pod or attempt.started or attempt.disruption
            )
        if decides:
            self._attempts[known.name] = attempt

    def _with_claims(self, attempt: Attempt) -> Attempt:
        claimed = self._claimed.get(attempt.uid)
        return dataclasses.replace(attempt, devices={**attempt.devices, **claimed}) if claimed else attempt

    def drop_past(self, trial: Trial) -> None:
        """Forget the last states of pods that no decision about a trial needs any more."""
        for name in past_attempts(trial):
            if name in self._attempts and self._attempts[name].gone:
                del self._attempts[name]
        if trial.status.measurements:
            for name, one in [*self._attempts.items()]:
                if one.gone and one.benchmark is not None and one.trial == trial.name and not awaited(trial, one):
                    del self._attempts[name]

    def drop_others(self, trial: Trial) -> None:
        """Forget pods that were made for a deleted trial of the same name."""
        for attempt in [a for a in self._attempts.values() if a.trial == trial.name and a.trial_uid != trial.uid]:
            del self._attempts[attempt.name]

    def mark_leaving(self, attempt: Attempt, gone_by: float) -> None:
        """Note that a pod's deletion was asked for, before a watch says so."""
        known = self._attempts.get(attempt.name)
        if known is not None and known.uid == attempt.uid and known.gone_by is None:
            self._attempts[attempt.name] = dataclasses.replace(known, gone_by=gone_by)

    def has_left(self, attempt: Attempt) -> bool:
        """Whether a pod is gone, or its deletion was asked for: since a plan was made, perhaps."""
        known = self._attempts.get(attempt.name)
        return known is None or known.uid != attempt.uid or known.gone_by is not None


def _observe_phases(before: Attempt | None, after: Attempt) -> None:
    if after.benchmark is not None:
        return
    for phase, seconds in phases_ended(before, after):
        TRIAL_PHASES.labels(phase).observe(seconds)

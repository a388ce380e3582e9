"""Which experiments are exported one by one, so that nobody can fill a Prometheus that others share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Final, NamedTuple, TypeAlias

from kubenas.api.experiment import NASExperiment
from kubenas.experiment.progress import Progress
from kubenas.experiment.summary import RUNNING, Summary, summary

# Further ones of a namespace are only counted. One has some 50 series, and with 8 objectives and 8 stages at most 500.
MOST_OF_NAMESPACE: Final = 50
PHASES: Final = (RUNNING, "Suspended", "Succeeded", "Failed", "Rejected")

# Number of experiments by namespace and phase.
Counts: TypeAlias = Mapping[tuple[str, str], int]


class Snapshot(NamedTuple):
    """What is known of an experiment at one moment; nothing of it is ever changed.

    Attributes:
        experiment: None for one that cannot be read.
        progress: None as long as no reconcile has come to any.
        failures: failed attempts by reason.
    """

    namespace: str
    experiment: NASExperiment | None
    progress: Progress | None
    failures: Mapping[str, int]


def counted(snapshots: Iterable[Snapshot]) -> Counts:
    """How many experiments each namespace has in each phase; those that cannot be read are Rejected."""
    found: dict[tuple[str, str], int] = {}
    for one in snapshots:
        if (one.namespace, RUNNING) not in found:
            found |= dict.fromkeys(((one.namespace, phase) for phase in PHASES), 0)
        found[one.namespace, _phase(one)] += 1
    return found


def exported(snapshots: Iterable[Snapshot]) -> list[Summary]:
    """The experiments to export one by one: of each namespace at most `MOST_OF_NAMESPACE`.

    Those that go on come first, the oldest first, so that new ones put none of them aside; then those that have ended,
    the newest first.
    """
    known: defaultdict[str, list[tuple[NASExperiment, Progress, Mapping[str, int]]]] = defaultdict(list)
    for one in snapshots:
        if one.experiment is not None and one.progress is not None:
            known[one.namespace].append((one.experiment, one.progress, one.failures))
    return [
        summary(*each)
        for _, experiments in sorted(known.items())
        for each in nsmallest(MOST_OF_NAMESPACE, experiments, key=lambda each: _order(each[0]))
    ]


def _phase(snapshot: Snapshot) -> str:
    return "Rejected" if snapshot.experiment is None else snapshot.experiment.status.phase or RUNNING


def _order(experiment: NASExperiment) -> tuple[bool, float, str]:
    created, ended = experiment.metadata.creation_timestamp, experiment.status.completion_time
    time = -ended.timestamp() if ended else created.timestamp() if created else 0.0
    return (ended is not None, time, experiment.metadata.name)

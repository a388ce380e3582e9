"""Trials that wait for a queue: a scheduling gate holds their pods until there is quota for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kubenas.api.experiment import ExperimentSpec
from kubenas.api.queue import PRIORITY_LABEL, QUEUE_LABEL
from kubenas.api.template import Alternative
from kubenas.experiment.finding import Finding
from kubenas.experiment.state import Attempt, Trial

# A trial that is queued for so long is worth a condition.
QUEUED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class QueueReason:
    """Why the queueing controller does not admit an attempt, in its words."""

    attempt: str
    message: str


def queue_labels(spec: ExperimentSpec, disruptions: int) -> dict[str, str]:
    """By which Kueue knows what a trial's pod is queued by after so many disruptions; empty where it is not queued."""
    *_, last = spec.trial_template.after(disruptions)
    queue = (last.queue_name if isinstance(last, Alternative) else None) or spec.queue_name
    if queue is None:
        return {}
    priority = spec.workload_priority_class
    return {QUEUE_LABEL: queue, **({} if priority is None else {PRIORITY_LABEL: priority})}


def queue_of(spec: ExperimentSpec, disruptions: int) -> str | None:
    """The same in one word: the queue, and the priority class where there is one."""
    return "/".join(queue_labels(spec, disruptions).values()) or None


def is_queued(attempt: Attempt) -> bool:
    """Whether a gate holds an attempt."""
    return attempt.waiting is not None and attempt.waiting.reason == "Queued"


def in_another_queue(spec: ExperimentSpec, trial: Trial, attempt: Attempt | None) -> bool:
    """Whether an attempt waits in a queue that is not, or no longer, its trial's."""
    return attempt is not None and is_queued(attempt) and attempt.queue != queue_of(spec, trial.status.disruptions)


def first_queued(attempts: Iterable[Attempt]) -> Attempt | None:
    """The attempt that a gate has held for longest."""
    return min((one for one in attempts if is_queued(one)), key=lambda one: (one.created, one.name), default=None)


def admitted(attempts: Sequence[Attempt], why: QueueReason | None) -> Finding:
    """Whether trials are admitted.

    Args:
        attempts: those that have been queued for a while.
        why: what is known of the reason.
    """
    first = first_queued(attempts)
    if first is None or first.waiting is None:
        return Finding(True, "Admitted", "No trial waits in a queue for long.")
    others = f" (and {len(attempts) - 1} more)" if len(attempts) > 1 else ""
    if first.queue is not None and not first.managed:
        said = (
            f"Pod {first.name}{others} is held, but Kueue has not taken it up: see that it is installed, that `pod` is "
            "among the integrations of its configuration, and that this serves the namespace"
        )
        return Finding(False, "QueueNotServed", said)
    words = why.message if why is not None and why.attempt == first.name else first.waiting.message
    where = f"queue {first.queue}" if first.queue else "a queue"
    return Finding(False, "Queued", f"Pod {first.name}{others} waits in {where}: {words}"[:32768])


def since_admission(before: Attempt | None, after: Attempt, now: float) -> Attempt:
    """An attempt with the time since which it waits as it does.

    That of its pod's condition is when the condition's status last changed: once a pod is admitted it is still not
    scheduled, for another reason, and would seem to have waited for a node for as long as for its queue. A pod that no
    scheduler has looked at has no condition and waits since its creation, until its condition has a time.

    Args:
        before: what was known of it.
        after: what its pod shows now.
    """
    if before is None or before.uid != after.uid or before.waiting is None or after.waiting is None:
        return after
    same = after.waiting.reason == before.waiting.reason
    if after.waiting.since > before.waiting.since or (same and before.waiting.since <= before.created):
        return after
    since = before.waiting.since if same else now
    return replace(after, waiting=replace(after.waiting, since=since))

"""What an experiment has come to: equal for two runs of it, whatever happened to the operators on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.operator.api import Object
    from tests.operator.harness import Workspace


def outcome(workspace: Workspace, *, ordered: bool) -> Object:
    """The end of experiment `nas`.

    Args:
        ordered: whether the order in which trials end is part of it; where several run at once it is chance.
    """
    status = workspace.status()
    trials = workspace.trials()
    orders = [trial["status"]["order"] for trial in trials]
    assert len(set(orders)) == len(orders)
    # whether values could be read of trials that ran for a moment only is chance
    conditions = [c for c in status["conditions"] if c["type"] != "MetricsAvailable"]
    return {
        "conditions": {c["type"]: (c["status"], c["reason"], c["message"]) for c in conditions},
        "best": status["best"],
        "counts": status["counts"],
        "progress": status["progress"],
        "trials": [_trial(trial, ordered=ordered) for trial in trials],
        "orders": orders if ordered else None,
        # each made once; and those that stay
        "made": sorted(workspace.created("pods")),
        "pods": sorted(pod["metadata"]["name"] for pod in workspace.pods()),
    }


def _trial(trial: Object, *, ordered: bool) -> Object:
    spec, status = trial["spec"], trial["status"]
    return {
        "name": trial["metadata"]["name"],
        "spec": spec if ordered else {**spec, "resultsSeen": None},
        "status": {key: status.get(key) for key in ("phase", "results", "attempt", "failures", "pod")},
        "conditions": [(c["type"], c["status"], c["reason"], c["message"]) for c in status["conditions"]],
    }

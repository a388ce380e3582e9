"""An operator that starts beside a long history."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import NASTrial
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.load import build_space
from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import experiment
from tests.operator.long_history import LARGE_SPACE, history, store

if TYPE_CHECKING:
    from tests.operator.harness import Workspace

pytestmark = pytest.mark.control_plane

TRIALS = 10_000


def requests(workspace: Workspace) -> Counter[tuple[str, str]]:
    """The operator's requests so far, by verb and resource."""
    references = [(entry["verb"], entry.get("objectRef", {})) for entry in workspace.requests()]
    return Counter((verb, reference.get("resource", "")) for verb, reference in references)


def test_ten_thousand_trials_are_taken_up_without_a_request_for_each(workspace: Workspace) -> None:
    workspace.apply(experiment(searchSpace=LARGE_SPACE, trials={"max": TRIALS + 1}))
    searched = NASExperiment.model_validate(workspace.experiment())
    trials = list(history(searched, TRIALS))
    store(workspace.control_plane, workspace.namespace, trials)
    until(lambda: workspace.api.get("nastrials", f"nas-{TRIALS - 1}") is not None)

    operator = workspace.operator(fresh=True).start().wait_ready()
    workspace.wait_pod(f"nas-{TRIALS}-1")
    first = requests(workspace)
    assert operator.terminate() == 0
    operator.start().wait_ready()
    again = requests(workspace) - first
    for counted in (first, again):
        assert counted[("list", "nastrials")] > 0
        assert counted.total() < TRIALS / 100, counted

    made = NASTrial.model_validate(workspace.trial(f"nas-{TRIALS}"))
    space = build_space(searched.spec.search_space)
    known = History(space)
    for document in trials:
        trial = NASTrial.model_validate(document)
        architecture = space.parse(trial.spec.candidates[0].architecture)
        known.propose([architecture])
        known.observe(Observation(architecture, (0.0, trial.status.results[0].metrics[0].value)))
    (proposal,) = build_strategy(searched.spec.search, space).propose(known, 1)
    assert made.spec.number == made.spec.results_seen == TRIALS
    assert made.spec.candidates[0].architecture == proposal.to_json()

    workspace.set_pod(f"nas-{TRIALS}-1", endings.exited(0, endings.results(accuracy=2.0)))
    workspace.wait_condition("Succeeded")
    assert workspace.status()["best"]["trial"] == f"nas-{TRIALS}"
    assert workspace.status()["progress"] == f"{TRIALS + 1}/{TRIALS + 1}"

"""The operator killed at any moment of a search, and started again."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import NASTrial
from kubenas.experiment.objectives import score
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.load import build_space
from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, accuracy, drawn
from tests.operator.api import Api
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

TRIALS = 200
KILLS = 20


def uneven(trial: Trial) -> Ending:
    """Pods of 50 to 200 ms, so that they end in another order than they start."""
    ending = accuracy(trial)
    return replace(ending, seconds=0.05 + 0.15 * drawn([trial["trial"]]))


class Witness(threading.Thread):
    """Sees every change of a workspace's trials, and what changed that never may."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(daemon=True)
        # a client of its own: this one is not closed while the thread still reads from it
        self._api = Api(workspace.control_plane.kubeconfig, workspace.namespace)
        self.results: dict[str, Object] = {}
        self.wrongs: list[str] = []

    def has_seen(self, ended: int) -> bool:
        """Whether so many trials have ended."""
        assert self.is_alive()
        return len(self.results) >= ended

    def run(self) -> None:
        for event in self._api.watch("nastrials"):
            name, status = event["object"]["metadata"]["name"], event["object"].get("status", {})
            if event["type"] not in ("ADDED", "MODIFIED"):
                self.wrongs.append(f"{name} was {event['type']}")
            known = self.results.get(name)
            if known is not None and known != status:
                self.wrongs.append(f"{name} had ended with {known} and then had {status}")
            if status.get("results"):
                self.results[name] = status


def test_no_trial_is_lost_doubled_or_changed_by_twenty_kills(workspace: Workspace) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    step = TRIALS // KILLS
    moments = [(step * i + rng.randrange(step), rng.uniform(0, 0.1)) for i in range(KILLS)]
    witness = Witness(workspace)
    witness.start()
    operator = workspace.operator()
    with workspace.control_plane.fake_pods(uneven):
        workspace.apply(experiment(trials={"max": TRIALS, "parallelism": 8}))
        for ended, delay in moments:
            operator.start()
            until(partial(witness.has_seen, ended))
            time.sleep(delay)
            operator.kill()
            workspace.take_lease_away()
        operator.start()
        workspace.wait_condition("Succeeded")
    until(partial(witness.has_seen, TRIALS))

    trials = [NASTrial.model_validate(trial) for trial in workspace.trials()]
    assert [trial.spec.number for trial in trials] == list(range(TRIALS))
    # a number is skipped where endings were written together and the kill came between
    assert len({trial.status.order for trial in trials}) == TRIALS
    assert not witness.wrongs
    for trial in trials:
        (candidate,), (result,) = trial.spec.candidates, trial.status.results
        assert [(m.name, m.value) for m in result.metrics] == [("accuracy", drawn(candidate.architecture))]
        assert trial.status.attempt == 1
    _check_proposals(NASExperiment.model_validate(workspace.experiment()), trials)
    until(lambda: not workspace.pods())
    # of a request whose sender was killed meanwhile, the audit log does not say that it succeeded
    pods = workspace.created("pods")
    assert len(set(pods)) == len(pods), "no pod was made twice"
    assert set(pods) <= {f"{trial.metadata.name}-1" for trial in trials}


def _check_proposals(searched: NASExperiment, trials: Sequence[NASTrial]) -> None:
    """Every proposal is what a strategy that was never disturbed answers to the same history."""
    space = build_space(searched.spec.search_space)
    by_order = sorted(trials, key=lambda trial: trial.status.order or 0)
    for trial in trials:
        known = [t for t in by_order if (t.status.order or 0) <= trial.spec.results_seen]
        history = History(space)
        for ended in known:
            architecture = space.parse(ended.spec.candidates[0].architecture)
            metrics = {m.name: m.value for m in ended.status.results[0].metrics}
            history.propose([architecture])
            history.observe(Observation(architecture, score(searched.spec.objectives, metrics)))
        numbers = {ended.spec.number for ended in known}
        pending = [t for t in trials[: trial.spec.number] if t.spec.number not in numbers]
        history.propose(space.parse(t.spec.candidates[0].architecture) for t in pending)
        (proposal,) = build_strategy(searched.spec.search, space).propose(history, 1)
        assert proposal.to_json() == trial.spec.candidates[0].architecture, trial.metadata.name

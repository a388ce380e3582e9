"""Two replicas: one acts, the other takes over."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.operator.harness import LEASE, Operator, Workspace, experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


class Replicas:
    """Two operators of one workspace that the apiserver can tell apart; the first leads a search without end."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.users = [f"{name}-of-{workspace.namespace}" for name in ("first", "second")]
        self.first, self.second = map(self._operator, self.users)

    def _operator(self, user: str) -> Operator:
        kubeconfig = self._workspace.control_plane.identity(user, ["system:masters"])
        return self._workspace.operator(kubeconfig=kubeconfig)

    def begin(self) -> None:
        self.first.start().wait_ready()
        self._workspace.apply(experiment(trials={"max": 10000, "parallelism": 2}))
        self.second.start()
        until(lambda: self._stands_by(self.users[1]) and len(self._workspace.writes(self.users[0])) > 10)
        assert not self._workspace.writes(self.users[1])

    def _stands_by(self, user: str) -> bool:
        """Whether it has asked for the lease."""
        return any(entry["objectRef"].get("name") == LEASE for entry in self._workspace.requests(user))

    def wait_taken_over(self) -> None:
        """Wait until the second one has searched for a while."""
        until(lambda: len(self._workspace.writes(self.users[1])) > 10)

    def holder(self) -> str | None:
        """Who has the lease."""
        lease = self._workspace.api.get("leases", LEASE)
        assert lease is not None
        name: str | None = lease["spec"].get("holderIdentity")
        return name

    def check_one_at_a_time(self) -> None:
        """No write of the first one has come after one of the second."""
        writes = sorted(self._workspace.writes(*self.users), key=received)
        writers = [entry["user"]["username"] for entry in writes]
        assert writers == sorted(writers, key=self.users.index)

    def has_every_number(self) -> bool:
        """Whether no trial is missing before the newest one, as for a moment while several are made."""
        numbers = [trial["spec"]["number"] for trial in self._workspace.trials()]
        return numbers == list(range(len(numbers)))


def received(entry: Object) -> float:
    return datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp()


@pytest.fixture
def replicas(workspace: Workspace) -> Iterator[Replicas]:
    replicas = Replicas(workspace)
    with workspace.control_plane.fake_pods(seconds=0.2):
        replicas.begin()
        yield replicas
        replicas.check_one_at_a_time()
        until(replicas.has_every_number)


def test_the_second_takes_over_from_a_dead_one(replicas: Replicas) -> None:
    replicas.first.kill()
    replicas.wait_taken_over()


def test_a_leader_that_ends_gives_its_lease_to_the_other(replicas: Replicas) -> None:
    assert replicas.holder()
    replicas.second.signal(signal.SIGSTOP)  # so that it cannot take the lease before that is looked at
    assert replicas.first.terminate() == 0
    assert not replicas.holder(), "the other must wait for the lease's end"
    replicas.second.signal(signal.SIGCONT)
    replicas.wait_taken_over()


def test_a_leader_that_was_stopped_for_longer_than_its_lease_writes_no_more(replicas: Replicas) -> None:
    replicas.first.signal(signal.SIGSTOP)
    replicas.wait_taken_over()
    replicas.first.signal(signal.SIGCONT)
    assert replicas.first.wait() == 1

"""Searches on spot nodes that come and go: nothing is lost but what was trained since a checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from tests.bench.tables import published
from tests.experiment.builders import experiment
from tests.experiment.node_pool import Length, Pool, PooledWorld, drawn_lengths, measured_lengths, search
from tests.experiment.simulation import Chances
from tests.properties import examples

MEAN = 600.0


def searched(trials: int, **scale: Any) -> NASExperiment:
    """No failure is allowed: an interruption that counted as one would end the search."""
    return experiment(search={"algorithm": "random"}, trials={"max": trials, "retries": 0, "maxFailures": 0, **scale})


def assert_nothing_is_lost(world: PooledWorld, trials: int, length: Length) -> None:
    ended = [world.trials[number] for number in sorted(world.trials)]
    assert [one.number for one in ended] == list(range(trials))
    assert {one.status.phase for one in ended} == {"Succeeded"}
    assert sorted(one.status.order or 0 for one in ended) == list(range(1, trials + 1))
    account = world.account
    assert max(account.lost, default=0.0) <= world.pool.checkpoint_every
    for one in ended:
        interrupted = one.status.attempt - 1
        again = account.trained_of[one.name] - sum(map(length, one.candidates))
        assert -1e-3 <= again <= interrupted * world.pool.checkpoint_every + 1e-3
    assert not world.machines


@settings(examples(6), suppress_health_check=[HealthCheck.too_slow])
@given(
    scale=st.one_of(
        st.builds(lambda most: {"parallelism": most}, st.integers(1, 12)),
        st.builds(
            lambda low, more, waiting: {"autoscale": {"min": low, "max": low + more, "maxPending": waiting}},
            st.integers(1, 4),
            st.integers(0, 12),
            st.integers(1, 6),
        ),
    ),
    pool=st.builds(
        Pool,
        most=st.integers(1, 16),
        life=st.sampled_from([None, 200.0, 900.0]),
        notice=st.sampled_from([0.0, 0.5, 1.0]),
        checkpoint_every=st.sampled_from([15.0, 60.0]),
    ),
    chances=st.builds(Chances, crash=st.sampled_from([0.0, 0.03]), delivery=st.sampled_from([0.4, 1.0])),
    seed=st.integers(0, 2**32),
)
def test_nothing_is_lost_however_nodes_come_and_go(
    scale: dict[str, Any], pool: Pool, chances: Chances, seed: int
) -> None:
    length = drawn_lengths(MEAN)
    assert_nothing_is_lost(search(searched(12, **scale), pool, length, chances, seed), 12, length)


def test_interruptions_and_crashes_happen_while_nodes_are_busy() -> None:
    """The simulation is worth nothing if it is never rough; and all nodes are used."""
    length = drawn_lengths(MEAN)
    of = searched(30, autoscale={"min": 1, "max": 12, "maxPending": 4})
    world = search(of, Pool(12, life=300.0), length, Chances(crash=0.02), 1)
    assert_nothing_is_lost(world, 30, length)
    assert world.account.interruptions > 30
    assert world.crashes > 5
    assert world.account.trained > 0.8 * world.account.node_seconds


@pytest.mark.parametrize("life", [None, 1800.0])
def test_trials_as_long_as_measured_architectures_take(life: float | None) -> None:
    length = measured_lengths(published("nasbench201_latency.csv"), MEAN)
    of = searched(40, autoscale={"min": 1, "max": 10, "maxPending": 10})
    world = search(of, Pool(10, life=life), length, Chances(crash=0.01), 2)
    assert_nothing_is_lost(world, 40, length)
    assert world.account.filled is not None

"""Nobody fills a Prometheus that others share, however many experiments there are."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.experiment.judgements import Judgements
from kubenas.experiment.progress import Progress
from kubenas.experiment.state import moment
from kubenas.metrics.selection import MOST_OF_NAMESPACE, PHASES, Snapshot, counted, exported
from tests.experiment.builders import NOW, experiment
from tests.properties import examples

BASE = experiment()
PROGRESS = Progress(
    status=ExperimentStatus(),
    algorithm="random",
    metrics_source="Prometheus",
    trials={},
    trials_max=1,
    slots_busy=0,
    slots_allowed=1,
    slots_queued=0,
    front_size=None,
    top=(),
    device_seconds=0.0,
    class_seconds={},
    measurements={},
    measuring={},
    last_result=None,
    judgements=Judgements(None, None, None),
)


def known(namespace: str, name: str, created: int, ended: int | None = None, phase: Any = None) -> Snapshot:
    completed = None if ended is None else moment(NOW) + timedelta(seconds=ended)
    metadata = BASE.metadata.model_copy(
        update={"namespace": namespace, "name": name, "creation_timestamp": moment(NOW) + timedelta(seconds=created)}
    )
    status = ExperimentStatus.model_construct(phase=phase, completion_time=completed, conditions=[], pareto_front=[])
    of: NASExperiment = BASE.model_copy(update={"metadata": metadata, "status": status})
    return Snapshot(namespace, of, PROGRESS, {})


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=50, max_size=300
    ),
    st.randoms(use_true_random=False),
)
@examples(10)
def test_of_each_namespace_those_that_go_on_and_then_the_newest_ended(
    specs: list[tuple[str, int, int | None]], rng: Random
) -> None:
    snapshots = [known(space, f"{n:03}", created, ended) for n, (space, created, ended) in enumerate(specs)]
    rng.shuffle(snapshots)
    for space in "ab":
        mine = [(n, created, ended) for n, (of, created, ended) in enumerate(specs) if of == space]
        goes_on = sorted((created, n) for n, created, ended in mine if ended is None)
        over = sorted((-ended, n) for n, _, ended in mine if ended is not None)
        expected = [f"{n:03}" for _, n in [*goes_on, *over]][:MOST_OF_NAMESPACE]
        assert [one.name for one in exported(snapshots) if one.namespace == space] == expected


def test_all_are_counted() -> None:
    snapshots = [
        *(known("a", str(n), 0, phase=phase) for n, phase in enumerate(("Failed", "Failed", None))),
        known("b", "one", 0, phase="Suspended"),
        # One that cannot be read, and one that no reconcile has come to.
        Snapshot("b", None, None, {}),
        known("b", "new", 0)._replace(progress=None),
    ]
    counts = counted(snapshots)
    assert {key: count for key, count in counts.items() if count} == {
        ("a", "Failed"): 2,
        ("a", "Running"): 1,
        ("b", "Suspended"): 1,
        ("b", "Rejected"): 1,
        ("b", "Running"): 1,
    }
    assert counts.keys() == {(namespace, phase) for namespace in "ab" for phase in PHASES}
    assert [one.name for one in exported(snapshots) if one.namespace == "b"] == ["one"]

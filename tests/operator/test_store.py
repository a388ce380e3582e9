"""What the operator remembers of an experiment, whatever order it hears of things in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubenas.api.errors import SpecError
from kubenas.cluster.documents import check_size
from kubenas.cluster.store import Store
from kubenas.experiment.state import past_attempts
from tests.experiment.builders import trial

KEY = ("default", "nas")


def document(uid: str, version: int, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": "nas", "namespace": "default", "uid": uid, "resourceVersion": str(version)},
        "spec": {
            "objectives": [{"metric": "accuracy"}],
            "task": {"name": "image-classification"},
            "searchSpace": {"preset": "nasbench201"},
            **spec,
        },
    }


async def problems(store: Store) -> list[str]:
    await store.read()
    seen = store.observed()
    assert seen is not None
    return [problem.field for problem in seen.problems]


async def test_a_new_experiment_of_the_same_name_wakes_the_same_loop() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 5))
    store.changed.clear()
    waiting = asyncio.create_task(store.changed.wait())
    await asyncio.sleep(0)
    store.put_experiment(document("two", 6))
    await asyncio.wait_for(waiting, 10)
    assert store.uid == "two"


async def test_nothing_is_planned_with_what_another_specification_was_read_to_be() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 1))
    assert store.observed() is None
    reading = asyncio.create_task(store.read())
    await asyncio.sleep(0)
    store.put_experiment(document("one", 2, search={"algorithm": "random", "seed": 1}))
    await reading
    first = store.observed()
    assert first is not None
    assert (first.experiment.spec.search.seed, first.stages[0].strategy and first.stages[0].strategy.seed) == (1, 1)
    store.put_experiment(document("one", 3, search={"algorithm": "sobol", "seed": 1}))
    assert store.observed() is None
    await store.read()
    second = store.observed()
    assert second is not None
    assert type(second.stages[0].strategy).__name__ == "SobolSearch"
    assert second.ledger is first.ledger


def test_a_status_that_counts_attempts_without_end_is_taken_in_at_once() -> None:
    endless = trial(0, phase="Failed", attempt=10**12)
    assert len(past_attempts(endless)) <= 8
    assert past_attempts(endless)[-1] == "nas-0-1000000000000"
    assert past_attempts(trial(1, attempt=3)) == ["nas-1-1", "nas-1-2"]


def test_an_older_version_is_ignored() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 5, trials={"max": 7}))
    store.put_experiment(document("one", 4, trials={"max": 3}))
    assert store.experiment is not None
    assert store.experiment.spec.trials.max == 7


async def test_a_mended_specification_has_no_problems() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 1))
    assert await problems(store) == []
    store.put_experiment(document("one", 2, trials={"max": "many"}))
    assert await problems(store) == ["spec.trials.max"]
    store.put_experiment(document("one", 3))
    assert await problems(store) == []
    store.put_experiment(document("one", 4, search={"algorithm": "random", "settings": {"depth": 1}}))
    assert await problems(store) == ["spec.search.settings.depth"]


async def test_a_specification_with_too_many_values_is_refused_and_the_one_before_goes_on() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 1, trials={"max": 7}))
    assert await problems(store) == []
    store.put_experiment(document("one", 2, trialTemplate={"spec": {"x": [[]] * 30_000}}))
    assert store.experiment is not None
    assert store.experiment.spec.trials.max == 7
    [problem] = store.problems
    assert str(problem).startswith("spec: has more than 100,000 keys and items")
    store.put_experiment(document("one", 3, trials={"max": 9}))
    assert await problems(store) == []
    assert store.experiment.spec.trials.max == 9


def test_what_is_read_and_what_is_too_much_differ_by_one_value() -> None:
    values: list[Any] = [{}] * 20_000
    check_size({"spec": [*values, *([0] * 19_997)]}, "spec")
    with pytest.raises(SpecError):
        check_size({"spec": [*values, *([0] * 19_998)]}, "spec")

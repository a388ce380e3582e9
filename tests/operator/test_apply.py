"""What is asked of the apiserver where plans are made while earlier ones are still carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kubenas.cluster.apply import Applier
from kubenas.cluster.client import ApiError
from kubenas.cluster.pods import PodDefaults
from kubenas.experiment.actions import Plan
from tests.operator.test_observe import DONE, pod, seen_in, status, store_of, trial_document
from tests.operator.test_store import KEY

if TYPE_CHECKING:
    from tests.operator.api import Object


class Apiserver:
    """Takes deletions and remembers them, and answers readings one after the other."""

    def __init__(self, *answers: Object | ApiError) -> None:
        self.deleted: list[tuple[str, str | None]] = []
        self.answers = list(answers)

    async def get(self, _: str) -> Object:
        answer = self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def delete(self, path: str, uid: str | None = None) -> None:
        self.deleted.append((path, uid))


@pytest.mark.parametrize("gone", [False, True])
async def test_a_pod_is_not_deleted_again_by_a_plan_that_was_made_before(gone: bool) -> None:
    store = await store_of(trial_document(0, 10), pod(status("Succeeded", DONE), 20))
    observed = seen_in(store)
    plan = Plan(stop=tuple(observed.attempts.values()))
    apiserver = Apiserver()
    applier = Applier(apiserver, store, PodDefaults("image"))  # type: ignore[arg-type]
    for _ in range(2):
        await applier.apply(plan, observed)
        await applier.end()
        if gone:
            store.drop_pod("nas-0-1", 30, pod(status("Succeeded", DONE), 30))
    assert apiserver.deleted == [(f"/api/v1/namespaces/{KEY[0]}/pods/nas-0-1", "pod")]


async def test_a_pod_that_took_anothers_name_is_not_deleted_in_its_place() -> None:
    store = await store_of(trial_document(0, 10), pod(status("Succeeded", DONE), 20))
    observed = seen_in(store)
    another = pod({}, 30)
    another["metadata"]["uid"] = "another"
    store.put_pod(another)
    apiserver = Apiserver()
    applier = Applier(apiserver, store, PodDefaults("image"))  # type: ignore[arg-type]
    await applier.apply(Plan(stop=tuple(observed.attempts.values())), observed)
    await applier.end()
    assert apiserver.deleted == []


FAILED = {"phase": "Failed", "attempt": 1, "order": 1}


@pytest.mark.parametrize("there", [False, True])
async def test_an_ended_trial_whose_pod_somebody_deletes_is_read_until_it_is_answered(there: bool) -> None:
    ended = trial_document(0, 10, **FAILED)
    store = await store_of(ended, pod(status("Failed", DONE), 20))
    apiserver = Apiserver(
        ApiError(503, "ServiceUnavailable", "wait"), ended if there else ApiError(404, "NotFound", "")
    )
    applier = Applier(apiserver, store, PodDefaults("image"))  # type: ignore[arg-type]
    await applier.verify()
    store.drop_pod("nas-0-1", 30, pod(status("Failed", DONE), 30))
    with pytest.raises(ApiError, match="wait"):
        await applier.verify()
    assert len(seen_in(store).ledger) == 1
    for _ in range(2):
        await applier.verify()
    assert apiserver.answers == []
    assert len(seen_in(store).ledger) == there

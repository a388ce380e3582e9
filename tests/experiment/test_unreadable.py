"""Trials that can no longer be read, and names that no field holds: an experiment goes on, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubenas.api.base import MAX_NAME
from kubenas.api.trial import Candidate
from kubenas.experiment.plan import plan
from tests.experiment.builders import NOW, experiment, observed, succeeded, trial

STRANGE = Candidate(id="0", name="?", architecture={"0-1": "of an older release"}, epochs=3)


def conditions(status: Any) -> dict[str, Any]:
    return {c.type: c for c in status.conditions}


@pytest.mark.parametrize("finished", [True, False])
def test_a_trial_of_another_space_counts_and_teaches_nothing(finished: bool) -> None:
    good = succeeded(1, 2, 0.5)
    strange = replace(succeeded(0, 1, 0.9) if finished else trial(0), candidates=(STRANGE,))
    of = experiment(trials={"max": 3, "parallelism": 3})
    seen = observed(of, [strange, good])
    assert len(seen.ledger) == 2
    assert seen.ledger.count("Succeeded") == 1 + finished
    # The next one is proposed from what can be read, and gets the next number: none is made twice.
    seen = replace(seen, unreadable=seen.ledger.unreadable())
    made = plan(seen, NOW)
    assert [new.name for new in made.create] == ["nas-2"]
    assert made.status is not None
    assert made.status.best is not None
    assert made.status.best.trial == "nas-1"
    said = conditions(made.status)["Reconciled"]
    assert (said.status, said.reason) == ("False", "ObjectLeftOut")
    assert "NASTrial nas-0 has an architecture that is not in the space" in said.message


def test_what_is_read_again_is_said_no_more() -> None:
    seen = observed(experiment(), [replace(succeeded(0, 1, 0.9), candidates=(STRANGE,))])
    assert len(seen.ledger.unreadable()) == 1
    seen.ledger.remove(0)
    assert seen.ledger.unreadable() == []


def test_a_search_goes_on_where_names_are_longer_than_a_field_holds() -> None:
    values = [f"{letter * 250}" for letter in "ab"]
    space = {"parameters": [{"name": f"p{i}", "type": "choice", "values": values} for i in range(20)]}
    made = plan(observed(experiment(searchSpace=space, search={"algorithm": "random"})), NOW)
    (first, *_) = made.create
    (candidate,) = first.spec.candidates
    name, architecture = candidate.name, candidate.architecture
    assert name is not None
    assert architecture is not None
    assert len(name) == MAX_NAME
    assert name.endswith("…")
    assert all(architecture[f"p{i}"] in values for i in range(20))

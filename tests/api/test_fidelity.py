"""What a fidelity leaves out is what its scheduler has, and no other's."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given as drawn

from kubenas.api.fidelity import Fidelity, Scheduler
from kubenas.fidelity.load import PROMOTERS, SCHEDULERS, build_scheduler
from tests.api.test_round_trip import fidelities


@drawn(fidelities)
def test_what_is_resolved_has_what_was_given_and_all_else_of_its_scheduler(fidelity: Fidelity) -> None:
    resolved = fidelity.resolved()
    assert fidelity.dump().items() <= resolved.dump().items()
    assert resolved.dump().keys() == Fidelity(scheduler=fidelity.scheduler).resolved().dump().keys()
    assert resolved.resolved() == resolved


@pytest.mark.parametrize("name", sorted({*get_args(Scheduler)} - {"none"}))
def test_each_scheduler_is_there_and_needs_no_setting(name: Scheduler) -> None:
    assert name in {*SCHEDULERS, *PROMOTERS}
    built = build_scheduler(Fidelity(scheduler=name), 100)
    assert built is not None
    assert built.rungs

"""The space of NAS-Bench-Macro: which networks are one."""

from __future__ import annotations

import pytest

from kubenas.space.base import InvalidArchitectureError
from kubenas.space.conformance import check_uniform
from kubenas.space.presets.nasbench_macro import nasbench_macro

SPACE = nasbench_macro()


def test_draws_are_uniform_over_networks() -> None:
    check_uniform(SPACE)


def test_skips_have_no_place_but_the_first() -> None:
    assert SPACE.key(SPACE.parse("11101101")) == SPACE.key(SPACE.parse("11110110"))
    assert SPACE.key(SPACE.parse("01111111")) != SPACE.key(SPACE.parse("10111111"))
    assert SPACE.name(SPACE.parse("01201201")) == "01201201"
    with pytest.raises(InvalidArchitectureError, match="write 8 digits"):
        SPACE.parse("0120120")

"""Constraints in CEL: what they mean, and what is wrong with them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from kubenas.api.errors import SpecError
from kubenas.api.space import SearchSpace
from kubenas.space.base import InvalidArchitectureError, Space
from kubenas.space.conformance import check_space, check_uniform
from kubenas.space.load import build_space, validate_space

PARAMETERS: list[dict[str, Any]] = [
    {"name": "depth", "type": "int", "min": 1, "max": 3},
    {"name": "width", "type": "ordinal", "numbers": [8, 16, 32]},
    {"name": "kernel", "type": "ordinal", "numbers": [3, 5], "repeat": {"count": "depth"}},
    {"name": "block-type", "type": "choice", "values": ["plain", "residual"]},
    {"name": "drop", "type": "int", "min": 0, "max": 1, "when": {"parameter": "block-type", "values": ["residual"]}},
]


def _checked(*constraints: str) -> Space:
    return validate_space(SearchSpace.model_validate({"parameters": PARAMETERS, "constraints": list(constraints)}))


ALL = list(build_space(SearchSpace.model_validate({"parameters": PARAMETERS})).enumerate())


@pytest.mark.parametrize(
    ("constraint", "held"),
    [
        ("depth * width <= 32", lambda a: a["depth"] * a["width"] <= 32),
        ("kernel.all(k, k == 3)", lambda a: all(a[f"kernel.{n}"] == 3 for n in range(a["depth"]))),
        ("size(kernel) == 2", lambda a: a["depth"] == 2),
        ('architecture["block-type"] == "plain"', lambda a: a["block-type"] == "plain"),
        ("drop == null || drop == 1", lambda a: a.get("drop", 1) == 1),
        ('architecture["kernel.2"] != null', lambda a: a["depth"] == 3),
    ],
)
def test_leaves_just_what_holds(constraint: str, held: Any) -> None:
    space = _checked(constraint)
    assert list(space.enumerate()) == [architecture for architecture in ALL if held(architecture)]
    check_space(space)
    check_uniform(space)


def test_many_at_once() -> None:
    space = _checked("depth > 1", "width < 32")
    assert space.size() == sum(a["depth"] != 1 and a["width"] != 32 for a in ALL)


def test_what_is_outside_is_refused() -> None:
    space = _checked("width < 32")
    outside = next(architecture for architecture in ALL if architecture["width"] == 32)
    with pytest.raises(InvalidArchitectureError):
        space.parse(outside.to_json())


@pytest.mark.parametrize(
    ("constraints", "says"),
    [
        (["true", "width <"], "constraints[1]: is no CEL expression: at 1:8: "),
        (["widht < 3"], "constraints[0]: widht is no decision: there are architecture, depth, drop, kernel, width"),
        (["width + depth"], "constraints[0]: must be true or false, but gives "),
        (["drop > 0"], "constraints[0]: cannot be evaluated for "),
        (["true", "width > 32"], "constraints[1]: leaves no architecture"),
        (["width > 16", "width < 16"], "the constraints together leave no architecture"),
    ],
)
def test_errors_name_the_constraint(constraints: list[str], says: str) -> None:
    with pytest.raises(SpecError) as refused:
        _checked(*constraints)
    assert str(refused.value).startswith(says)


def test_presets_are_narrowed_too() -> None:
    spec = {"preset": "nasbench-macro", "constraints": ['!architecture["layer.0"].startsWith("id")']}
    space = validate_space(SearchSpace.model_validate(spec))
    assert space.size() == 2 * 3 * 21 * 21
    assert space.sample(Random(0))["layer.0"] != "id"


def test_one_that_is_rarely_met_is_found() -> None:
    """One architecture of 216: fewer than a draw in a hundred."""
    space = _checked("depth == 3 && kernel.all(k, k == 5) && width == 32 && drop == 0")
    assert space.size() == 1
    assert space.sample(Random(1))["width"] == 32


def test_a_cell_space_is_narrowed_by_key() -> None:
    spec = {"preset": "nasbench201", "constraints": ["params < 1e5", 'architecture["0-3"] == "none"']}
    space = validate_space(SearchSpace.model_validate(spec))
    check_space(space)
    assert all(space.costs(cell)["params"] < 1e5 and cell["0-3"] == "none" for cell in space.enumerate())
    assert 0 < (space.size() or 0) < 5260

"""Every sampling rule keeps the same promises; what each one promises beyond is counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.evaluation import SupernetRule
from kubenas.api.space import SearchSpace
from kubenas.space.base import Space
from kubenas.space.load import build_space
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import family_of
from kubenas_trial.step import Step
from kubenas_trial.supernets.extremes import extremes
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.base import Rule
from kubenas_trial.supernets.rules.fairnas import FairNAS
from kubenas_trial.supernets.rules.few_shot import FewShot
from kubenas_trial.supernets.rules.load import RULES
from kubenas_trial.supernets.rules.progressive_shrinking import ProgressiveShrinking
from kubenas_trial.supernets.rules.sandwich import Sandwich
from kubenas_trial.tasks.image_classification import ImageClassification

# A choice of three and one of two, kernels, depths and widths.
STAGES = {
    "macro": {
        "resolution": [8, 12],
        "stages": [
            {"name": "a", "depth": [1, 2, 3], "kernel": [3, 5], "width": [4, 8, 12]},
            {"name": "b", "depth": [1], "operation": ["conv", "sep_conv", "residual"]},
            {"name": "c", "depth": [2], "operation": ["conv", "residual"]},
        ],
    }
}
SIZES = {"channels": 4}
LIMITED = {**STAGES, "constraints": ["a_depth * a_width <= 16"]}
STEPS = st.builds(Step, st.integers(0, 2**63), st.integers(0, 1000), st.floats(0, 1, exclude_max=True))


def space_of(document: dict[str, Any]) -> tuple[Space, Networks]:
    spec = SearchSpace.model_validate(document)
    family = family_of(spec, ImageClassification.families, "image-classification")
    return build_space(spec), Networks(family, SIZES, Images(1, 8, 8, 3))


SPACE, NETWORKS = space_of(STAGES)
LIMITED_SPACE, LIMITED_NETWORKS = space_of(LIMITED)
MADE: dict[str, Rule] = {name: rule(SPACE, NETWORKS) for name, rule in RULES.items()}
MADE_LIMITED: dict[str, Rule] = {name: rule(LIMITED_SPACE, LIMITED_NETWORKS) for name, rule in RULES.items()}
_, LARGEST = extremes(SPACE, NETWORKS)
AGAIN: dict[str, Rule] = {name: rule(SPACE, NETWORKS) for name, rule in RULES.items()}


def test_the_rules_are_the_control_plane_s() -> None:
    assert set(RULES) == set(SupernetRule.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", RULES)
@given(STEPS)
def test_a_step_trains_architectures_of_the_space_the_same_whenever_it_is_asked(name: str, step: Step) -> None:
    paths = MADE[name](step)
    assert paths.architectures
    for architecture in paths.architectures:
        assert SPACE.parse(dict(architecture)) == architecture
    assert 0 <= paths.distillation <= 1
    assert AGAIN[name](step) == paths
    MADE[name](Step(step.seed + 1, step.number, step.progress))
    assert MADE[name](step) == paths


@pytest.mark.parametrize("name", RULES)
def test_steps_differ_and_every_value_is_trained(name: str) -> None:
    seen = {
        (decision, value)
        for number in range(600)
        for architecture in MADE[name](Step(number % 7, number // 7, number / 600)).architectures
        for decision, value in architecture.items()
    }
    expected = {(each.name, value) for each in SPACE.decisions.values() for value in each.domain.values}  # type: ignore[attr-defined]
    assert seen == expected


@pytest.mark.parametrize("name", [name for name in RULES if name != "fairnas"])
@given(STEPS)
def test_what_a_constraint_excludes_is_not_trained(name: str, step: Step) -> None:
    for architecture in MADE_LIMITED[name](step).architectures:
        assert LIMITED_SPACE.allows(architecture)


@given(STEPS)
def test_fairnas_trains_each_value_as_often_as_any_other_in_every_step(step: Step) -> None:
    space, networks = space_of({"preset": "nasbench201"})
    paths = FairNAS(space, networks)(step)
    assert len(paths.architectures) == 5
    for decision in space.decisions.values():
        counts = Counter(each[decision.name] for each in paths.architectures)
        assert counts == dict.fromkeys(decision.domain.values, 1)  # type: ignore[attr-defined]


@given(STEPS)
def test_fairnas_trains_the_values_of_shorter_decisions_equally_often_to_within_one(step: Step) -> None:
    paths = MADE["fairnas"](step)
    assert len(paths.architectures) == 3
    for name in ("a_depth", "a_width", "b_operation.0"):
        assert set(Counter(each[name] for each in paths.architectures).values()) == {1}
    for name in ("c_operation.0", "c_operation.1", "resolution"):
        assert sorted(Counter(each[name] for each in paths.architectures).values()) == [1, 2]


def test_fairnas_is_fair_over_steps_where_it_cannot_be_within_one() -> None:
    counts = Counter(
        each["c_operation.0"] for number in range(400) for each in MADE["fairnas"](Step(0, number, 0)).architectures
    )
    # Of 400 steps either gets the extra path in about half: beyond 260 in one of 10^9 seeds.
    assert abs(counts["conv"] - counts["residual"]) < 120


@given(STEPS)
def test_the_sandwich_has_the_largest_first_and_the_smallest(step: Step) -> None:
    first, second, *drawn = MADE["sandwich"](step).architectures
    sizes = [NETWORKS.size(each) for each in (second, *drawn, first)]
    assert (sizes[0], sizes[-1]) == (min(sizes), max(sizes))
    assert len(drawn) == 2
    assert MADE["sandwich"](step).distillation == 1


def test_the_largest_and_the_smallest_are_those_of_all() -> None:
    for space, networks in ((SPACE, NETWORKS), (LIMITED_SPACE, LIMITED_NETWORKS)):
        some = [each for each in space.enumerate() if each["resolution"] == 8 and each["c_operation.1"] == "conv"]
        sizes = [networks.size(each) for each in some]
        smallest, largest = extremes(space, networks)
        assert networks.size(smallest) <= min(sizes)
        assert networks.size(largest) >= max(sizes)
        assert space.allows(smallest)
        assert space.allows(largest)


@given(STEPS)
def test_shrinking_begins_with_the_largest_and_lessens_kernels_depths_widths_in_turn(step: Step) -> None:
    rule = MADE["progressive-shrinking"]
    assert isinstance(rule, ProgressiveShrinking)
    paths, largest = rule(step), LARGEST
    assert paths.architectures[0] == largest
    drawn = paths.architectures[-1]
    phase = int(step.progress * 4)
    assert (len(paths.architectures) == 1) == (phase == 0)
    if phase < 2:
        assert drawn["a_depth"] == 3
    if phase < 3:
        assert (drawn["a_width"], drawn["resolution"]) == (largest["a_width"], largest["resolution"])


def test_shrinking_lets_values_down_one_by_one() -> None:
    rule, width = MADE["progressive-shrinking"], SPACE.decisions["a_width"]
    assert isinstance(rule, ProgressiveShrinking)
    assert [list(rule.values(width, share)) for share in (0.0, 0.3, 0.7)] == [[12], [8, 12], [4, 8, 12]]


def test_few_shot_splits_the_choice_of_most_values_and_divides_in_the_second_half() -> None:
    rule = MADE["few-shot"]
    assert rule.branches == ("a_depth", (1, 2, 3))
    assert not rule.divides(Step(0, 0, 0.49))
    assert rule.divides(Step(0, 0, 0.5))
    nasbench201, networks = space_of({"preset": "nasbench201"})
    branches = FewShot(nasbench201, networks).branches
    assert branches is not None
    assert (branches[0], len(branches[1])) == ("0-1", 5)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("progressive-shrinking", {"preset": "nasbench201"}),
        ("few-shot", {"macro": {"stages": [{"name": "a", "depth": [1], "operation": ["conv"]}]}}),
    ],
)
def test_a_rule_that_makes_no_sense_says_which_field_and_what_else(name: str, document: dict[str, Any]) -> None:
    space, networks = space_of(document)
    with pytest.raises(InvalidTrialError, match=rf"^evaluation\.rule: {name} .* choose another rule"):
        RULES[name](space, networks)


def test_a_sandwich_is_made_by_sizes() -> None:
    space, networks = space_of({"preset": "nasbench201"})
    first, second, *_ = Sandwich(space, networks)(Step(0, 0, 0)).architectures
    assert set(first.values()) == {"nor_conv_3x3"}
    assert networks.size(second) == networks.size(space.parse(dict.fromkeys(first, "none")))

"""Spaces of parameters: domains, scales, mutation, keys."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.space.base import InvalidArchitectureError, Space
from kubenas.space.conformance import check_space
from kubenas.space.domains import Choice, Domain, Float, Int, Scale
from kubenas.space.parameters import parameter_space

SCALES: st.SearchStrategy[Scale] = st.sampled_from(["linear", "log"])
CHOICES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True).map(
    lambda values: Choice(tuple(values))
)


@st.composite
def numbers(draw: st.DrawFn) -> Domain:
    scale = draw(SCALES)
    whole = draw(st.booleans())
    least = (1.0 if whole else 5e-324) if scale == "log" else -1e15
    bound = (
        st.integers(int(least), 10**15).map(float)
        if whole
        else st.floats(least, 1e15, allow_nan=False, allow_subnormal=True)
    )
    low, high = sorted((draw(bound), draw(bound)))
    return Int(low, high, scale) if whole else Float(low, high, scale)


SPACES = st.dictionaries(st.text(min_size=1, max_size=5), CHOICES | numbers(), min_size=1, max_size=4).map(
    parameter_space
)
RANDOMS = st.integers(0, 2**32).map(Random)

EXAMPLE = parameter_space(
    {"op": Choice(("conv", "pool")), "layers": Int(1, 8, "linear"), "rate": Float(1e-4, 1.0, "log")}
)


@pytest.mark.parametrize(
    "space",
    [
        EXAMPLE,
        parameter_space({"op": Choice(("conv",)), "n": Int(3, 3, "log"), "x": Float(0.5, 0.5, "linear")}),
        parameter_space({"op": Choice(("a", "b", "c")), "n": Int(-2, 2, "linear")}),
        parameter_space({"n": Int(1, 10**15, "log"), "m": Int(-(10**15), 10**15, "linear")}),
    ],
    ids=["mixed", "one point", "small", "huge"],
)
def test_conforms(space: Space) -> None:
    check_space(space)


@given(SPACES, RANDOMS)
def test_draws_stay_inside_and_come_back_from_json(space: Space, rng: Random) -> None:
    architecture = space.sample(rng)
    read = space.parse(json.loads(json.dumps(architecture.to_json())))
    assert read == architecture
    assert space.key(read) == space.key(architecture)


@given(SPACES, RANDOMS)
def test_mutation_changes_one_parameter_and_stays_inside(space: Space, rng: Random) -> None:
    architecture = space.sample(rng)
    for _ in range(10):
        mutated = space.mutate(architecture, rng)
        assert space.parse(mutated.to_json()) == mutated
        changed = [name for name in architecture if mutated[name] != architecture[name]]
        assert len(changed) == (0 if space.size() == 1 else 1)
        architecture = mutated


@given(SPACES, RANDOMS)
def test_keys_are_equal_just_where_architectures_are(space: Space, rng: Random) -> None:
    one, other = space.sample(rng), space.sample(rng)
    assert (space.key(one) == space.key(other)) == (one == other)


@given(SPACES)
def test_enumeration_has_no_repeat(space: Space) -> None:
    size = space.size()
    if size is None:
        with pytest.raises(ValueError, match="cannot be enumerated"):
            space.enumerate()
        return
    keys = [space.key(architecture) for architecture in islice(space.enumerate(), 500)]
    assert len(set(keys)) == len(keys) == min(size, 500)


def test_negative_zero_is_zero() -> None:
    space = parameter_space({"x": Float(-0.0, 1.0, "linear")})
    assert space.key(space.parse({"x": -0.0})) == space.key(space.parse({"x": 0})) == "[0.0]"


def test_number_written_as_the_apiserver_writes_it() -> None:
    """A whole float loses its fraction in the apiserver, and comes back as the float that it was."""
    space = parameter_space({"x": Float(0.0, 2.0, "linear"), "n": Int(0, 2, "linear")})
    read = space.parse({"x": 1, "n": 2.0})
    assert [type(value) for value in read.values()] == [float, int]
    assert space.key(read) == "[1.0,2]"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"op": "skip"}, "op: 'skip' is not one of conv, pool"),
        ({"layers": 9}, "layers: 9 is outside 1 to 8"),
        ({"layers": 2.5}, "layers: 2.5 is no whole number"),
        ({"layers": True}, "layers: True is no number"),
        ({"rate": 0}, "rate: 0 is outside 0.0001 to 1 (log)"),
        ({"rate": 10**400}, "is outside 0.0001 to 1 (log)"),
        ({"depth": 1}, "'depth' is no decision: the decisions are op, layers, rate"),
    ],
)
def test_refusals_name_the_parameter(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArchitectureError) as refused:
        EXAMPLE.parse({"op": "conv", "layers": 1, "rate": 0.1, **changes})
    assert message in str(refused.value)


# The chance that a sound sampler exceeds such a bound of a chi-square statistic with 9 degrees is one in ten thousand.
CHI_SQUARE_9 = 33.7
DRAWS = 10_000


def _share(low: float, high: float, number: float, scale: Scale) -> int:
    """The tenth of the range, on its scale, that a number lies in."""
    if scale == "log":
        low, high, number = math.log(low), math.log(high), math.log(number)
    return min(int(10 * (number - low) / (high - low)), 9)


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (Float(-3.0, 5.0, "linear"), -3.0, 5.0),
        (Float(1e-6, 1e2, "log"), 1e-6, 1e2),
        (Int(1, 10, "linear"), 0.5, 10.5),
        (Int(1, 100_000_000, "log"), 0.5, 100_000_000.5),
    ],
    ids=str,
)
def test_samples_are_uniform_on_their_scale(domain: Float | Int, low: float, high: float) -> None:
    rng = Random(11)
    jitter = Random(12)
    counts: Counter[int] = Counter()
    for _ in range(DRAWS):
        number = float(domain.sample(rng))
        if isinstance(domain, Int):
            # A whole number stands for the unit around it, evenly on the domain's scale.
            edges = (number - 0.5, number + 0.5)
            spread = jitter.random()
            number = (
                math.exp(math.log(edges[0]) + spread * (math.log(edges[1]) - math.log(edges[0])))
                if domain.scale == "log"
                else edges[0] + spread
            )
        counts[_share(low, high, number, domain.scale)] += 1
    expected = DRAWS / 10
    assert sum((counts[tenth] - expected) ** 2 / expected for tenth in range(10)) < CHI_SQUARE_9


def test_choices_are_uniform_over_the_product() -> None:
    space = parameter_space({"a": Choice(("1", "2")), "b": Int(1, 5, "linear")})
    rng = Random(5)
    counts = Counter(space.sample(rng) for _ in range(DRAWS))
    expected = DRAWS / 10
    assert len(counts) == 10
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < CHI_SQUARE_9


def test_numbers_mutate_locally_and_choices_anywhere() -> None:
    rng = Random(2)
    domain = Float(1e-6, 1.0, "log")
    steps = [abs(math.log10(float(domain.mutate(1e-3, rng)) / 1e-3)) / 6 for _ in range(DRAWS)]
    # The mean size of a Gaussian step is 0.8 of its deviation, 0.2; two ends of the range are 2.5 deviations away.
    assert 0.15 < sum(steps) / DRAWS < 0.165
    choice = Choice(tuple("abcdefghijk"))
    others = Counter(choice.mutate("f", rng) for _ in range(DRAWS))
    assert set(others) == set("abcdeghijk")
    assert sum((count - DRAWS / 10) ** 2 / (DRAWS / 10) for count in others.values()) < CHI_SQUARE_9


def test_text() -> None:
    architecture = EXAMPLE.parse({"rate": 0.0123456789, "layers": 3, "op": "conv"})
    assert EXAMPLE.name(architecture) == "op=conv layers=3 rate=0.0123457"
    assert EXAMPLE.draw(architecture).splitlines() == [
        "op      conv       of conv, pool",
        "layers  3          of 1 to 8",
        "rate    0.0123457  of 0.0001 to 1 (log)",
    ]

"""What an evaluation leaves out is what its method has, and no other method's."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given as drawn

from kubenas.api.evaluation import Evaluation, Method, Sampler
from kubenas.api.metric_names import DEFAULT_PROXIES, PROXIES, expanded_proxies, of_proxies
from tests.api.test_round_trip import evaluations


@drawn(evaluations)
def test_what_is_resolved_has_what_was_given_and_all_else_of_its_method(evaluation: Evaluation) -> None:
    resolved = evaluation.resolved()
    given = {name: value for name, value in evaluation.dump().items() if name != "proxies"}
    assert given.items() <= {name: value for name, value in resolved.dump().items() if name != "proxies"}.items()
    assert tuple(resolved.proxies or ()) == expanded_proxies(
        evaluation.proxies or (["default"] if evaluation.method == "zero-cost" else [])
    )
    assert resolved.dump().keys() - {"inherit"} == Evaluation(method=evaluation.method).resolved().dump().keys()
    assert resolved.resolved() == resolved


@pytest.mark.parametrize("method", get_args(Method))
def test_each_method_is_complete_without_any_field(method: Method) -> None:
    evaluation = Evaluation(method=method)
    assert (evaluation.resolved().epochs is None) is (method == "zero-cost")
    assert 1 <= evaluation.candidates_per_trial <= evaluation.most_candidates_per_trial


def test_gdas_searches_five_times_as_long_as_others() -> None:
    epochs = {
        sampler: Evaluation(method="differentiable", sampler=sampler).resolved().epochs for sampler in get_args(Sampler)
    }
    assert epochs.pop("gdas") == 5 * 50
    assert set(epochs.values()) == {50}
    assert Evaluation(method="differentiable", sampler="gdas", epochs=7).resolved().epochs == 7


def test_proxies_are_named_as_their_papers_do_with_either_dash() -> None:
    assert expanded_proxies(["l2-norm", "az_nas", "l2_norm", "my-own"]) == ("l2_norm", "az-nas", "my-own")
    assert expanded_proxies(["flops", "default", "vkdnw"]) == ("flops", *DEFAULT_PROXIES)
    assert of_proxies(["default", "head_confidence", "my-own"]) == (
        *PROXIES["az-nas"],
        "vkdnw",
        "head_confidence",
        "my_own",
    )

"""A service of one's own: the protocol, and what happens when it does not keep to it."""

from __future__ import annotations

import asyncio
import json
import pickle
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.external_strategy import propose
from kubenas.api.errors import SpecError
from kubenas.api.search import Search
from kubenas.api.space import SearchSpace
from kubenas.search.base import History, Observation
from kubenas.search.conformance import CONDITIONAL, MIXED, TINY, asked, check_strategy
from kubenas.search.external import EARLIER, External, ExternalSettings
from kubenas.search.load import build_strategy
from kubenas.search.service import repaired, space_document
from kubenas.search.service_request import LARGEST
from kubenas.space.base import Space
from kubenas.space.cel_constraint import compile_constraints
from kubenas.space.cost_limit import CostLimit
from kubenas.space.load import build_space
from tests.search.server import Handle, Server, serving


def _example(request: dict[str, Any]) -> tuple[int, bytes]:
    numbers = range(request["number"], request["number"] + request["count"])
    return 200, json.dumps({"architectures": [propose(request, number) for number in numbers]}).encode()


def _always(document: Any) -> Handle:
    return lambda _: (200, json.dumps(document).encode())


def _external(server: Server, space: Space = TINY, timeout: str = "20s") -> External:
    return External(space, 3, ExternalSettings(base_url=server.url, timeout=timeout))


def test_conforms_with_the_example() -> None:
    # Each proposal is a request, so fewer are made.
    with serving(_example) as server:
        settings = ExternalSettings(base_url=server.url)
        check_strategy(lambda space, seed: External(space, seed, settings), trials=5, every=3)


def test_request_holds_all_there_is_to_know() -> None:
    space = CONDITIONAL
    rng = Random(1)
    failed, ended, runs = space.sample(rng), space.sample(rng), space.sample(rng)
    history = History(space, [Observation(runs, (0.0, 50.0), (50.0, -3.0))])
    history.propose([failed, ended, runs])
    history.observe(Observation(failed, None))
    history.observe(Observation(ended, (-0.5, 2.0), (2.0, -7.0)))
    with serving(_example) as server:
        strategy = _external(server, space)
        asked(strategy, history, 2)
        assert strategy.fault is None
    assert server.paths == ["/ask"]
    assert server.requests == [
        {
            "space": space_document(space),
            "seed": 3,
            "number": 3,
            "count": 2,
            "earlier": [{"architecture": runs.to_json(), "failed": False, "values": [50.0, -3.0], "violation": 0.0}],
            "observations": [
                {"architecture": failed.to_json(), "failed": True},
                {"architecture": ended.to_json(), "failed": False, "values": [2.0, -7.0], "violation": 0.5},
            ],
            "pending": [runs.to_json()],
        }
    ]


def test_of_many_earlier_results_a_part_is_told() -> None:
    rng = Random(2)
    earlier = [Observation(MIXED.sample(rng), (0.0, float(number))) for number in range(EARLIER + 5)]
    with serving(_example) as server:
        asked(_external(server, MIXED), History(MIXED, earlier), 1)
    (request,) = server.requests
    told = [one["values"][0] for one in request["earlier"]]
    assert len(told) == EARLIER
    assert set(range(EARLIER // 2 + 5, EARLIER + 5)) <= set(told)


def test_space_is_written_as_in_yaml() -> None:
    space = MIXED.with_constraints(compile_constraints(["width > 16"], MIXED))
    document = json.loads(json.dumps(space_document(space)))
    assert document == {
        "decisions": [
            {"name": "operation", "type": "choice", "values": ["a", "b"]},
            {"name": "width", "type": "int", "min": 8, "max": 512, "scale": "log"},
            {"name": "rate", "type": "float", "min": 1e-5, "max": 1.0, "scale": "log"},
        ],
        "constraints": ["width > 16"],
    }
    assert space_document(CONDITIONAL)["decisions"][2]["when"] == {"decision": "depth", "values": [2, 3]}


def test_costs_and_limits_on_them_are_told() -> None:
    table = {
        "name": "ms",
        "terms": [{"parameter": "a", "values": [{"number": 1, "add": 0.5}, {"number": 2, "add": 2}]}],
    }
    parameters = [{"name": "a", "type": "int", "min": 1, "max": 2}]
    space = build_space(SearchSpace.model_validate({"parameters": parameters, "costs": [table]}))
    document = json.loads(json.dumps(space_document(space.with_constraints([CostLimit(space, "ms", 1.5, upper=True)]))))
    assert document["costs"] == [{**table, "base": 0}]
    assert document["constraints"] == ["ms <= 1.5"]


def test_prepared_answers_serve_though_results_come_in_meanwhile() -> None:
    with serving(_example) as server:
        strategy, history = _external(server, MIXED), History(MIXED)
        (runs,) = asked(strategy, history, 1)
        work = pickle.loads(pickle.dumps(strategy.preparation(history, 2)))  # noqa: S301 - our own
        assert work.waits
        answer = work.result()
        history.observe(Observation(runs, (0.0, 1.0)))
        strategy.accept(work, answer)
        assert strategy.preparation(history, 2) is None
        proposals = asked(strategy, history, 2)
        assert [proposal.to_json() for proposal in proposals] == list(answer.documents)
        assert len(server.requests) == 2
        assert strategy.preparation(history, 2) is not None


@pytest.mark.parametrize(
    ("handle", "fault"),
    [
        (lambda _: (500, b"secret"), "answered with status 500"),
        (lambda _: (204, b""), "answered with status 204"),
        (lambda _: (200, b"secret"), "answered with what is no JSON"),
        (lambda _: (200, b"[" * 100_000), "answered with what is no JSON"),
        (lambda _: (200, b" " * (LARGEST + 1)), "answered with more than 1 MiB"),
        (_always(["a"]), 'answered with no {"architectures": [...]}'),
        (_always({"architectures": "a"}), 'answered with no {"architectures": [...]}'),
        (_always({"architectures": []}), "0 of 1 architectures were proposed"),
        (
            _always({"architectures": [{"operation": "d", "layers": 1}]}),
            "proposal 1 of 1 is outside the space: operation: 'd' is not one of a, b, c",
        ),
    ],
)
def test_wrong_answers_are_told_of_and_the_search_goes_on(handle: Handle, fault: str) -> None:
    with serving(handle) as server:
        strategy, history = _external(server), History(TINY)
        assert len(asked(strategy, history, 1)) == 1
        assert strategy.fault is not None
        assert strategy.fault.removeprefix(f"{server.url}/ask ") == fault


def test_redirects_are_not_followed() -> None:
    with serving(_example) as other, serving(lambda _: (307, b""), location=f"{other.url}/ask") as server:
        strategy = _external(server)
        assert len(asked(strategy, History(TINY), 1)) == 1
        assert strategy.fault == f"{server.url}/ask answered with status 307"
        assert other.requests == []


def test_slow_answers_are_not_waited_for() -> None:
    with serving(_always({"architectures": [{}] * 100}), drips=True) as server:
        # On a busy machine a second is over before the request is sent.
        strategy = _external(server, timeout="5s")
        assert len(asked(strategy, History(TINY), 3)) == 3
        assert strategy.fault == f"{server.url}/ask did not answer within 5 s"
        assert len(server.requests) == 1


def test_goes_on_without_a_service_and_takes_it_up_again() -> None:
    with serving(_example) as server:
        pass
    strategy, history = _external(server, MIXED), History(MIXED)
    for number in range(20):
        (proposal,) = asked(strategy, history, 1)
        history.observe(Observation(proposal, (0.0, float(number))))
    assert strategy.fault == f"{server.url}/ask cannot be asked (ConnectError)"
    with serving(_example) as server:
        work = strategy.preparation(history, 1)
        assert work is not None
        strategy.accept(work, asyncio.run(work.run(f"{server.url}/ask", *work.arguments[1:])))
        assert strategy.fault is None


def test_what_was_proposed_before_is_mutated() -> None:
    with serving(_always({"architectures": [{"operation": "a", "layers": 2}]})) as server:
        strategy, history = _external(server), History(TINY)
        first, second = (asked(strategy, history, 1)[0] for _ in range(2))
        assert strategy.fault is None
        assert first.to_json() == {"operation": "a", "layers": 2}
        assert second != first


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(CONDITIONAL.decisions)), JSON | st.integers(0, 70)) | JSON)
def test_whatever_is_repaired_is_in_the_space(document: Any) -> None:
    architecture = repaired(CONDITIONAL, document, Random(0))
    assert architecture is None or CONDITIONAL.parse(architecture.to_json()) == architecture


def test_repair_keeps_what_is_right() -> None:
    document = {"depth": 1, "kernel.0": 7, "kernel.1": 3, "width": 1000}
    architecture = repaired(CONDITIONAL, document, Random(0))
    assert architecture is not None
    assert (architecture["depth"], architecture["kernel.0"]) == (1, 7)
    assert "kernel.1" not in architecture


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.b",
        "file:///etc/passwd",
        "http://",
        "http://user:word@a.b",
        "http://a.b/?x=1",
        "http://a.b:99999",
        "http://[::1",
        "nowhere.com",
    ],
)
def test_only_addresses_of_services_are_taken(url: str) -> None:
    with pytest.raises(SpecError) as error:
        build_strategy(Search(algorithm="external", settings={"baseUrl": url}), TINY)
    assert error.value.field == "search.settings.baseUrl"


def test_address_is_required() -> None:
    with pytest.raises(SpecError, match=r"search\.settings\.baseUrl: is required"):
        build_strategy(Search(algorithm="external"), TINY)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".invalid"])
def test_names_that_cannot_be_looked_up_are_a_fault(host: str) -> None:
    strategy = External(TINY, 0, ExternalSettings(base_url=f"http://{host}"))
    assert len(asked(strategy, History(TINY), 1)) == 1
    assert strategy.fault is not None
    assert strategy.fault.startswith(f"http://{host}/ask cannot be asked")

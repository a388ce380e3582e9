"""What searches come to: within constraints, for several objectives, and with trainers and services that misbehave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from examples.external_strategy import propose
from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, accuracy, drawn
from tests.operator.harness import Workspace, experiment
from tests.search.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.operator.api import Object

pytestmark = [pytest.mark.control_plane, pytest.mark.usefixtures("operator")]

SPACE: dict[str, Any] = {
    "parameters": [
        {"name": "depth", "type": "int", "min": 1, "max": 4},
        {"name": "width", "type": "ordinal", "numbers": [8, 16, 32]},
    ]
}
TWO: list[dict[str, Any]] = [
    {"metric": "accuracy", "reference": 0},
    {"metric": "latency_ms", "goal": "minimize", "reference": 1},
    {"metric": "size", "goal": "minimize", "limit": 0.8},
]


WIDTHS = {8: 1.0, 16: 2.5, 32: 4.0}
COSTS = [
    {
        "name": "latency_ms",
        "base": 0.5,
        "terms": [{"parameter": "width", "values": [{"number": n, "add": add} for n, add in WIDTHS.items()]}],
    }
]


def reported(trial: Trial, **metrics: float) -> Ending:
    (candidate,) = trial["candidates"]
    result = {"candidate": candidate["id"], "step": candidate["epochs"], "metrics": metrics}
    return Ending(json.dumps({"results": [result]}))


def several(trial: Trial) -> Ending:
    """Three metrics that the architecture determines."""
    architecture = trial["candidates"][0]["architecture"]
    return reported(trial, **{one["metric"]: drawn([one["metric"], architecture]) for one in TWO})


def priced(trial: Trial) -> Ending:
    """What a trainer reports that knows the costs."""
    architecture = trial["candidates"][0]["architecture"]
    return reported(trial, accuracy=drawn(architecture), latency_ms=0.5 + WIDTHS[architecture["width"]])


def diverges(trial: Trial) -> Ending:
    """Every other trial ends with a loss that is no number."""
    odd = int(trial["trial"].rpartition("-")[2]) % 2 == 1
    return reported(trial, accuracy=float("nan") if odd else drawn(trial["candidates"][0]["architecture"]))


def forgets(trial: Trial) -> Ending:
    """Every other trial does not report the objective."""
    odd = int(trial["trial"].rpartition("-")[2]) % 2 == 1
    return reported(trial, loss=0.1) if odd else accuracy(trial)


def tried(workspace: Workspace) -> list[Object]:
    return [trial["spec"]["candidates"][0]["architecture"] for trial in workspace.trials()]


def ends(workspace: Workspace, outcome: Callable[[Trial], Ending], **spec: Any) -> Object:
    """The status of a search once it has succeeded."""
    with workspace.control_plane.fake_pods(outcome):
        workspace.apply(experiment(**spec))
        workspace.wait_condition("Succeeded")
    return workspace.status()


@pytest.mark.parametrize("algorithm", ["random", "predictor"])
def test_all_that_constraints_allow_is_tried_and_nothing_else(algorithm: str, workspace: Workspace) -> None:
    space = {**SPACE, "constraints": ["depth * width <= 32"]}
    trials = {"max": 10, "parallelism": 2}
    status = ends(workspace, accuracy, searchSpace=space, search={"algorithm": algorithm}, trials=trials)
    assert workspace.condition("Succeeded")["reason"] == "SearchSpaceExhausted"
    assert status["progress"] == "7/10"
    allowed = [(d, w) for d in (1, 2, 3, 4) for w in (8, 16, 32) if d * w <= 32]
    assert sorted((one["depth"], one["width"]) for one in tried(workspace)) == sorted(allowed)


def test_what_costs_show_to_be_beyond_a_limit_is_never_tried(workspace: Workspace) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "latency_ms", "goal": "minimize", "limit": 3}]
    ends(workspace, priced, objectives=objectives, searchSpace={**SPACE, "costs": COSTS}, trials={"max": 12})
    assert workspace.condition("Succeeded")["reason"] == "SearchSpaceExhausted"
    allowed = [(d, w) for d in (1, 2, 3, 4) for w in (8, 16)]
    assert sorted((one["depth"], one["width"]) for one in tried(workspace)) == allowed


@pytest.mark.parametrize(
    ("limit", "costs", "message"),
    [
        (1, COSTS, "spec.objectives[1].limit: leaves no architecture"),
        (
            3,
            [{**COSTS[0], "terms": [{"parameter": "widht", "values": [{"number": 8, "add": 1}]}]}],
            "spec.searchSpace.costs[0].terms[0].parameter: widht is no decision: there are depth, width",
        ),
    ],
)
def test_wrong_costs_and_limits_are_named(limit: float, costs: Any, message: str, workspace: Workspace) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "latency_ms", "goal": "minimize", "limit": limit}]
    workspace.apply(experiment(objectives=objectives, searchSpace={**SPACE, "costs": costs}))
    assert workspace.wait_condition("Accepted", status="False")["message"].startswith(message)
    assert workspace.trials() == []


def test_a_wrong_constraint_is_named_and_nothing_starts(workspace: Workspace) -> None:
    workspace.apply(experiment(searchSpace={**SPACE, "constraints": ["depth > 1", "widht < 32"]}))
    refused = workspace.wait_condition("Accepted", status="False")
    assert refused["message"].startswith("spec.searchSpace.constraints[1]: widht is no decision: ")
    assert workspace.status()["phase"] == "Rejected"
    assert workspace.trials() == []


def test_the_front_of_two_objectives_and_its_hypervolume_are_told(workspace: Workspace) -> None:
    own = {"schedulerName": "nobody", "containers": [{"name": "trainer", "image": "of-ones-own"}]}
    spec = {"objectives": TWO, "search": {"algorithm": "nsga2"}, "trialTemplate": {"spec": own}}
    status = ends(workspace, several, trials={"max": 16}, **spec)
    found = {}
    for trial in workspace.trials():
        (result,) = trial["status"]["results"]
        found[trial["metadata"]["name"]] = {metric["name"]: metric["value"] for metric in result["metrics"]}
    kept = {name: (m["accuracy"], m["latency_ms"]) for name, m in found.items() if m["size"] <= 0.8}
    assert 0 < len(kept) < 16
    best = [
        name
        for name, (gain, cost) in kept.items()
        if not any(g >= gain and c <= cost and (g, c) != (gain, cost) for g, c in kept.values())
    ]
    best.sort(key=lambda name: -kept[name][0])
    assert [one["trial"] for one in status["paretoFront"]] == best
    assert status["best"] == status["paretoFront"][0]
    # From the most accurate on, each adds what it is cheaper by.
    area, cheapest = 0.0, 1.0
    for gain, cost in (kept[name] for name in best):
        area += gain * (cheapest - cost)
        cheapest = cost
    assert status["hypervolume"] == pytest.approx(area)


@pytest.mark.parametrize(
    ("outcome", "reason", "message"),
    [
        pytest.param(diverges, "NonFiniteMetric", "accuracy, an objective, is nan, not a finite number", id="nan"),
        pytest.param(forgets, "MetricMissing", "no accuracy, an objective; it reported loss", id="missing"),
    ],
)
def test_a_search_goes_on_though_trials_have_no_value(
    outcome: Callable[[Trial], Ending], reason: str, message: str, workspace: Workspace
) -> None:
    trials = {"max": 8, "parallelism": 2, "retries": 0}
    settings = {"populationSize": 3, "sampleSize": 2}
    status = ends(
        workspace, outcome, trials=trials, search={"algorithm": "regularized-evolution", "settings": settings}
    )
    assert (status["counts"]["succeeded"], status["counts"]["failed"]) == (4, 4)
    assert int(status["best"]["trial"].rpartition("-")[2]) % 2 == 0
    for failed in workspace.trials()[1::2]:
        assert failed["status"]["lastFailure"]["reason"] == reason
        assert message in failed["status"]["lastFailure"]["message"]


@pytest.fixture
def _pods(workspace: Workspace) -> Iterator[None]:
    with workspace.control_plane.fake_pods():
        yield


def asks(workspace: Workspace, algorithm: str, **settings: Any) -> Object:
    """The condition of a search with a service that does not answer as it should; it must end all the same."""
    search = {"algorithm": algorithm, "settings": settings}
    workspace.apply(experiment(searchSpace=SPACE, search=search, trials={"max": 3}))
    told = workspace.wait_condition("ProposalsAvailable", status="False")
    workspace.wait_condition("Succeeded")
    assert workspace.status()["progress"] == "3/3"
    assert any(event["reason"] == "StrategyFault" for event in workspace.events())
    assert told["message"].startswith("spec.search: ")
    assert told["message"].endswith("; the search goes on without it")
    return told


@pytest.mark.usefixtures("_pods")
@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"depth": 9, "width": 8}, "proposal 1 of 1 is outside the space: depth: 9 is outside 1 to 4"),
        ("nonsense", "proposal 1 of 1 is outside the space: an architecture is an object"),
    ],
)
def test_an_external_service_that_proposes_what_there_is_not(
    document: Any, message: str, workspace: Workspace, far: str
) -> None:
    with serving(lambda _: (200, json.dumps({"architectures": [document]}).encode()), host=far) as server:
        assert message in asks(workspace, "external", baseUrl=server.url)["message"]
    assert all(1 <= one["depth"] <= 4 for one in tried(workspace))


@pytest.mark.usefixtures("_pods")
def test_an_external_service_that_is_down(workspace: Workspace, far: str) -> None:
    with serving(lambda _: (200, b""), host=far) as server:
        pass
    assert (
        f"{server.url}/ask cannot be asked (ConnectError)" in asks(workspace, "external", baseUrl=server.url)["message"]
    )


@pytest.mark.usefixtures("_pods")
def test_an_external_service_that_comes_back(workspace: Workspace, far: str) -> None:
    def answer(request: dict[str, Any]) -> tuple[int, bytes]:
        if request["number"] == 0:
            return 503, b""
        until(lambda: workspace.condition("ProposalsAvailable")["status"] == "False")
        return 200, json.dumps({"architectures": [propose(request, request["number"])]}).encode()

    with serving(answer, host=far) as server:
        search = {"algorithm": "external", "settings": {"baseUrl": server.url}}
        workspace.apply(experiment(searchSpace=SPACE, search=search, trials={"max": 3}))
        workspace.wait_condition("Succeeded")
        proposed = [propose(request, request["number"]) for request in server.requests]
    assert workspace.condition("ProposalsAvailable")["status"] == "True"
    assert tried(workspace)[1:] == proposed[1:]


@pytest.mark.parametrize("algorithm", ["external", "llm"])
def test_an_address_of_the_operators_own_machine_is_refused(algorithm: str, workspace: Workspace) -> None:
    settings = {"baseUrl": "http://169.254.169.254/latest", **({"model": "m"} if algorithm == "llm" else {})}
    workspace.apply(experiment(search={"algorithm": algorithm, "settings": settings}))
    refused = workspace.wait_condition("Accepted", status="False")
    assert refused["message"].startswith(
        "spec.search.settings.baseUrl: 169.254.169.254 is an address of the operator's"
    )
    assert workspace.trials() == []


@pytest.mark.usefixtures("_pods")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "answered with no chat completion"),
        (
            b'{"choices": [{"message": {"content": "Wider is better."}}]}',
            "answered with a text that is no JSON array of architectures",
        ),
    ],
)
def test_a_language_model_that_talks_nonsense(body: bytes, message: str, workspace: Workspace, far: str) -> None:
    with serving(lambda _: (200, body), host=far) as server:
        told = asks(workspace, "llm", model="m", baseUrl=f"{server.url}/v1")["message"]
        assert f"{server.url}/v1 {message}" in told


@pytest.mark.usefixtures("_pods")
def test_a_language_model_that_never_answers(workspace: Workspace, far: str) -> None:
    def silent(_: dict[str, Any]) -> tuple[int, bytes]:
        server.ended.wait(60)
        return 200, b""

    with serving(silent, host=far) as server:
        told = asks(workspace, "llm", model="m", baseUrl=server.url, timeout="1s")
        assert f"{server.url} did not answer within 1 s" in told["message"]

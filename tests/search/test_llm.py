"""A language model behind a real HTTP server: prompts, answers good and bad, and where the key goes."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from examples.external_strategy import propose
from kubenas.api.errors import SpecError
from kubenas.api.search import Search
from kubenas.search.base import History, Observation
from kubenas.search.conformance import TINY, asked, check_strategy
from kubenas.search.llm import FAILURES, KEY_VARIABLE, LLM, URL_VARIABLE, LLMSettings
from kubenas.search.load import build_strategy
from kubenas.space.presets.nasbench201 import NASBench201
from tests.search.server import Handle, Server, serving

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def _says(answer: Callable[[dict[str, Any]], str]) -> Handle:
    """A chat completion with the text that `answer` makes of the prompt."""

    def handle(request: dict[str, Any]) -> tuple[int, bytes]:
        message = {"role": "assistant", "content": answer(json.loads(request["messages"][-1]["content"]))}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        return 200, json.dumps(completion).encode()

    return handle


def _drawn(prompt: dict[str, Any]) -> str:
    numbers = range(prompt["proposed"], prompt["proposed"] + prompt["count"])
    request = {"seed": prompt["space"].get("seed"), "space": prompt["space"], "observations": []}
    return json.dumps([propose(request, number) for number in numbers])


def _llm(server: Server, **settings: Any) -> LLM:
    return LLM(TINY, 0, LLMSettings.model_validate({"model": "m", "baseUrl": f"{server.url}/v1", **settings}))


def test_conforms() -> None:
    # A prompt has no seed, so that the model here is one for each.
    def build(space: Any, seed: int) -> LLM:
        return LLM(space, seed, LLMSettings(model="m", base_url=f"{server.url}/{seed}", timeout="20s"))

    def handle(request: dict[str, Any]) -> tuple[int, bytes]:
        seed = server.paths[-1].split("/")[1]
        return _says(lambda prompt: _drawn({**prompt, "space": {**prompt["space"], "seed": seed}}))(request)

    with serving(handle) as server:
        check_strategy(build, trials=5, every=3)


def test_prompt_shows_the_best_the_failed_and_the_running() -> None:
    space, rng = NASBench201(), Random(0)
    earlier = [Observation(space.sample(rng), (0.0, 100.0 + number % 5)) for number in range(5)]
    history = History(space, earlier)
    architectures = [space.sample(rng) for _ in range(20)]
    history.propose(architectures)
    for number, architecture in enumerate(architectures[:19]):
        history.observe(Observation(architecture, None if number % 2 else (-float(number == 18), float(number))))
    with serving(_says(_drawn)) as server:
        strategy = LLM(space, 0, LLMSettings(model="m", base_url=f"{server.url}/v1/", temperature=0.1, history_size=3))
        asked(strategy, history, 2)
        assert strategy.fault is None
    (request,) = server.requests
    assert server.paths == ["/v1/chat/completions"]
    assert (request["model"], request["temperature"]) == ("m", 0.1)
    prompt = json.loads(request["messages"][1]["content"])
    # 18 breaks a limit.
    assert [result["values"] for result in prompt["best"]] == [[16.0], [14.0], [12.0]]
    assert [result["values"] for result in prompt["earlier"]] == [[104.0], [103.0], [102.0]]
    assert prompt["failed"] == [architecture.to_json() for architecture in architectures[1:19:2]][-FAILURES:]
    assert prompt["running"] == [architectures[19].to_json()]
    assert prompt["count"] == 2
    assert [decision["name"] for decision in prompt["space"]["decisions"]] == list(space.decisions)


@pytest.mark.parametrize(
    "text", ['[{"operation": "b", "layers": 4}]', '```json\n[{"operation": "b", "layers": 4}]\n```']
)
def test_answers_are_proposed(text: str) -> None:
    with serving(_says(lambda _: text)) as server:
        strategy = _llm(server)
        assert [proposal.to_json() for proposal in asked(strategy, History(TINY), 1)] == json.loads(
            text.strip("`json\n")
        )
        assert strategy.fault is None


@pytest.mark.parametrize(
    ("handle", "fault"),
    [
        (_says(lambda _: "I cannot help with this."), "answered with a text that is no JSON array of architectures"),
        (_says(lambda _: '{"operation": "a", "layers": 1}'), "answered with a text that is no JSON array"),
        (_says(lambda _: "[" * 100_000), "answered with a text that is no JSON array"),
        (_says(lambda _: "[1]"), "proposal 1 of 1 is outside the space"),
        (_says(lambda _: "[]"), "0 of 1 architectures were proposed"),
        (lambda _: (200, b'{"choices": []}'), "answered with no chat completion"),
        (lambda _: (200, b'{"choices": [{"message": {"content": null}}]}'), "answered with no text"),
        (lambda _: (200, b"nonsense"), "answered with no chat completion"),
        (lambda _: (200, b" " * 5_000_000), "answered with more than 1 MiB"),
        (lambda _: (401, b'{"error": {"message": "bad key"}}'), "answered with status 401"),
        (lambda _: (500, b"secret"), "answered with status 500"),
    ],
)
def test_wrong_answers_are_told_of_and_the_search_goes_on(handle: Handle, fault: str) -> None:
    with serving(handle) as server:
        strategy = _llm(server)
        assert len(asked(strategy, History(TINY), 1)) == 1
        assert strategy.fault is not None
        assert fault in strategy.fault
        assert "secret" not in strategy.fault


def test_silence_is_not_waited_for() -> None:
    def handle(_: dict[str, Any]) -> tuple[int, bytes]:
        server.ended.wait(30)
        return 200, b""

    with serving(handle) as server:
        strategy = _llm(server, timeout="1s")
        assert len(asked(strategy, History(TINY), 4)) == 4
        assert strategy.fault == f"{server.url}/v1 did not answer within 1 s"


def test_goes_on_without_a_server() -> None:
    with serving(_says(_drawn)) as server:
        pass
    strategy = _llm(server)
    assert len(asked(strategy, History(TINY), 4)) == 4
    assert strategy.fault == f"{server.url}/v1 cannot be asked (APIConnectionError)"


def test_goes_on_without_an_endpoint() -> None:
    strategy = LLM(TINY, 0, LLMSettings(model="m"))
    assert len(asked(strategy, History(TINY), 4)) == 4
    assert strategy.fault == f"there is no endpoint: give search.settings.baseUrl, or the operator {URL_VARIABLE}"


def test_key_goes_to_the_operators_endpoint_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(_says(_drawn)) as own, serving(_says(_drawn)) as other:
        monkeypatch.setenv(URL_VARIABLE, f"{own.url}/v1/")
        absent = LLM(TINY, 0, LLMSettings(model="m"))
        for strategy in (absent, _llm(own), _llm(other)):
            work = strategy.preparation(History(TINY), 1)
            assert work is not None
            assert KEY.encode() not in pickle.dumps(work)
            strategy.accept(work, work.result())
            assert strategy.fault is None
    assert own.authorizations == [f"Bearer {KEY}"] * 2
    assert len(other.authorizations) == 1
    assert KEY not in other.authorizations[0]
    assert KEY not in caplog.text


def test_nothing_else_of_the_environment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "project-1", "OPENAI_CUSTOM_HEADERS": "X-Token: token-1"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    with serving(_says(_drawn)) as server:
        strategy = _llm(server)
        assert len(asked(strategy, History(TINY), 1)) == 1
        assert strategy.fault is None
    (headers,) = server.headers
    assert not [value for value in headers.values() if value in {"org-1", "project-1", "token-1"}]


def test_key_does_not_follow_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(_says(_drawn)) as other, serving(lambda _: (307, b""), location=other.url) as own:
        monkeypatch.setenv(URL_VARIABLE, own.url)
        monkeypatch.setenv(KEY_VARIABLE, KEY)
        strategy = LLM(TINY, 0, LLMSettings(model="m"))
        asked(strategy, History(TINY), 1)
        assert strategy.fault == f"{own.url} answered with status 307"
        assert other.requests == []


def test_key_with_a_line_break_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(_says(_drawn)) as own:
        monkeypatch.setenv(URL_VARIABLE, own.url)
        monkeypatch.setenv(KEY_VARIABLE, KEY + "\nx\n")
        strategy = LLM(TINY, 0, LLMSettings(model="m"))
        assert len(asked(strategy, History(TINY), 1)) == 1
        assert strategy.fault is not None
        assert KEY not in strategy.fault


def test_model_is_required() -> None:
    with pytest.raises(SpecError, match=r"search\.settings\.model: is required"):
        build_strategy(Search(algorithm="llm"), TINY)

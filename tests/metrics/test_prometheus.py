"""Answers of a Prometheus, or of what is taken for one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, BinaryIO

import pytest

from kubenas.experiment.curves import gathered
from kubenas.experiment.state import Curves, Fault
from kubenas.metrics.fetch import http_client
from kubenas.metrics.prometheus import LARGEST, MOST_SERIES, ReadError, read_curves
from tests.experiment.builders import candidate
from tests.metrics.server import Answer, Server, endless, serving, whole

PODS = [f"nas-{number}-1" for number in range(10)]
Series = list[dict[str, Any]]


def series_of(pod: str, metric: str = "accuracy", padding: int = 0) -> Series:
    """Step 3 at one scrape."""
    labels = {"pod": pod, "candidate": "0", "padding": "x" * padding}
    return [
        {"metric": {**labels, "__name__": "kubenas_trial_step"}, "values": [[1.5, "3"]]},
        {"metric": {**labels, "__name__": "kubenas_trial_value", "metric": metric}, "values": [[1.5, "0.5"]]},
    ]


def prometheus(of_pods: dict[str, Series]) -> Answer:
    """A Prometheus that has these series, and answers with those of the pods that it is asked for."""

    def answer(form: dict[str, str], out: BinaryIO, ended: Any) -> None:
        asked = re.search(r"pod=~`(.*?)`", form["query"])
        assert asked, form
        found = [one for pod, series in of_pods.items() if re.fullmatch(asked[1], pod) for one in series]
        document = {"status": "success", "data": {"resultType": "matrix", "result": found}}
        whole(json.dumps(document).encode())(form, out, ended)

    return answer


async def read(server: Server, pods: Sequence[str] = PODS) -> tuple[dict[str, Curves], Fault | None]:
    async with http_client() as client:
        return await read_curves(client, server.url, "team", "uid-1", dict.fromkeys(pods, 1.0), 30.0)


async def test_only_the_pods_of_the_experiments_attempts_are_asked_for() -> None:
    series = {pod: series_of(pod) for pod in [*PODS, "nas-0-2", "nas-0x1"]}
    with serving(prometheus(series)) as server:
        assert await read(server, ["nas-0-1"]) == ({"nas-0-1": {"0": {3: {"accuracy": 0.5}}}}, None)
        assert await read(server, ["nas.0-1"]) == ({}, None)
        assert await read(server, []) == ({}, None)
    (form, dotted) = server.forms
    assert form == {
        "query": '{__name__=~"kubenas_trial_value|kubenas_trial_step|kubenas_trial_rung",job="kubenas-trials",'
        'namespace="team",experiment_uid="uid-1",pod=~`nas-0-1`}[30s]',
        "timeout": "10s",
    }
    assert r"pod=~`nas\.0-1`" in dotted["query"]


async def test_samples_of_a_deleted_trials_pod_are_none_of_the_one_that_has_its_name() -> None:
    series = series_of("nas-0-1") + series_of("nas-1-1")
    rung = {"__name__": "kubenas_trial_rung", "pod": "nas-1-1", "candidate": "0", "metric": "accuracy", "step": "1"}
    series.append({"metric": rung, "values": [[1.5, "0.125"], [2.5, "0.25"]]})
    of_pods = {pod: [one for one in series if one["metric"]["pod"] == pod] for pod in ("nas-0-1", "nas-1-1")}
    with serving(prometheus(of_pods)) as server:
        async with http_client() as client:
            since = {"nas-0-1": 1.5, "nas-1-1": 1.75}
            found, _ = await read_curves(client, server.url, "team", "uid-1", since, 30.0)
    assert found == {"nas-0-1": {"0": {3: {"accuracy": 0.5}}}, "nas-1-1": {"0": {1: {"accuracy": 0.25}}}}


async def test_values_at_rungs_join_the_curve_at_their_steps() -> None:
    labels = {"__name__": "kubenas_trial_rung", "pod": "nas-0-1", "candidate": "0", "metric": "accuracy"}
    rungs = [
        {"metric": {**labels, "step": "1"}, "values": [[1.0, "0.125"], [1.5, "0.25"]]},
        {"metric": {**labels, "step": "one"}, "values": [[1.5, "0.25"]]},
        {"metric": {**labels, "step": "2"}, "values": [[1.5, "NaN"]]},
    ]
    with serving(prometheus({"nas-0-1": series_of("nas-0-1") + rungs})) as server:
        found, _ = await read(server)
    curves = gathered({}, found["nas-0-1"], [candidate()], ["accuracy"], [1, 2])
    assert curves == {"0": {1: {"accuracy": 0.25}, 3: {"accuracy": 0.5}}}


@pytest.mark.parametrize(
    "much",
    [series_of("nas-7-1", padding=LARGEST), series_of("nas-7-1") * (MOST_SERIES // 2 + 1)],
    ids=["bytes", "series"],
)
async def test_a_pod_that_shows_too_much_is_left_out_alone(much: Series) -> None:
    series = {pod: series_of(pod) for pod in PODS} | {"nas-7-1": much}
    with serving(prometheus(series)) as server:
        found, fault = await read(server)
    assert found == {f"nas-{n}-1": {"0": {3: {"accuracy": 0.5}}} for n in range(10) if n != 7}
    assert fault is not None
    assert fault.reason == "MetricsUnreadable"
    assert "pod nas-7-1 in Prometheus are more than are read at once (512 KiB, 5000 series)" in fault.message


async def test_more_than_one_answer_holds_is_asked_for_in_parts() -> None:
    with serving(prometheus({pod: series_of(pod, padding=LARGEST // 8) for pod in PODS})) as server:
        found, fault = await read(server)
    assert (len(found), fault) == (10, None)
    assert len(server.forms) > 1


@pytest.mark.parametrize(
    ("answer", "reason", "message"),
    [
        (endless(b"x" * 4096), "MetricsUnreadable", "more than are read at once"),
        (whole(b"{}", "Content-Encoding: gzip"), "PrometheusUnreachable", "encoding"),
        (whole(b"<html>"), "PrometheusUnreachable", "does not answer as Prometheus does"),
        (whole(b"[" * 100_000), "PrometheusUnreachable", "does not answer as Prometheus does"),
        (whole(b"[]"), "PrometheusUnreachable", "does not answer as Prometheus does"),
        (whole(b'{"status": "success", "data": []}'), "PrometheusUnreachable", "does not answer as Prometheus does"),
        (whole(b'{"status": "error", "error": "no"}', status=400), "PrometheusError", "refuses the query (400): no"),
    ],
)
async def test_what_is_no_answer_becomes_a_fault(answer: Answer, reason: str, message: str) -> None:
    with serving(answer) as server:
        try:
            _, fault = await read(server, ["nas-0-1"])
        except ReadError as error:
            fault = error.fault
    assert fault is not None
    assert fault.reason == reason
    assert message in fault.message


async def test_an_answer_without_end_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte by byte, so that each read of it succeeds."""
    monkeypatch.setattr("kubenas.metrics.prometheus._SECONDS", 0.5)
    with serving(endless(b" ", pause=0.05)) as server, pytest.raises(ReadError) as given_up:
        await read(server, ["nas-0-1"])
    assert given_up.value.fault.reason == "PrometheusUnreachable"
    assert "does not answer in full within 0.5 s" in given_up.value.fault.message


async def test_nobody_at_the_address() -> None:
    with serving(whole(b"")) as server:
        pass
    with pytest.raises(ReadError, match="does not answer"):
        await read(server)

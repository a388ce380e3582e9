"""What a trial's own /metrics says."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kubenas.experiment.curves import gathered
from kubenas.experiment.state import Exposed
from kubenas.metrics.exposition import FAILURE, LARGEST, RUNG, STEP, VALUE, parse_exposition, scrape
from kubenas_trial.exposition import Exposition
from tests.experiment import builders
from tests.metrics.server import serving, whole

TEXT = """# HELP kubenas_trial_value Last reported value of a metric.
# TYPE kubenas_trial_value gauge
kubenas_trial_value{candidate="0",metric="accuracy"} 0.5
kubenas_trial_value{candidate="0",metric="loss"} NaN
kubenas_trial_value{candidate="1",metric="accuracy"} 0.25
kubenas_trial_value{candidate="2",metric="accuracy"} 0.125
kubenas_trial_step{candidate="0"} 3.0
kubenas_trial_step{candidate="1"} 2
kubenas_trial_step{candidate="3"} 1
process_cpu_seconds_total 12
"""


def test_values_come_with_their_steps() -> None:
    assert parse_exposition(TEXT, 4).curves == {"0": {3: {"accuracy": 0.5}}, "1": {2: {"accuracy": 0.25}}}
    assert parse_exposition("", 4).curves == {}


@pytest.mark.parametrize(
    "text",
    [
        "<html>",
        'kubenas_trial_value{candidate="0" 1',
        'kubenas_trial_value{candidate="0",metric="a"}',
        'kubenas_trial_value{candidate="0",metric="a"} one',
        'kubenas_trial_value candidate="0",metric="a"} 1',
        'kubenas_trial_value{candidate="0" metric="a"} 1',
        "kubenas_trial_step 1",
    ],
)
def test_what_is_no_exposition(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_exposition(text, 1)


async def test_what_the_sdk_serves_is_read() -> None:
    with Exposition(0) as exposition:
        exposition.keep("0", 3, 30, {"accuracy": 0.5, "epoch": 3.0})
        exposition.keep("0", 3, 31, {"accuracy": 0.25, "epoch": 3.0})
        exposition.update("0", 7, {"accuracy": 0.75, "loss": 1e-9})
        async with httpx.AsyncClient(trust_env=False) as client:
            read = await scrape(client, f"http://127.0.0.1:{exposition.port}/metrics", 1)
            with pytest.raises(httpx.HTTPStatusError):
                await scrape(client, f"http://127.0.0.1:{exposition.port}/other", 1)
    assert read.curves == {"0": {7: {"accuracy": 0.75, "loss": 1e-9}, 30: {"accuracy": 0.5, "epoch": 3.0}}}


async def test_another_page_is_an_error() -> None:
    with serving(whole(b"<html>\xff</html>")) as page:
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(ValueError, match="no metrics in Prometheus' text format"):
                await scrape(client, page.url, 1)


def samples_of_library(text: str) -> dict[str, tuple[int, dict[str, float]]]:
    steps: dict[str, int] = {}
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == STEP:
                steps[sample.labels["candidate"]] = int(sample.value)
            elif sample.name == VALUE:
                values.setdefault(sample.labels["candidate"], {})[sample.labels["metric"]] = sample.value
    return {candidate: (steps[candidate], found) for candidate, found in values.items() if candidate in steps}


@given(
    st.dictionaries(
        st.integers(0, 15).map(str),
        st.tuples(
            st.integers(0, 10**6),
            st.dictionaries(
                st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}", fullmatch=True),
                st.floats(allow_nan=False, allow_infinity=False),
                max_size=4,
            ),
        ),
    ),
    st.text(),
)
def test_what_the_library_writes_is_read_as_the_library_reads_it(
    reported: dict[str, tuple[int, dict[str, float]]], other: str
) -> None:
    """Other labels may hold anything."""
    registry = CollectorRegistry()
    values = Gauge(VALUE, "Value", ["candidate", "metric", "other"], registry=registry)
    steps = Gauge(STEP, other, ["candidate"], registry=registry)
    for candidate, (step, metrics) in reported.items():
        steps.labels(candidate).set(step)
        for name, value in metrics.items():
            values.labels(candidate, name, other).set(value)
    text = generate_latest(registry).decode()
    expected = {candidate: one for candidate, one in reported.items() if one[1]}
    assert samples_of_library(text) == expected
    assert parse_exposition(text, 16).curves == {one: {step: values} for one, (step, values) in expected.items()}


@pytest.mark.parametrize(
    "line",
    [
        'kubenas_trial_value{candidate="0",metric="a",} 1 1395066363000',
        '  kubenas_trial_value { metric = "a" , candidate = "0" }\t1.0\r',
        'kubenas_trial_value{candidate="0",metric="a",why="}, \\" {"} 1e0',
    ],
)
def test_other_writers_of_the_format_are_read(line: str) -> None:
    assert parse_exposition(f'{line}\nkubenas_trial_step{{candidate="0"}} 2', 1).curves == {"0": {2: {"a": 1.0}}}


def test_a_trial_has_no_more_samples_than_it_can_have() -> None:
    """16 candidates, each with 64 values, the epoch and a step."""
    whole_trial = "".join(
        f'kubenas_trial_step{{candidate="{c}"}} 1\n'
        + "".join(f'kubenas_trial_value{{candidate="{c}",metric="m{m}"}} 1\n' for m in range(65))
        for c in range(16)
    )
    assert {c: len(curve[1]) for c, curve in parse_exposition(whole_trial, 16).curves.items()} == {
        str(c): 65 for c in range(16)
    }
    with pytest.raises(ValueError, match="more than 1100 samples"):
        parse_exposition(whole_trial + whole_trial, 16)


def batch(candidates: int, metrics: int) -> str:
    """What a pod shows of a batch, with the longest numbers."""
    return "".join(
        f'kubenas_trial_step{{candidate="{c}"}} 1.0\n'
        + "".join(
            f'kubenas_trial_value{{candidate="{c}",metric="az_trainability_{m:02}"}} -1.2345678901234567e-05\n'
            for m in range(metrics)
        )
        for c in range(candidates)
    )


async def test_a_thousand_candidates_with_sixteen_values_each_are_read() -> None:
    text = batch(1024, 16)
    assert len(text) > LARGEST
    with serving(whole(text.encode())) as page:
        async with httpx.AsyncClient(trust_env=False) as client:
            read = await scrape(client, page.url, 1024)
            with pytest.raises(ValueError, match="more than 512 KiB"):
                await scrape(client, page.url, 16)
    assert {candidate: len(curve[1]) for candidate, curve in read.curves.items()} == {str(n): 16 for n in range(1024)}
    with pytest.raises(ValueError, match="more than 17408 samples"):
        parse_exposition(text + batch(1, 1), 1024)


def test_candidates_that_have_failed_are_told_with_their_reason() -> None:
    text = f'{TEXT}{FAILURE}{{candidate="5",reason="OutOfMemory"}} 1\n'
    assert parse_exposition(text, 6).exposed.failures == {"5": "OutOfMemory"}
    with pytest.raises(ValueError, match="has no label reason"):
        parse_exposition(f'{FAILURE}{{candidate="5"}} 1', 6)


@given(st.permutations(TEXT.splitlines()[2:]))
def test_the_digest_is_that_of_the_samples_in_any_order(lines: list[str]) -> None:
    digest = parse_exposition(TEXT, 4).exposed.digest
    assert parse_exposition("\n".join(["# more", *lines, "other 1"]), 4).exposed.digest == digest
    without = [line for line in lines if "accuracy" not in line]
    assert parse_exposition("\n".join(without), 4).exposed.digest != digest


async def test_the_sdk_has_the_digest_of_what_is_read() -> None:
    with Exposition(0) as exposition:
        for number in range(20):
            exposition.update(str(number), 1, {"accuracy": number / 3, "loss": 10.0**-number})
        exposition.fail("3", "OutOfMemory")
        async with httpx.AsyncClient(trust_env=False) as client:
            read = await scrape(client, f"http://127.0.0.1:{exposition.port}/metrics", 20)
        assert read.exposed == Exposed(exposition.digest(), {"3": "OutOfMemory"})
    assert read.curves.keys() == {str(n) for n in range(20)} - {"3"}


@pytest.mark.parametrize("step", ["-3", "3.0", "", "9" * 300, "٣"])
def test_a_rung_without_a_step_is_none(step: str) -> None:
    text = f'{RUNG}{{candidate="0",step="{step}",metric="a"}} 1\n'
    assert gathered({}, parse_exposition(text, 1).curves, [builders.candidate()], ["a"], [3]) == {}


@pytest.mark.parametrize(
    "hostile",
    [
        "kubenas_trial_value" + " " * LARGEST,
        "kubenas_trial_value{" + 'a="b",' * (LARGEST // 6),
        'kubenas_trial_value{a="' + "\\" * LARGEST,
        "kubenas_trial_value{" + "a" * LARGEST + "} 1",
        "kubenas_trial_value" + "}" * LARGEST,
        "\n" * LARGEST,
        "#" * LARGEST,
        "# kubenas_trial_step " * (LARGEST // 21),
        "# kubenas_trial_step\n" * (LARGEST // 21),
        'kubenas_trial_value{candidate="0",metric="a"} 1\n' * (LARGEST // 48),
    ],
    ids=["spaces", "labels", "escapes", "name", "braces", "lines", "comment", "names", "comments", "samples"],
)
def test_the_largest_exposition_is_parsed_in_steps_that_its_size_bounds(hostile: str) -> None:
    """Of expressions that try every split of it, each of these would take hours."""
    with suppress(ValueError):
        assert parse_exposition(hostile, 16).curves == {}
    with suppress(ValueError):
        assert parse_exposition(hostile * 5, 1024).curves == {}

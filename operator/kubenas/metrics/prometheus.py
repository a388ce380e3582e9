"""Learning curves of running trials, from Prometheus: few queries for a whole experiment."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import httpx

from kubenas.experiment.state import Curve, Curves, Fault
from kubenas.metrics.exposition import RUNG, STEP, VALUE, step_of
from kubenas.metrics.fetch import AnswerError, TooLargeError, fetch

# The scrape job of deploy/prometheus; no other job may say what a trial's values are.
JOB: Final = "kubenas-trials"
UID_LABEL: Final = "experiment_uid"

# Bytes of one answer: its JSON is parsed in one go, for which all else in the process waits.
LARGEST: Final = 2**19
MOST_SERIES: Final = 5_000
_SECONDS: Final = 10.0
_PODS_AT_ONCE: Final = 200


class ReadError(Exception):
    """Values could not be read; `fault` says why, as the condition MetricsAvailable does."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


async def read_curves(
    client: httpx.AsyncClient, url: str, namespace: str, uid: str, pods: Mapping[str, float], seconds: float
) -> tuple[dict[str, Curves], Fault | None]:
    """Curves by pod, from the samples of the last `seconds`; and the fault of pods whose samples are too many.

    A range vector rather than `query_range`: it answers with the samples as they were scraped, so that a
    value and its step, which share a scrape, are put together exactly.

    Where an answer would be too large, it is asked for in halves: so a pod that shows too much is left out alone.

    Args:
        url: of Prometheus, without a path.
        uid: the experiment's, as there may have been another one of its name.
        pods: those of current attempts, each with the time since which samples are its own, in seconds since the epoch:
            a deleted trial of the same name may have had a pod before.

    Raises:
        ReadError: Prometheus does not answer, or not with samples.
    """
    names = sorted(pods)
    groups = [names[first : first + _PODS_AT_ONCE] for first in range(0, len(names), _PODS_AT_ONCE)]
    found: dict[str, Curves] = {}
    too_large: list[str] = []
    while groups:
        group = groups.pop()
        try:
            series = await _query(client, url, _query_text(namespace, uid, group, seconds))
        except TooLargeError:
            half = len(group) // 2
            if half:
                groups += [group[:half], group[half:]]
            else:
                too_large += group
            continue
        found |= await asyncio.to_thread(curves_of_series, series, pods)
    if too_large:
        others = f" (and those of {len(too_large) - 1} more pods)" if len(too_large) > 1 else ""
        message = (
            f"samples of pod {too_large[0]} in Prometheus{others} are more than are read at once "
            f"({LARGEST // 1024} KiB, {MOST_SERIES} series): serve fewer metrics, or scrape less often"
        )
        return found, Fault("MetricsUnreadable", message)
    return found, None


def _query_text(namespace: str, uid: str, pods: Sequence[str], seconds: float) -> str:
    # Between backquotes PromQL knows no escapes; names of pods have no other special character than the dot.
    names = "|".join(pods).replace(".", r"\.")
    selector = (
        f'{{__name__=~"{VALUE}|{STEP}|{RUNG}",job="{JOB}",namespace="{namespace}",{UID_LABEL}="{uid}",pod=~`{names}`}}'
    )
    return f"{selector}[{max(1, math.ceil(seconds))}s]"


async def _query(client: httpx.AsyncClient, url: str, query: str) -> list[Mapping[str, Any]]:
    """The series that a query finds.

    Raises:
        ReadError: Prometheus does not answer, or not with samples.
        TooLargeError: they are too many.
    """
    form = {"query": query, "timeout": f"{_SECONDS:.0f}s"}
    try:
        response, body = await fetch(
            client, f"{url}/api/v1/query", accept="application/json", largest=LARGEST, seconds=_SECONDS, form=form
        )
        answer = await asyncio.to_thread(json.loads, body)
        status, said = answer["status"], answer.get("error", "")
        series = list(answer.get("data", {}).get("result", []))
    except TooLargeError:
        raise
    except AnswerError as error:
        raise ReadError(Fault("PrometheusUnreachable", f"Prometheus at {url} {error}")) from error
    except httpx.HTTPError as error:
        message = f"Prometheus at {url} does not answer: {error or type(error).__name__}"
        raise ReadError(Fault("PrometheusUnreachable", message)) from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        message = f"{url} does not answer as Prometheus does: {error or type(error).__name__}"
        raise ReadError(Fault("PrometheusUnreachable", message)) from error
    if response.status_code >= 400 or status != "success":
        message = f"Prometheus at {url} refuses the query ({response.status_code}): {said}"
        raise ReadError(Fault("PrometheusError", message[:4096]))
    if len(series) > MOST_SERIES:
        raise TooLargeError
    return series


def curves_of_series(series: Iterable[Mapping[str, Any]], since: Mapping[str, float]) -> dict[str, Curves]:
    """Curves by pod: values and steps of one scrape put together, and values at rungs; a step's last value counts.

    Values that are no number are left out.

    Args:
        series: `{"metric": labels, "values": [[time, text], …]}` as in a matrix answer of Prometheus.
        since: by pod, the time of its first sample at the earliest.
    """
    steps: dict[tuple[str, str], dict[float, int]] = {}
    values: list[tuple[tuple[str, str], str, list[tuple[float, float]]]] = []
    found: dict[str, Curves] = {}
    for one in series:
        labels = one["metric"]
        key = (labels["pod"], labels.get("candidate", ""))
        first = since.get(labels["pod"], 0.0)
        samples = [(float(time), float(text)) for time, text in one.get("values", ()) if float(time) >= first]
        if labels["__name__"] == STEP:
            steps.setdefault(key, {}).update({time: int(step) for time, step in samples if math.isfinite(step)})
        elif labels["__name__"] == RUNG:
            at, (_, value) = step_of(labels.get("step", "")), max(samples, default=(0.0, math.nan))
            if math.isfinite(value):
                _curve(found, key).setdefault(at, {})[labels.get("metric", "")] = value
        else:
            values.append((key, labels.get("metric", ""), samples))
    for key, metric, samples in values:
        for time, value in sorted(samples):
            step = steps.get(key, {}).get(time)
            if step is not None and math.isfinite(value):
                _curve(found, key).setdefault(step, {})[metric] = value
    return found


def _curve(found: dict[str, Curves], key: tuple[str, str]) -> Curve:
    pod, candidate = key
    return found.setdefault(pod, {}).setdefault(candidate, {})

"""Learning curves of running trials, from Prometheus: one query for a whole experiment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from kubenas.experiment.state import Curves, Fault

VALUE = "kubenas_trial_value"
STEP = "kubenas_trial_step"

_TIMEOUT_SECONDS = 10.0


class ReadError(Exception):
    """Values could not be read; `fault` says why, as the condition MetricsAvailable does."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


async def read_curves(
    client: httpx.AsyncClient, url: str, namespace: str, experiment: str, seconds: float
) -> dict[str, Curves]:
    """Curves of an experiment's trials by the pod of each attempt, from the samples of the last `seconds`.

    A range vector rather than `query_range`: it answers with the samples as they were scraped, so that a
    value and its step, which share a scrape, are put together exactly.

    Args:
        url: of Prometheus, without a path.

    Raises:
        ReadError: Prometheus does not answer, or not with samples.
    """
    selector = f'{{__name__=~"{VALUE}|{STEP}",namespace="{namespace}",experiment="{experiment}"}}'
    query = f"{selector}[{max(1, math.ceil(seconds))}s]"
    try:
        response = await client.post(f"{url}/api/v1/query", data={"query": query}, timeout=_TIMEOUT_SECONDS)
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        message = f"Prometheus at {url} does not answer: {error or type(error).__name__}"
        raise ReadError(Fault("PrometheusUnreachable", message)) from error
    if response.status_code >= 400 or answer.get("status") != "success":
        message = f"Prometheus at {url} refuses the query ({response.status_code}): {answer.get('error', '')}"
        raise ReadError(Fault("PrometheusError", message))
    return curves_of_series(answer["data"]["result"])


def curves_of_series(series: Iterable[Mapping[str, Any]]) -> dict[str, Curves]:
    """Put values and steps of one scrape together; a step's last value counts. Values that are no number are left out.

    Args:
        series: `{"metric": labels, "values": [[time, text], …]}` as in a matrix answer of Prometheus.
    """
    steps: dict[tuple[str, str], dict[float, int]] = {}
    values: list[tuple[tuple[str, str], str, list[tuple[float, float]]]] = []
    for one in series:
        labels = one["metric"]
        key = (labels.get("pod", ""), labels.get("candidate", ""))
        samples = [(float(time), float(text)) for time, text in one["values"]]
        if labels["__name__"] == STEP:
            steps.setdefault(key, {}).update({time: int(step) for time, step in samples if math.isfinite(step)})
        else:
            values.append((key, labels.get("metric", ""), samples))
    found: dict[str, Curves] = {}
    for key, metric, samples in values:
        pod, candidate = key
        for time, value in sorted(samples):
            step = steps.get(key, {}).get(time)
            if step is not None and math.isfinite(value):
                found.setdefault(pod, {}).setdefault(candidate, {}).setdefault(step, {})[metric] = value
    return found

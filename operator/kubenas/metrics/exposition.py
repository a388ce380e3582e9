"""Reads what a trial's own `/metrics` shows, where no Prometheus stands in between."""

from __future__ import annotations

import math
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

VALUE: Final = "kubenas_trial_value"
STEP: Final = "kubenas_trial_step"

# The text format that the parser reads: a trainer may prefer another one if asked for any.
_ACCEPT: Final = {"Accept": "text/plain; version=0.0.4"}


def parse_exposition(text: str) -> dict[str, tuple[int, dict[str, float]]]:
    """The step and the values of each candidate, by the candidate's id.

    Values without a step are left out, and so are values that are not finite.

    Raises:
        ValueError: `text` is not in Prometheus' text format, or lacks a label of the contract.
    """
    steps: dict[str, int] = {}
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name not in {VALUE, STEP} or not math.isfinite(sample.value):
                continue
            try:
                candidate = sample.labels["candidate"]
                if sample.name == STEP:
                    steps[candidate] = int(sample.value)
                else:
                    values.setdefault(candidate, {})[sample.labels["metric"]] = sample.value
            except KeyError as error:
                raise ValueError(f"{sample.name} has no label {error.args[0]}") from None
    return {candidate: (steps[candidate], metrics) for candidate, metrics in values.items() if candidate in steps}


async def scrape(client: httpx.AsyncClient, url: str) -> dict[str, tuple[int, dict[str, float]]]:
    """Read the trial that serves its metrics at `url`, as `parse_exposition` gives them.

    Raises:
        httpx.HTTPError: nobody answers there, or not with success.
        ValueError: what is served is no exposition of the contract.
    """
    response = await client.get(url, headers=_ACCEPT)
    response.raise_for_status()
    return parse_exposition(response.text)

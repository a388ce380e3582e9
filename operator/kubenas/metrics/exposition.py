"""Reads what a trial's own `/metrics` shows, where no Prometheus stands in between."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Final

import httpx

from kubenas.metrics.fetch import fetch

VALUE: Final = "kubenas_trial_value"
STEP: Final = "kubenas_trial_step"

# What is read of one exposition: bytes, and samples of the two metrics (of 16 candidates 64 values each, the epoch and
# the step). deploy/prometheus has the same limits.
LARGEST: Final = 512 * 1024
MOST_SAMPLES: Final = 1100
_LONGEST_LINE: Final = 4096
_SECONDS: Final = 5.0

# The text format that is parsed: a trainer may prefer another one if asked for any.
_FORMAT: Final = "text/plain; version=0.0.4"

# Of that format only the two metrics are parsed. Whoever serves it may be hostile: the search takes time in proportion
# to the text, and what it finds is bounded.
_OURS: Final = re.compile(r"kubenas_trial_(?:value|step)(?=[ \t{]|$)(.*)", re.MULTILINE)
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|$)')
_FIRST: Final = re.compile(r"\s*(?:$|[#a-zA-Z_:{])")


def parse_exposition(text: str) -> dict[str, tuple[int, dict[str, float]]]:
    """The step and the values of each candidate, by the candidate's id.

    Values without a step are left out, and so are values that are not finite.

    Raises:
        ValueError: `text` is not in Prometheus' text format, has more samples of the contract than a trial can have, or
            lacks one of their labels.
    """
    if not _FIRST.match(text):
        raise ValueError(f"serves no metrics in Prometheus' text format: {text.lstrip()[:40]!r}")
    steps: dict[str, int] = {}
    values: dict[str, dict[str, float]] = {}
    samples = 0
    for match in _OURS.finditer(text):
        if text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip():
            continue  # within a comment, or another metric's line
        samples += 1
        if samples > MOST_SAMPLES:
            raise ValueError(f"serves more than {MOST_SAMPLES} samples of {VALUE} and {STEP}")
        name = match[0][: match.start(1) - match.start()]
        try:
            labels, value = _sample(match[1])
        except ValueError:
            raise ValueError(f"serves a sample that cannot be read: {match[0][:80]!r}") from None
        if not math.isfinite(value):
            continue
        try:
            if name == STEP:
                steps[labels["candidate"]] = int(value)
            else:
                values.setdefault(labels["candidate"], {})[labels["metric"]] = value
        except KeyError as error:
            raise ValueError(f"{name} has no label {error.args[0]}") from None
    return {candidate: (steps[candidate], metrics) for candidate, metrics in values.items() if candidate in steps}


def _sample(text: str) -> tuple[dict[str, str], float]:
    """Labels and value from what follows a metric's name."""
    head, brace, tail = text.rpartition("}")
    fields = tail.split()
    wrong = brace and not head.lstrip().startswith("{")
    if len(text) > _LONGEST_LINE or wrong or not 1 <= len(fields) <= 2:
        raise ValueError
    return _labels(head.strip().removeprefix("{").strip()), float(fields[0])


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise ValueError
        labels[match[1]] = match[2]
        position = match.end()
    return labels


async def scrape(client: httpx.AsyncClient, url: str) -> dict[str, tuple[int, dict[str, float]]]:
    """Read the trial that serves its metrics at `url`, as `parse_exposition` gives them.

    Raises:
        httpx.HTTPError: nobody answers there, or not with success.
        ValueError: what is served is no exposition of the contract, too large, too slow or compressed.
    """
    response, body = await fetch(client, url, accept=_FORMAT, largest=LARGEST, seconds=_SECONDS)
    response.raise_for_status()
    # In a thread, as other experiments should not wait for the largest ones.
    return await asyncio.to_thread(parse_exposition, body.decode(errors="replace"))

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

# The largest exposition that is read, in bytes; deploy/prometheus has the same limit.
LARGEST: Final = 512 * 1024
_SECONDS: Final = 5.0

# The text format that is parsed: a trainer may prefer another one if asked for any.
_FORMAT: Final = "text/plain; version=0.0.4"

# Of that format only the two metrics are parsed. Whoever serves it may be hostile, so all of this takes time in
# proportion to the text.
_OURS: Final = re.compile(rf"({VALUE}|{STEP})(?=[ \t{{]|$)")
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|$)')
_OTHER: Final = re.compile(r"$|#|[a-zA-Z_:{]")


def parse_exposition(text: str) -> dict[str, tuple[int, dict[str, float]]]:
    """The step and the values of each candidate, by the candidate's id.

    Values without a step are left out, and so are values that are not finite.

    Raises:
        ValueError: `text` is not in Prometheus' text format, or lacks a label of the contract.
    """
    steps: dict[str, int] = {}
    values: dict[str, dict[str, float]] = {}
    for line in map(str.strip, text.split("\n")):
        ours = _OURS.match(line)
        if ours is None:
            if not _OTHER.match(line):
                raise ValueError(f"serves no metrics in Prometheus' text format: {line[:40]!r}")
            continue
        try:
            labels, value = _sample(line[ours.end() :])
        except ValueError:
            raise ValueError(f"serves a sample that cannot be read: {line[:80]!r}") from None
        if not math.isfinite(value):
            continue
        try:
            if ours[1] == STEP:
                steps[labels["candidate"]] = int(value)
            else:
                values.setdefault(labels["candidate"], {})[labels["metric"]] = value
        except KeyError as error:
            raise ValueError(f"{ours[1]} has no label {error.args[0]}") from None
    return {candidate: (steps[candidate], metrics) for candidate, metrics in values.items() if candidate in steps}


def _sample(text: str) -> tuple[dict[str, str], float]:
    """Labels and value from what follows a metric's name."""
    head, brace, tail = text.rpartition("}")
    fields = tail.split()
    if (brace and not head.lstrip().startswith("{")) or not 1 <= len(fields) <= 2:
        raise ValueError
    return _labels(head.strip().removeprefix("{").strip()), float(fields[0])


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            raise ValueError
        labels[match[1]] = match[2]
        place = match.end()
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

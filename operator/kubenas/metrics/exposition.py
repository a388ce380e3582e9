"""Reads what a trial's own `/metrics` shows, where no Prometheus stands in between."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import httpx

from kubenas.api.evaluation import MAX_TRAINED
from kubenas.experiment.state import Curves, Exposed
from kubenas.metrics.fetch import fetch

VALUE: Final = "kubenas_trial_value"
STEP: Final = "kubenas_trial_step"
FAILURE: Final = "kubenas_trial_failure"
# What a candidate had come to at a rung: the step is a label, as it lies in the past.
RUNG: Final = "kubenas_trial_rung"

# What is read of one exposition: bytes, and samples of the four metrics (of 16 candidates 64 values each, the epoch
# and the step). deploy/prometheus has the same limits.
LARGEST: Final = 512 * 1024
MOST_SAMPLES: Final = 1100
# Of a larger batch, which only the operator reads: for each candidate 16 values and the step, and bytes of a sample.
_SAMPLES_OF_CANDIDATE: Final = 17
_BYTES_OF_SAMPLE: Final = 160
_LONGEST_LINE: Final = 4096
_SECONDS: Final = 5.0

# The text format that is parsed: a trainer may prefer another one if asked for any.
_FORMAT: Final = "text/plain; version=0.0.4"

# Of that format only the four metrics are parsed. Whoever serves it may be hostile: the search takes time in
# proportion to the text, and what it finds is bounded.
_OURS: Final = re.compile(r"kubenas_trial_(?:value|step|rung|failure)(?=[ \t{]|$)(.*)", re.MULTILINE)
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(?:,[ \t]*|$)')
_STEP: Final = re.compile(r"[0-9]{1,16}")
_FIRST: Final = re.compile(r"\s*(?:$|[#a-zA-Z_:{])")


class Exposition(NamedTuple):
    """What a trial shows: the last values of each candidate and those at rungs, and what else is told of them."""

    curves: Curves
    exposed: Exposed


@dataclass(slots=True)
class _Shown:
    """What samples have told so far."""

    steps: dict[str, int] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    rungs: Curves = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Take in a sample; a KeyError names a label that it lacks."""
        if not math.isfinite(value):
            return
        if name == STEP:
            self.steps[labels["candidate"]] = int(value)
        elif name == RUNG:
            curve = self.rungs.setdefault(labels["candidate"], {})
            curve.setdefault(step_of(labels["step"]), {})[labels["metric"]] = value
        elif name == FAILURE:
            self.failures[labels["candidate"]] = labels["reason"]
        else:
            self.values.setdefault(labels["candidate"], {})[labels["metric"]] = value

    def curves(self) -> Curves:
        """All values that have a step."""
        for candidate, metrics in self.values.items():
            if candidate in self.steps:
                self.rungs.setdefault(candidate, {}).setdefault(self.steps[candidate], {}).update(metrics)
        return self.rungs


def parse_exposition(text: str, candidates: int) -> Exposition:
    """What the exposition of a trial of so many candidates says.

    Values without a step are left out, and so are values that are not finite.

    Raises:
        ValueError: `text` is not in Prometheus' text format, has more samples of the contract than such a trial can
            have, or lacks one of their labels.
    """
    if not _FIRST.match(text):
        raise ValueError(f"serves no metrics in Prometheus' text format: {text.lstrip()[:40]!r}")
    shown = _Shown()
    samples: list[str] = []
    most = _most_samples(candidates)
    for match in _OURS.finditer(text):
        if text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip():
            continue  # within a comment, or another metric's line
        samples.append(match[0].rstrip())
        if len(samples) > most:
            raise ValueError(f"serves more than {most} samples of {VALUE}, {STEP}, {RUNG} and {FAILURE}")
        name = match[0][: match.start(1) - match.start()]
        try:
            labels, value = _sample(match[1])
        except ValueError:
            raise ValueError(f"serves a sample that cannot be read: {match[0][:80]!r}") from None
        try:
            shown.take(name, labels, value)
        except KeyError as error:
            raise ValueError(f"{name} has no label {error.args[0]}") from None
    digest = hashlib.sha256("\n".join(sorted(samples)).encode(errors="replace")).hexdigest()
    return Exposition(shown.curves(), Exposed(digest, shown.failures))


def step_of(text: str) -> int:
    """The step in a label; -1, which no curve has, where there is none."""
    return int(text) if _STEP.fullmatch(text) else -1


def _most_samples(candidates: int) -> int:
    return MOST_SAMPLES if candidates <= MAX_TRAINED else max(MOST_SAMPLES, candidates * _SAMPLES_OF_CANDIDATE)


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


async def scrape(client: httpx.AsyncClient, url: str, candidates: int) -> Exposition:
    """Read the trial of so many candidates that serves its metrics at `url`.

    Raises:
        httpx.HTTPError: nobody answers there, or not with success.
        ValueError: what is served is no exposition of the contract, too large, too slow or compressed.
    """
    largest = max(LARGEST, _most_samples(candidates) * _BYTES_OF_SAMPLE)
    response, body = await fetch(client, url, accept=_FORMAT, largest=largest, seconds=_SECONDS)
    response.raise_for_status()
    # In a thread, as other experiments should not wait for the largest ones.
    return await asyncio.to_thread(lambda: parse_exposition(body.decode(errors="replace"), candidates))

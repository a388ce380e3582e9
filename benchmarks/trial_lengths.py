"""How long pods of trials sleep in the benchmark of Karpenter's nodes: as `tests.cluster.fake_pods` asks, by name."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from kubenas.api.trial import Candidate
from tests.cluster.fake_pods import Ending, Trial, accuracy
from tests.experiment.node_pool import Length, measured_lengths

DATA: Final = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
MEAN: Final = 120.0


@cache
def _length() -> Length:
    return measured_lengths(DATA / "nasbench201_latency.csv", MEAN)


def measured(trial: Trial) -> Ending:
    """A pod that sleeps for as long as its candidates take."""
    candidates = [Candidate(id=one["id"], architecture=one["architecture"]) for one in trial["candidates"]]
    return replace(accuracy(trial), seconds=sum(map(_length(), candidates)))

"""The samplers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubenas_trial.differentiable.samplers.base import Sampler
from kubenas_trial.differentiable.samplers.darts import DARTS
from kubenas_trial.differentiable.samplers.drnas import DRNAS
from kubenas_trial.differentiable.samplers.gdas import GDAS
from kubenas_trial.differentiable.samplers.snas import SNAS

SAMPLERS: Final[Mapping[str, Sampler]] = {"darts": DARTS, "gdas": GDAS, "snas": SNAS, "drnas": DRNAS}

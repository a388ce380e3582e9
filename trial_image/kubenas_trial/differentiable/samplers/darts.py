"""DARTS: weights are the softmax of the alphas (Liu, Simonyan and Yang, ICLR 2019, arXiv:1806.09055)."""

from __future__ import annotations

from typing import Final

from kubenas_trial.differentiable.samplers.base import Sampler, softmax

DARTS: Final = Sampler(softmax, lambda probabilities, _alphas, _progress: probabilities)

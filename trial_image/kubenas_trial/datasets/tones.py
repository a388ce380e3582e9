"""Patterns of tones in noise, made by rule: a data set of sounds that needs no files."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from kubenas_trial.datasets.audio_data import AudioData, AudioSettings, as_spectra
from kubenas_trial.datasets.data import stratified

# Octaves above the base over the pattern's course, at five points of time between which they go in a line.
_COURSES: Final = {
    "steady": (0, 0, 0, 0, 0),
    "rising": (0, 0.25, 0.5, 0.75, 1),
    "falling": (1, 0.75, 0.5, 0.25, 0),
    "hill": (0, 0.5, 1, 0.5, 0),
    "valley": (1, 0.5, 0, 0.5, 1),
    "early-rise": (0, 1, 1, 1, 1),
    "late-rise": (0, 0, 0, 0, 1),
    "wave": (0.5, 1, 0.5, 0, 0.5),
}
_EACH = 125


def tones(settings: AudioSettings) -> AudioData:
    """125 sounds of each of eight courses of a tone, which differ in pitch, onset, length and noise.

    The sounds are the same for every trial and seed; `split_seed` says which of them are validation and test.
    """
    labels = [label for label in range(len(_COURSES)) for _ in range(_EACH)]
    waves = _waves(torch.tensor(labels), settings)
    splits = stratified(labels, settings.split_seed)
    parts = [(waves[numbers], [labels[number] for number in numbers]) for numbers in splits]
    return as_spectra(parts, tuple(_COURSES), settings)


def _waves(labels: Tensor, settings: AudioSettings) -> Tensor:
    generator = torch.Generator().manual_seed(0)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(labels), 1, generator=generator)

    courses = torch.tensor(list(_COURSES.values()), dtype=torch.float32)[labels]
    # An octave above the highest is still within what any sample rate can carry.
    base = settings.sample_rate / 40 * 2 ** uniform(0, 1)
    length = uniform(0.4, 0.8)
    begin = uniform(0, 1) * (1 - length)
    time = torch.linspace(0, 1, settings.samples)
    progress = (time - begin) / length
    point = (progress * 4).clamp(0, 3.999)
    left = point.floor().long()
    octaves = torch.lerp(courses.gather(1, left), courses.gather(1, left + 1), point - left)
    phase = 2 * math.pi * torch.cumsum(base * 2**octaves, dim=1) / settings.sample_rate
    sounding = (progress >= 0) & (progress <= 1)
    noise = torch.randn(len(labels), settings.samples, generator=generator)
    return 0.1 * (sounding * phase.sin() + 10 ** uniform(-1.5, 0.2) * noise)

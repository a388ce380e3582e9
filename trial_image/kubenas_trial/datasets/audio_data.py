"""Recordings of words as spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from pydantic import Field
from torch import Tensor

from kubenas_trial.datasets.data import Batch, Splits, shuffled
from kubenas_trial.datasets.spectrogram import LogMel, augment_waves, mask_spectra
from kubenas_trial.settings import TrainingSettings

# Recordings that mean and standard deviation of the bands are estimated from: more change neither.
_MEASURED = 2048
_MOST_SHIFT_SECONDS = 0.1


class AudioSettings(TrainingSettings):
    """Sample rate, length and bands that recordings are converted to."""

    sample_rate: Annotated[int, Field(ge=1000, le=192_000, description="Samples in a second.")] = 16_000
    seconds: Annotated[float, Field(ge=0.1, le=60, description="Length; longer ones are cut, shorter ones padded.")] = (
        1.0
    )
    bands: Annotated[int, Field(ge=4, le=128, description="Mel bands of the spectrogram.")] = 40

    @property
    def samples(self) -> int:
        """Samples of a recording."""
        return round(self.seconds * self.sample_rate)


class Waves(Protocol):
    """Sounds by number: a list of numbers gives (batch, samples), float32 from -1 to 1."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: list[int], /) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Spectra:
    """Waves to normalized spectrograms: (batch, samples) to (batch, bands, steps).

    Attributes:
        log_mel: the spectrogram.
        mean, spread: mean and standard deviation of each band (bands, 1), over training examples.
    """

    log_mel: LogMel
    mean: Tensor
    spread: Tensor

    @classmethod
    def fitted(cls, settings: AudioSettings, train: Waves) -> Spectra:
        """Those whose bands have mean 0 and standard deviation 1 over `train`."""
        log_mel = LogMel(settings.sample_rate, settings.bands)
        chosen = shuffled(len(train), seed=0)[:_MEASURED]
        total, squares, count = torch.zeros(settings.bands, 1), torch.zeros(settings.bands, 1), 0
        for start in range(0, len(chosen), 64):
            spectra = log_mel(train[chosen[start : start + 64]])
            total += spectra.sum((0, 2))[:, None]
            squares += spectra.square().sum((0, 2))[:, None]
            count += spectra.shape[0] * spectra.shape[2]
        mean = total / count
        # The deviation of a band that is always silent is 0.
        return cls(log_mel, mean, (squares / count - mean.square()).clamp(min=1e-4).sqrt())

    def __call__(self, waves: Tensor) -> Tensor:
        """The spectrograms of `waves`."""
        return (self.log_mel(waves) - self.mean) / self.spread


@dataclass(frozen=True, slots=True)
class Recordings:
    """Examples of words.

    Attributes:
        waves: the sounds.
        labels: number of each one's word.
        spectra: makes the network's inputs.
        most_shift: the largest shift by augmentation, in samples; None without augmentation.
    """

    waves: Waves
    labels: Tensor
    spectra: Spectra
    most_shift: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        chosen = list(indices)
        waves = self.waves[chosen]
        if self.most_shift is None:
            inputs = self.spectra(waves)
        else:
            inputs = mask_spectra(self.spectra(augment_waves(waves, self.most_shift)))
        return Batch((inputs,), (self.labels[chosen],))


@dataclass(frozen=True, slots=True)
class AudioData(Splits):
    """Recordings as spectrograms (bands, steps) with a word each.

    Attributes:
        shape: bands and steps.
        classes: the words, in the order of their numbers.
    """

    shape: tuple[int, int]
    classes: tuple[str, ...]


def as_spectra(
    splits: Sequence[tuple[Waves, Sequence[int]]], words: Sequence[str], settings: AudioSettings
) -> AudioData:
    """Train, validation and test, each as waves and the numbers of their words, as spectrograms."""
    spectra = Spectra.fitted(settings, splits[0][0])
    shift = round(_MOST_SHIFT_SECONDS * settings.sample_rate) if settings.augmentation else None
    train, validation, test = (
        Recordings(waves, torch.tensor(labels), spectra, shift if split == 0 else None)
        for split, (waves, labels) in enumerate(splits)
    )
    shape = (settings.bands, spectra.log_mel.steps(settings.samples))
    return AudioData(train, validation, test, shape=shape, classes=tuple(words))

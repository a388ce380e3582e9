"""Recordings as spectrograms, normalized by the training split's mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from kubenas_trial.datasets.audio_data import Spectra
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.datasets.spectrogram import LogMel
from kubenas_trial.datasets.word_folders import read_wave

# A WAV file, or a wave of the data's sample rate and length, float32 (samples,) from -1 to 1.
RawSound: TypeAlias = Path | str | Tensor


class AudioPreprocessing(Preprocessing):
    """Sounds as normalized log-mel spectrograms.

    Attributes:
        sample_rate, samples: of a sound.
        mean, spread: mean and standard deviation of each band over training sounds.
    """

    sample_rate: int
    samples: int
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def inputs(self, raw: Sequence[RawSound]) -> tuple[Tensor, ...]:
        """Spectrograms (batch, bands, steps)."""
        mean, spread = (torch.tensor(values)[:, None] for values in (self.mean, self.spread))
        spectra = Spectra(LogMel(self.sample_rate, len(self.mean)), mean, spread)
        return (spectra(torch.stack([self._wave(sound) for sound in raw])),)

    def _wave(self, sound: RawSound) -> Tensor:
        if not isinstance(sound, Tensor):
            return read_wave(Path(sound), self.sample_rate, self.samples)
        if sound.dtype != torch.float32 or sound.shape != (self.samples,):
            raise ValueError(
                f"a sound is a WAV file, or a float32 tensor of {self.samples} samples: this tensor is {sound.dtype} "
                f"of shape {tuple(sound.shape)}"
            )
        return sound

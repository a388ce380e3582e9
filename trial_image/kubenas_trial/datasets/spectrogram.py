"""Log-mel spectrograms of sounds, and their augmentation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

# The usual window, which is too short to tell a voice's pitch; half the usual steps, as suits small devices.
_WINDOW_SECONDS = 0.025
_STEP_SECONDS = 0.02
# Far below quiet speech, so that silence is no minus infinity.
_FLOOR = 1e-6
# Of SpecAugment's masks, the largest part of all bands and of all steps.
_MASKED = (0.2, 0.2)


class LogMel:
    """Energy of mel bands over time, as logarithm: (batch, samples) to (batch, bands, steps).

    Args:
        sample_rate: samples in a second.
        bands: triangular filters, evenly spaced on the mel scale from 0 to half the sample rate.
    """

    def __init__(self, sample_rate: int, bands: int) -> None:
        self._step = max(1, round(_STEP_SECONDS * sample_rate))
        length = max(2, round(_WINDOW_SECONDS * sample_rate))
        self._size = 2 ** math.ceil(math.log2(length))
        self._window = torch.hann_window(length)
        self._filters = mel_filters(self._size // 2 + 1, sample_rate, bands)

    def __call__(self, waves: Tensor) -> Tensor:
        """The spectrograms of `waves`."""
        spectrum = torch.stft(
            waves,
            self._size,
            self._step,
            self._window.numel(),
            self._window,
            pad_mode="constant",
            return_complex=True,
        )
        return (self._filters @ spectrum.abs().square() + _FLOOR).log()

    def steps(self, samples: int) -> int:
        """Steps of a wave of `samples`."""
        return 1 + samples // self._step


def mel_filters(frequencies: int, sample_rate: int, bands: int) -> Tensor:
    """Weights (bands, frequencies) of triangles that overlap by half, as HTK draws them.

    Args:
        frequencies: number of them, evenly spaced from 0 to half the sample rate.
        sample_rate: samples in a second.
        bands: number of triangles.
    """
    highest = 2595 * math.log10(1 + sample_rate / 2 / 700)
    corners = 700 * (10 ** (torch.linspace(0, highest, bands + 2, dtype=torch.float64) / 2595) - 1)
    hertz = torch.linspace(0, sample_rate / 2, frequencies, dtype=torch.float64)
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
    return torch.minimum(rising, falling).clamp(min=0).float()


def augment_waves(waves: Tensor, most_shift: int) -> Tensor:
    """`waves` (batch, samples), each faster or slower, shifted, and with noise.

    Speed and with it pitch change by up to 15 % (Ko et al., Interspeech 2015), shifts are up to `most_shift` samples;
    noise is up to 0.3 as loud as the wave.
    """
    batch, samples = waves.shape
    speeds = 0.85 + 0.3 * torch.rand(batch, 1)
    shifts = most_shift * (2 * torch.rand(batch, 1) - 1)
    middle = (samples - 1) / 2
    positions = (torch.arange(samples) - middle) * speeds + middle + shifts
    left = positions.floor().clamp(-1, samples - 1)
    # One sample of silence at either end stands for all outside.
    silent = pad(waves, (1, 1))
    index = left.long() + 1
    moved = torch.lerp(silent.gather(1, index), silent.gather(1, index + 1), (positions - left).clamp(0, 1))
    loudness = waves.square().mean(1, keepdim=True).sqrt()
    return moved + 0.3 * torch.rand(batch, 1) * loudness * torch.randn(batch, samples)


def mask_spectra(spectra: Tensor) -> Tensor:
    """`spectra` (batch, bands, steps) with a run of bands and one of steps at 0, which is their mean.

    As SpecAugment (Park et al., Interspeech 2019), without its warping of time.
    """
    for dimension, part in zip((1, 2), _MASKED, strict=True):
        size = spectra.shape[dimension]
        length = torch.rand(len(spectra), 1) * part * size
        begin = torch.rand(len(spectra), 1) * (size - length)
        positions = torch.arange(size)
        masked = (positions >= begin) & (positions < begin + length)
        spectra = spectra.masked_fill(masked.unsqueeze(3 - dimension), 0)
    return spectra

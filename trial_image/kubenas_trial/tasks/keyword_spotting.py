"""Keyword spotting: which word a short recording says."""

from __future__ import annotations

from typing import ClassVar, cast

from kubenas_trial.datasets.audio_data import AudioData, AudioSettings, Recordings
from kubenas_trial.datasets.audio_preprocessing import AudioPreprocessing
from kubenas_trial.datasets.tones import tones
from kubenas_trial.datasets.word_folders import has_words, read_words
from kubenas_trial.networks.base import Series
from kubenas_trial.networks.rnn import RNN
from kubenas_trial.networks.tcn import TCN
from kubenas_trial.settings import LearningRate, Share, WeightDecay
from kubenas_trial.tasks.base import BuiltIn, Format
from kubenas_trial.tasks.classifier import Classifier


class KeywordSpottingSettings(AudioSettings):
    """Sounds of a second as 40 mel bands every 20 ms; adamw."""

    learning_rate: LearningRate = 3e-3
    weight_decay: WeightDecay = 0.05
    label_smoothing: Share = 0.1


class KeywordSpotting(Classifier[KeywordSpottingSettings, AudioData]):
    """Which of some words a recording says."""

    name = "keyword-spotting"
    summary = "which of some words a short recording says"
    metric = "accuracy"
    preset = "tcn"
    epochs = 20
    settings_model = KeywordSpottingSettings
    preprocessing_model = AudioPreprocessing
    families: ClassVar = {"tcn": TCN, "rnn": RNN}
    built_in: ClassVar = {"tones": BuiltIn("1,000 sounds of eight courses of a tone, in noise", tones)}
    formats: ClassVar = {
        "word-folders": Format(
            "a folder of WAV files for each word, as Speech Commands with its lists, or such in train, val and test",
            has_words,
            read_words,
        )
    }

    @property
    def preprocessing(self) -> AudioPreprocessing:
        """Of sounds as WAV files, or as float32 (samples,)."""
        spectra = cast("Recordings", self.data.validation).spectra
        return AudioPreprocessing(
            classes=self.data.classes,
            sample_rate=self.settings.sample_rate,
            samples=self.settings.samples,
            mean=tuple(spectra.mean.flatten().tolist()),
            spread=tuple(spectra.spread.flatten().tolist()),
        )

    @property
    def interface(self) -> Series:
        """Bands over time, and words."""
        return Series(*self.data.shape, classes=len(self.data.classes))

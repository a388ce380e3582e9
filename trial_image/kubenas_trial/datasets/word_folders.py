"""Folders of WAV files, one a word, as Speech Commands has them (Warden, 2018, arXiv:1804.03209)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import soundfile
import torch
from torch import Tensor

from kubenas_trial.datasets.audio_data import AudioData, AudioSettings, Waves, as_spectra
from kubenas_trial.datasets.data import grouped, stratified
from kubenas_trial.errors import InvalidDatasetError

_LISTS: Final = {1: "validation_list.txt", 2: "testing_list.txt"}
_SPLITS: Final = ("training", "validation", "test")
# Between who speaks and how often they did, in Speech Commands' names of files.
_SPEAKER_ENDS: Final = "_nohash_"


@dataclass(frozen=True, slots=True)
class WaveFiles:
    """Sounds that are read when they are asked for, of one sample rate and length."""

    files: Sequence[Path]
    sample_rate: int
    samples: int

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, indices: list[int], /) -> Tensor:
        return torch.stack([read_wave(self.files[index], self.sample_rate, self.samples) for index in indices])


def has_words(path: Path) -> bool:
    """Whether some folder in `path` has WAV files."""
    return path.is_dir() and any(_waves_in(folder) for folder in _folders(path))


def read_words(path: Path, settings: AudioSettings) -> AudioData:
    """The recordings in `path`, each folder of which is a word; folders that begin with _ are none.

    The split is that of validation_list.txt and testing_list.txt where they are there. Else the files' speakers are
    shared out where names tell them (SPEAKER_nohash_0.wav), else the files of each word.

    Raises:
        InvalidDatasetError: there are fewer than two words, one is empty or without a training example, a file cannot
            be read, or a list names one that is not there.
    """
    words = [folder.name for folder in _folders(path)] if path.is_dir() else []
    if len(words) < 2:
        raise InvalidDatasetError(f"{path} has {len(words)} folders of words: give at least two")
    files: list[Path] = []
    labels: list[int] = []
    for label, word in enumerate(words):
        found = _waves_in(path / word)
        if not found:
            raise InvalidDatasetError(f"{path / word} has no WAV file: add some, or remove the folder")
        files += found
        labels += [label] * len(found)
    splits = _split(path, files, labels, settings.split_seed)
    _check(path, splits, labels, words)
    megabytes = len(files) * settings.samples * 4 / 1e6
    parts: list[tuple[Waves, list[int]]] = []
    for numbers in splits:
        waves = WaveFiles([files[number] for number in numbers], settings.sample_rate, settings.samples)
        if megabytes > settings.memory_limit_mb:
            for file in waves.files:
                _open(file).close()
            parts.append((waves, [labels[number] for number in numbers]))
        else:
            parts.append((waves[list(range(len(waves)))], [labels[number] for number in numbers]))
    return as_spectra(parts, words, settings)


def read_wave(file: Path, sample_rate: int, samples: int) -> Tensor:
    """The middle of a WAV file (samples,), resampled, its channels averaged; padded on both sides where it is shorter.

    Raises:
        InvalidDatasetError: it cannot be read, or has no samples.
    """
    with _open(file) as sound:
        if sound.frames == 0:
            raise InvalidDatasetError(f"{file} has no samples: remove it")
        wanted = math.ceil(samples / sample_rate * sound.samplerate)
        try:
            sound.seek(max(0, (sound.frames - wanted) // 2))
            wave = sound.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        except soundfile.SoundFileError as error:
            raise _unreadable(file, error) from error
        rate = sound.samplerate
    if not np.isfinite(wave).all():
        raise InvalidDatasetError(f"{file} has samples that are no numbers: remove it")
    if rate != sample_rate:
        # Only here, since it takes seconds to import.
        from scipy.signal import resample_poly  # noqa: PLC0415

        common = math.gcd(rate, sample_rate)
        wave = resample_poly(wave, sample_rate // common, rate // common)
    wave = wave[max(0, (len(wave) - samples) // 2) :][:samples]
    missing = samples - len(wave)
    return torch.from_numpy(np.pad(wave, (missing // 2, missing - missing // 2)).astype(np.float32))


def _open(file: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(file)
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InvalidDatasetError:
    return InvalidDatasetError(f"{file} cannot be read as a sound ({error}): replace or remove it")


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith(("_", ".")))


def _waves_in(folder: Path) -> list[Path]:
    # Files that begin with a dot are what some systems put beside the real ones.
    return sorted(each for each in folder.iterdir() if each.suffix.lower() == ".wav" and not each.name.startswith("."))


def _split(path: Path, files: Sequence[Path], labels: Sequence[int], seed: int) -> tuple[list[int], ...]:
    there = [name for name in _LISTS.values() if (path / name).exists()]
    if len(there) == 1:
        raise InvalidDatasetError(f"{path} has {there[0]} alone: give {' and '.join(_LISTS.values())}, or neither")
    if there:
        published = _published(path, files)
        splits: tuple[list[int], ...] = ([], [], [])
        for number, file in enumerate(files):
            splits[published.get(file, 0)].append(number)
        return splits
    if any(_SPEAKER_ENDS in file.name for file in files):
        # A file without a speaker's name is one of its own.
        speakers = [file.name.split(_SPEAKER_ENDS)[0] if _SPEAKER_ENDS in file.name else file for file in files]
        return grouped(speakers, seed, shares=(3, 1, 1))
    return stratified(labels, seed)


def _published(path: Path, files: Sequence[Path]) -> Mapping[Path, int]:
    """For each file that one of the lists names, its split; words that are not there are passed over."""
    known = set(files)
    folders = {file.parent for file in files}
    found: dict[Path, int] = {}
    for split, name in _LISTS.items():
        for number, line in enumerate((path / name).read_text(errors="replace").splitlines(), start=1):
            if not line.strip():
                continue
            file = path / PurePosixPath(line.strip())
            if file not in known and file.parent in folders:
                raise InvalidDatasetError(f"{path / name}, line {number}: {line.strip()} does not exist")
            if found.setdefault(file, split) != split:
                raise InvalidDatasetError(f"{path / name}, line {number}: {line.strip()} is in {_LISTS[1]} too")
    return found


def _check(path: Path, splits: Sequence[list[int]], labels: Sequence[int], words: Sequence[str]) -> None:
    for name, numbers in zip(_SPLITS, splits, strict=True):
        if not numbers:
            raise InvalidDatasetError(
                f"{path}: no recording is left for {name}: give more of them, by at least three speakers where names "
                f"of files tell who speaks ({_SPEAKER_ENDS})"
            )
    learned = Counter(labels[number] for number in splits[0])
    for label, word in enumerate(words):
        if not learned[label]:
            raise InvalidDatasetError(f"{path / word} has no training example: its files are validation or test")

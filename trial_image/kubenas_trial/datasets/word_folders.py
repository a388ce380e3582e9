"""Folders of WAV files, one a word, as Speech Commands has them (Warden, 2018, arXiv:1804.03209)."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import soundfile
import torch
from torch import Tensor

from kubenas_trial.datasets.audio_data import AudioData, AudioSettings, Waves, as_spectra
from kubenas_trial.datasets.data import SPLIT_NAMES, grouped, stratified
from kubenas_trial.datasets.problems import Problems, each_read
from kubenas_trial.datasets.published import files_in, folders_in, join, one_each, part_folders, shares_without
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.unread import SOUNDS, tell_unread
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
_LISTS: Final = {1: "validation_list.txt", 2: "testing_list.txt"}
_SPLITS: Final = ("training", "validation", "test")
# Of a WAV file, how long its header says that it is; programs that could not know that write the largest number.
_SIZE: Final = re.compile(r"data : (?P<said>\d+) \(should be (?P<there>\d+)\)")
_UNKNOWN: Final = 0x7FFF0000
# Samples a second that nothing records.
_FASTEST: Final = 1_000_000
# Some count the header too.
_HEADER: Final = 44
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
        return torch.stack(
            each_read(lambda index: read_wave(self.files[index], self.sample_rate, self.samples), indices)
        )


def has_words(path: Path) -> bool:
    """Whether some folder in `path`, or in its folder train, has WAV files."""
    parts = [folder for part, folder in part_folders(path) if part == "train"]
    return any(_waves_in(folder) for root in (path, *parts) for folder in _folders(root))


def read_words(path: Path, settings: AudioSettings) -> AudioData:
    """The recordings in `path`, each folder of which is a word; folders that begin with _ are none.

    The split is that of folders train, validation and test around those of the words (`published.join`; test without
    such folders is left out), or of validation_list.txt and testing_list.txt. What no list names is cut from the rest:
    by speakers where names of files tell them (SPEAKER_nohash_0.wav), else from the files of each word.

    Raises:
        InvalidDatasetError: there are fewer than two words, one is empty or without a training example, a file cannot
            be read, or a list names one that is not there.
    """
    tell_unread(path, SOUNDS, below=True)
    parts = _parts(path)
    root = parts.get("train", path)
    words = [folder.name for folder in _folders(root)]
    if len(words) < 2:
        raise InvalidDatasetError(f"{root} has {len(words)} folders of words: give at least two")
    if "train" in parts:
        recordings = {part: list(_recordings(parts[part], words)) for part in SPLIT_NAMES if part in parts}
        told = any(_SPEAKER_ENDS in file.name for file, _ in recordings["train"])
        found, published = join(
            recordings,
            lambda recording: recording[1],
            settings.split_seed,
            path,
            (lambda recording: _speaker(recording[0])) if told else None,
        )
        splits: tuple[list[int], ...] = published
    else:
        found = list(_recordings(path, words))
        splits = _split(path, [file for file, _ in found], [label for _, label in found], settings.split_seed)
    files, labels = [file for file, _ in found], [label for _, label in found]
    _check(root, splits, labels, words)
    megabytes = len(files) * settings.samples * 4 / 1e6
    waves_of: list[tuple[Waves, list[int]]] = []
    problems = Problems()
    for numbers in splits:
        waves = WaveFiles([files[number] for number in numbers], settings.sample_rate, settings.samples)
        with problems.noted():
            if megabytes > settings.memory_limit_mb:
                each_read(lambda file: _open(file).close(), waves.files)
                waves_of.append((waves, [labels[number] for number in numbers]))
            else:
                waves_of.append((waves[list(range(len(waves)))], [labels[number] for number in numbers]))
    problems.refuse()
    return as_spectra(waves_of, words, settings)


def read_wave(file: Path, sample_rate: int, samples: int) -> Tensor:
    """The middle of a WAV file (samples,), resampled, its channels averaged; padded on both sides where it is shorter.

    Raises:
        InvalidDatasetError: it cannot be read, or has no samples.
    """
    with _open(file) as sound:
        if sound.frames == 0:
            raise InvalidDatasetError(f"{file} has no samples: remove it", "sound without samples")
        wanted = math.ceil(samples / sample_rate * sound.samplerate)
        try:
            sound.seek(max(0, (sound.frames - wanted) // 2))
            wave = sound.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        except soundfile.SoundFileError as error:
            raise _unreadable(file, error) from error
        rate = sound.samplerate
    if not np.isfinite(wave).all():
        raise InvalidDatasetError(f"{file} has samples that are no numbers: remove it", "sound of no numbers")
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
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, OSError) as error:
        raise _unreadable(file, error) from error
    if sound.samplerate > _FASTEST:
        raise InvalidDatasetError(
            f"{file} says that it has {sound.samplerate:,} samples a second: replace or remove it",
            "sound of a rate that cannot be",
        )
    # What libsndfile notes while it reads the header.
    if (size := _SIZE.search(sound.extra_info)) and int(size["there"]) + _HEADER < int(size["said"]) < _UNKNOWN:
        sound.close()
        raise InvalidDatasetError(
            f"{file} is cut off, {size['there']} bytes of {size['said']}: replace or remove it", "sound that is cut off"
        )
    return sound


def _unreadable(file: Path, error: Exception) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{file} cannot be read as a sound ({error}): replace or remove it", "sound that cannot be read"
    )


def _folders(path: Path) -> list[Path]:
    return [each for each in folders_in(path) if not each.name.startswith("_")]


def _parts(path: Path) -> dict[str, Path]:
    """Folders of words for training, validation and test; a folder of WAV files with such a name is a word."""
    folders = one_each(path, part_folders(path))
    words = _folders(folders["train"]) if "train" in folders else []
    if "test" in folders and any(map(_waves_in, words)) and not _folders(folders["test"]):
        _LOG.warning("%s has no folders of words: it is not used", folders["test"])
        del folders["test"]
    return {} if any(map(_waves_in, folders.values())) else folders


def _recordings(root: Path, words: Sequence[str]) -> Iterator[tuple[Path, int]]:
    """Each file in the folders of `root`, and the number of its word."""
    for folder in _folders(root):
        if folder.name not in words:
            raise InvalidDatasetError(f"{folder}: {folder.name} is no word of train: add it there, or leave it out")
        found = _waves_in(folder)
        if not found:
            raise InvalidDatasetError(f"{folder} has no WAV file: add some, or remove the folder")
        yield from ((file, words.index(folder.name)) for file in found)


def _waves_in(folder: Path) -> list[Path]:
    return files_in(folder, (".wav",))


def _split(path: Path, files: Sequence[Path], labels: Sequence[int], seed: int) -> tuple[list[int], ...]:
    published = _published(path, files)
    listed: tuple[list[int], ...] = ([], [], [])
    for number, file in enumerate(files):
        listed[published.get(file, 0)].append(number)
    there = [part for part, name in zip(("validation", "test"), _LISTS.values(), strict=True) if (path / name).exists()]
    if len(there) == len(_LISTS):
        return listed
    shares = shares_without(there)
    if any(_SPEAKER_ENDS in file.name for file in files):
        cut = grouped([_speaker(files[number]) for number in listed[0]], seed, shares)
    else:
        cut = stratified([labels[number] for number in listed[0]], seed, shares)
    train, *others = ([listed[0][index] for index in chosen] for chosen in cut)
    return train, *(known or held for known, held in zip(listed[1:], others, strict=True))


def _speaker(file: Path) -> Hashable:
    """Who speaks; a file that does not tell is by a speaker of its own."""
    return file.name.split(_SPEAKER_ENDS)[0] if _SPEAKER_ENDS in file.name else file


def _published(path: Path, files: Sequence[Path]) -> Mapping[Path, int]:
    """For each file that one of the lists names, its split; words that are not there are passed over."""
    known = set(files)
    folders = {file.parent for file in files}
    found: dict[Path, int] = {}
    for split, name in _LISTS.items():
        if not (path / name).exists():
            continue
        with open_text(path / name) as lines:
            for number, line in enumerate(map(str.strip, lines), start=1):
                if not line:
                    continue
                # Some lists were written on Windows, or from the folder above.
                file = path.joinpath(*PurePosixPath(line.replace("\\", "/")).parts[-2:])
                if file not in known and file.parent in folders:
                    raise InvalidDatasetError(f"{path / name}, line {number}: {line} does not exist")
                if found.setdefault(file, split) != split:
                    raise InvalidDatasetError(f"{path / name}, line {number}: {line} is in {_LISTS[1]} too")
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

"""Keyword spotting: spectrograms, augmentation, folders of words and their splits, refusals, learning."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import SearchSpace
from kubenas.api.task import Task as TaskSpec
from kubenas.space.base import Architecture
from kubenas_trial.datasets.audio_data import AudioData, AudioSettings, Recordings
from kubenas_trial.datasets.spectrogram import LogMel, augment_waves, mask_spectra, mel_filters
from kubenas_trial.datasets.tones import tones
from kubenas_trial.datasets.word_folders import WaveFiles, has_words, read_wave, read_words
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.evaluation.training import Training
from kubenas_trial.networks.recurrent import CELLS
from kubenas_trial.networks.rnn import RNN
from kubenas_trial.tasks.load import load_task

SETTINGS = AudioSettings(sample_rate=4000, seconds=0.5, bands=16, augmentation=False)


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray[Any, Any]:
    return 0.5 * np.sin(2 * math.pi * hertz * np.arange(round(rate * seconds)) / rate)


def write_words(folder: Path, speakers: int = 6, takes: int = 2, *, nohash: bool = True) -> Path:
    for word, hertz in (("high", 1200.0), ("low", 300.0)):
        (folder / word).mkdir(parents=True)
        for number in range(speakers * takes):
            name = f"s{number % speakers}_nohash_{number // speakers}" if nohash else f"{number:02}"
            soundfile.write(folder / word / f"{name}.wav", tone(hertz + 7 * number, 4000), 4000)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hum.wav", tone(50, 4000), 4000)
    return folder


def files(examples: Any) -> list[str]:
    assert isinstance(examples, Recordings)
    assert isinstance(examples.waves, WaveFiles)
    return [f"{file.parent.name}/{file.name}" for file in examples.waves.files]


def lazily(folder: Path, **changes: Any) -> AudioData:
    """Read so that the examples know their files."""
    # Eight bytes a sample would be enough; one word of a minute is more than the least limit of 1 MB.
    return read_words(
        folder, AudioSettings(sample_rate=4000, seconds=60, memory_limit_mb=1, augmentation=False, **changes)
    )


@pytest.mark.parametrize("rate", [4000, 16_000])
def test_a_tone_is_loudest_in_the_band_around_it(rate: int) -> None:
    spectrum = LogMel(rate, 24)(torch.from_numpy(tone(440, rate)).float()[None])
    filters = mel_filters(513, rate, 24)
    expected = int(filters[:, round(440 / (rate / 2) * 512)].argmax())
    assert spectrum.shape == (1, 24, LogMel(rate, 24).steps(rate // 2))
    assert int(spectrum[0].mean(1).argmax()) == expected


@given(st.integers(4, 60))
def test_mel_filters_overlap_to_one(bands: int) -> None:
    filters = mel_filters(4001, 8000, bands)
    total = filters.sum(0)
    first, last = filters[0].argmax(), filters[-1].argmax()
    torch.testing.assert_close(total[first : last + 1], torch.ones(int(last - first) + 1), atol=0.02, rtol=0)


def test_variation_keeps_what_is_said_and_depends_on_the_seed() -> None:
    waves = torch.from_numpy(tone(440, 4000, 1)).float().expand(3, -1)
    torch.manual_seed(0)
    first = augment_waves(waves, 400)
    torch.manual_seed(0)
    assert torch.equal(first, augment_waves(waves, 400))
    assert first.shape == waves.shape
    # Silence stays silence: the noise is in proportion.
    assert not augment_waves(torch.zeros(2, 100), 10).any()
    peaks = torch.fft.rfft(first).abs().argmax(1).float()
    assert bool(((peaks > 440 * 0.84) & (peaks < 440 * 1.16)).all())


def test_masks_hide_some_bands_and_steps_of_each_alone() -> None:
    masked = mask_spectra(torch.ones(50, 20, 30)) == 0
    bands, steps = masked.all(2), masked.all(1)
    assert torch.equal(masked, bands[:, :, None] | steps[:, None, :])
    assert int(bands.sum(1).max()) <= 5
    assert int(steps.sum(1).max()) <= 7
    assert len({tuple(row) for row in bands.tolist()}) > 5


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"), [(4000, 1, "PCM_16"), (8000, 2, "PCM_24"), (11_025, 1, "FLOAT")]
)
def test_any_wav_file_becomes_one_channel_of_one_rate(tmp_path: Path, rate: int, channels: int, subtype: str) -> None:
    sound = np.stack([tone(200, rate)] * channels, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype=subtype)
    wave = read_wave(tmp_path / "a.wav", 4000, 2000).numpy()
    assert wave.shape == (2000,)
    assert np.abs(wave - tone(200, 4000))[100:-100].max() < 0.01


@given(st.integers(1, 50), st.integers(1, 50))
def test_sounds_are_cut_or_padded_around_their_middle(there: int, wanted: int) -> None:
    import io

    file = io.BytesIO()
    soundfile.write(file, np.arange(1, there + 1) / 100, 4000, subtype="FLOAT", format="WAV")
    file.seek(0)
    wave = (read_wave(file, 4000, wanted) * 100).round().tolist()  # type: ignore[arg-type]
    kept = [value for value in wave if value]
    assert len(wave) == wanted
    assert len(kept) == min(there, wanted)
    assert kept == list(np.arange(kept[0], kept[0] + len(kept)))
    assert abs((kept[0] - 1) - (there - kept[-1])) <= 1


def test_a_speaker_is_in_one_split(tmp_path: Path) -> None:
    data = lazily(write_words(tmp_path / "words"))
    splits = [files(part) for part in (data.train, data.validation, data.test)]
    speakers = [{name.split("/")[1].split("_")[0] for name in split} for split in splits]
    assert [len(each) for each in speakers] == [4, 1, 1]
    assert len(set.union(*speakers)) == 6
    assert sum(map(len, splits)) == 24
    assert data.classes == ("high", "low")


def test_without_speakers_each_word_is_split(tmp_path: Path) -> None:
    data = lazily(write_words(tmp_path / "words", nohash=False))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [16, 4, 4]


def test_published_lists_are_the_split(tmp_path: Path) -> None:
    folder = write_words(tmp_path / "words")
    (folder / "validation_list.txt").write_text("high/s0_nohash_0.wav\nlow/s3_nohash_1.wav\nabsent/s0_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("high/s1_nohash_0.wav\n\n")
    data = lazily(folder)
    assert files(data.validation) == ["high/s0_nohash_0.wav", "low/s3_nohash_1.wav"]
    assert files(data.test) == ["high/s1_nohash_0.wav"]
    assert len(data.train) == 21


@pytest.mark.parametrize("line", ["high\\s0_nohash_0.wav", "./words/high/s0_nohash_0.wav"])
def test_lists_may_be_of_windows_or_from_above(tmp_path: Path, line: str) -> None:
    folder = write_words(tmp_path / "words")
    (folder / "validation_list.txt").write_text(f"{line}\n")
    (folder / "testing_list.txt").write_text("high/s1_nohash_0.wav\n")
    assert files(lazily(folder).validation) == ["high/s0_nohash_0.wav"]


def test_folders_of_parts_are_the_split(tmp_path: Path) -> None:
    for part, speakers in (("train", 5), ("val", 2), ("test", 3)):
        write_words(tmp_path / part, speakers, takes=1, nohash=False)
    data = lazily(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 4, 6)
    (tmp_path / "val" / "low").rename(tmp_path / "val" / "lower")
    with pytest.raises(InvalidDatasetError, match=r"lower is no word of train"):
        lazily(tmp_path)
    (tmp_path / "val").rename(tmp_path / "training")
    with pytest.raises(InvalidDatasetError, match=r"train and training are both for train: leave one"):
        lazily(tmp_path)


@pytest.mark.parametrize("tested", [True, False])
def test_what_is_cut_from_train_has_speakers_of_its_own(tmp_path: Path, tested: bool) -> None:
    write_words(tmp_path / "train", 10)
    if tested:
        write_words(tmp_path / "test", 3)
    else:  # whose words are kept back
        (tmp_path / "test").mkdir()
        soundfile.write(tmp_path / "test" / "clip.wav", tone(440, 4000), 4000)
    data = lazily(tmp_path)
    train, validation, test = (
        {name.split("/")[1].split("_")[0] for name in files(part)} for part in (data.train, data.validation, data.test)
    )
    assert len(data.train) + len(data.validation) + (0 if tested else len(data.test)) == 40
    assert not train & validation
    assert tested or not (train | validation) & test


def test_a_wav_file_that_is_cut_off_is_named_but_not_one_of_unknown_length(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, tone(200, 4000), 4000)
    whole = file.read_bytes()
    place = whole.index(b"data") + 4
    file.write_bytes(whole[:place] + b"\xff" * 4 + whole[place + 4 :])
    assert read_wave(file, 4000, 2000).abs().max() > 0.4
    place = whole.index(b"fmt ") + 12
    file.write_bytes(whole[:place] + (2**24 + 43).to_bytes(4, "little") + whole[place + 4 :])
    with pytest.raises(InvalidDatasetError, match=r"a\.wav says that it has 16,777,259 samples a second"):
        read_wave(file, 4000, 2000)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidDatasetError, match=r"a\.wav is cut off, 1978 bytes of 4000"):
        read_wave(file, 4000, 2000)


def test_in_memory_and_lazily_the_examples_are_the_same(tmp_path: Path) -> None:
    folder = write_words(tmp_path / "words")
    held = read_words(folder, SETTINGS)
    assert isinstance(held.train, Recordings)
    assert isinstance(held.train.waves, torch.Tensor)
    paths = sorted(file for file in folder.glob("[hl]*/*.wav"))
    again = torch.stack([read_wave(file, 4000, 2000) for file in paths])
    assert {tuple(wave) for wave in held.train.waves.tolist()} <= {tuple(wave) for wave in again.tolist()}
    [spectra] = held.train[[0, 3, 5]].inputs
    assert spectra.shape == (3, *held.shape)


def test_bands_are_normalized_over_the_training_examples(tmp_path: Path) -> None:
    data = read_words(write_words(tmp_path / "words"), SETTINGS)
    [spectra] = data.train[range(len(data.train))].inputs
    torch.testing.assert_close(spectra.mean((0, 2)), torch.zeros(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(spectra.square().mean((0, 2)), torch.ones(16), atol=1e-2, rtol=0)


def spoil_text(folder: Path) -> None:
    (folder / "low" / "s0_nohash_0.wav").write_text("no sound")


def spoil_empty_wave(folder: Path) -> None:
    soundfile.write(folder / "low" / "s0_nohash_0.wav", np.zeros(0), 4000)


def spoil_nan(folder: Path) -> None:
    soundfile.write(folder / "low" / "s0_nohash_0.wav", np.full(9, np.nan), 4000, subtype="FLOAT")


def spoil_word(folder: Path) -> None:
    (folder / "silence").mkdir()


def spoil_list(folder: Path) -> None:
    (folder / "validation_list.txt").write_text("high/s0_nohash_0.wav\n")


def spoil_line(folder: Path) -> None:
    spoil_list(folder)
    (folder / "testing_list.txt").write_text("high/s1_nohash_0.wav\nlow/nobody.wav\n")


def spoil_both(folder: Path) -> None:
    spoil_list(folder)
    (folder / "testing_list.txt").write_text("high/s0_nohash_0.wav\n")


def spoil_train(folder: Path) -> None:
    spoil_list(folder)
    lines = [f"low/{file.name}" for file in (folder / "low").iterdir()]
    (folder / "testing_list.txt").write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (spoil_text, "low/s0_nohash_0.wav cannot be read as a sound"),
        (spoil_empty_wave, "low/s0_nohash_0.wav has no samples"),
        (spoil_nan, "low/s0_nohash_0.wav has samples that are no numbers"),
        (spoil_word, "silence has no WAV file"),
        (spoil_line, "testing_list.txt, line 2: low/nobody.wav does not exist"),
        (spoil_both, "testing_list.txt, line 1: high/s0_nohash_0.wav is in validation_list.txt too"),
        (spoil_train, "low has no training example"),
    ],
)
def test_what_is_wrong_in_the_files_is_named(tmp_path: Path, spoil: Any, text: str) -> None:
    folder = write_words(tmp_path / "words")
    spoil(folder)
    with pytest.raises(InvalidDatasetError) as refused:
        read_words(folder, SETTINGS)
    assert text in str(refused.value)


def test_too_few_words_or_speakers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match="at least three speakers"):
        read_words(write_words(tmp_path / "two", speakers=2), SETTINGS)
    (tmp_path / "one" / "yes").mkdir(parents=True)
    assert not has_words(tmp_path / "one")
    with pytest.raises(InvalidDatasetError, match="has 1 folders of words"):
        read_words(tmp_path / "one", SETTINGS)


def test_tones_are_the_same_every_time() -> None:
    first, again = tones(SETTINGS), tones(SETTINGS)
    assert [len(part) for part in (first.train, first.validation, first.test)] == [600, 200, 200]
    assert torch.equal(first.test[[0, 9]].inputs[0], again.test[[0, 9]].inputs[0])
    assert len(first.classes) == 8


@pytest.mark.parametrize("cell", CELLS)
def test_weights_decay_and_biases_do_not(cell: str) -> None:
    settings = {"sampleRate": 4000, "seconds": 0.5, "bands": 16, "weightDecay": 0.5, "network": {"width": 0.1}}
    spec = TaskSpec.model_validate({"name": "keyword-spotting", "dataset": {"name": "tones"}, "settings": settings})
    task = load_task(spec, None, torch.device("cpu"))
    architecture = Architecture({**RNN.default, "cell": cell})
    network = task.build(architecture, SearchSpace.model_validate({"preset": "rnn"}))
    optimizer = Training(task, network, epochs=1).optimizer
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    kept = {name for name, weight in network.named_parameters() if torch.equal(weight, before[name])}
    assert {name for name in before if "bias" in name} <= kept
    assert any(f".{cell}.bias" in name for name in kept)
    assert kept.isdisjoint(name for name in before if f".{cell}.weight" in name)

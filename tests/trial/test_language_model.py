"""Language modelling: texts in files, contiguous splits, windows, perplexity, a whole trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.api.task import Dataset, Task
from kubenas_trial.datasets.language_data import Lines, Windows, split_lines
from kubenas_trial.datasets.tokens import IGNORED
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.networks.transformer_decoder import TRANSFORMER_DECODER
from kubenas_trial.tasks.language_model import LanguageModel
from kubenas_trial.tasks.load import load_task
from tests.trial.process import TrialProcess, message, trial_document, trial_environment

TEXT = "".join(
    f"In line {i} the {'cat' if i % 3 else 'dog'} sat on the mat, for the {i % 7}th time.\n" for i in range(300)
)


def load(path: Path, **settings: Any) -> LanguageModel:
    spec = Task(name="language-model", dataset=Dataset(path=str(path)), settings={"vocabulary": 300, **settings})
    task = load_task(spec, None, torch.device("cpu"))
    assert isinstance(task, LanguageModel)
    return task


def text_of(lines: Lines) -> str:
    return "".join(lines)


@given(st.lists(st.integers(0, 60), min_size=30, max_size=200))
def test_one_text_is_cut_in_three_without_gap_or_overlap(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("texts") / "book.txt"
    text = "".join(f"{'é' * size}\n" for size in sizes)
    path.write_text(text)
    try:
        parts = split_lines(path)
    except InvalidDatasetError:
        assert max(sizes) + 1 >= len(text) // 10, "only a long line can leave a split empty"
        return
    assert "".join(text_of(parts[split]) for split in ("train", "validation", "test")) == text
    assert abs(len(text_of(parts["test"])) - len(text) / 10) <= max(sizes) + 1


def test_long_lines_are_cut_too(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("word " * 20_000)
    parts = split_lines(tmp_path / "book.txt")
    assert [round(len(text_of(parts[split])) / 1e5, 1) for split in parts] == [0.8, 0.1, 0.1]


@pytest.mark.parametrize(
    "names",
    [
        ("train.txt", "valid.txt", "test.txt"),
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
        ("wiki.train.raw", "wiki.valid.raw", "wiki.test.raw"),
    ],
)
def test_published_splits_are_kept(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text(f"{name}\n{TEXT}")
    parts = split_lines(tmp_path)
    for split, name in zip(("train", "validation", "test"), names, strict=True):
        assert text_of(parts[split]) == f"{name}\n{TEXT}"


def test_a_folder_of_books_is_one_text_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "a.txt").write_text(TEXT.upper())
    (tmp_path / "notes.md").write_text("not a text")
    parts = split_lines(tmp_path)
    assert "".join(map(text_of, (parts["train"], parts["validation"], parts["test"]))) == TEXT.upper() + TEXT


def test_a_missing_split_is_cut_from_the_end_of_the_training_text(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    (tmp_path / "test.txt").write_text("tested\n")
    parts = split_lines(tmp_path)
    assert text_of(parts["train"]) + text_of(parts["validation"]) == TEXT
    assert text_of(parts["test"]) == "tested\n"


@given(
    count=st.integers(2, 40),
    length=st.integers(1, 12),
    batch=st.integers(1, 5),
)
def test_every_token_is_predicted_once_from_the_one_before(count: int, length: int, batch: int) -> None:
    windows = Windows(torch.arange(count, dtype=torch.int32), characters=count, length=length)
    predicted: list[int] = []
    numbers = range(len(windows))
    for start in range(0, len(numbers), batch):
        found = windows[numbers[start : start + batch]]
        [inputs], [targets] = found.inputs, found.targets
        assert inputs.shape == targets.shape == (len(numbers[start : start + batch]), length)
        counts = targets != IGNORED
        assert torch.equal(targets[counts], inputs[counts] + 1)
        predicted += targets[counts].tolist()
    assert predicted == list(range(1, count))


@given(count=st.integers(2, 60), length=st.integers(1, 12))
def test_a_shifted_window_is_one_of_the_text(count: int, length: int) -> None:
    windows = Windows(torch.arange(count, dtype=torch.int32), characters=count, length=length, shifted=True)
    for number in range(len(windows)):
        batch = windows[[number]]
        [[inputs]], [[targets]] = batch.inputs, batch.targets
        counts = targets != IGNORED
        assert int(counts.sum()) == min(length, count - 1)
        assert torch.equal(targets[counts], inputs[counts] + 1)


class Uniform(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, self.vocabulary)


def test_who_knows_nothing_has_the_vocabulary_as_perplexity(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    task = load(tmp_path / "book.txt", length=7, batchSize=3)
    vocabulary = task.interface.vocabulary
    assert vocabulary == 300
    metrics = task.evaluate(Uniform(vocabulary), task.data.test)
    assert metrics["perplexity"] == pytest.approx(300, rel=1e-5)
    tokens, characters = len(task.data.test.tokens) - 1, task.data.test.characters
    assert metrics["bits_per_character"] == pytest.approx(math.log2(300) * tokens / characters, rel=1e-5)
    assert characters == len(text_of(split_lines(tmp_path / "book.txt")["test"]))


def test_tokens_are_numbered_from_frequent_to_rare(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    data = load(tmp_path / "book.txt").data
    counts = data.train.tokens[1:].bincount(minlength=data.vocabulary)
    assert bool((counts.diff() <= 0).all())


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"book.txt": ""}, r"the text of train is empty"),
        ({"book.txt": "One line.\n"}, r"the text of validation is empty: give more"),
        ({"valid.txt": TEXT, "test.txt": TEXT}, r"has test\.txt, valid\.txt, but no training text"),
        ({"train.txt": TEXT, "test.txt": ""}, r"the text of test is empty"),
        ({"book.pdf": "no text"}, r"looks like none of text"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidDatasetError, match=text):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "encoding"),
    [
        ("tea\n" * 400_000 + "café\n" * 100, 400_001, "WINDOWS-1252"),
        ("tea\ncafé", 2, "WINDOWS-1252"),
        ("tea\n", 1, "UTF-16"),
    ],
)
def test_a_text_that_is_not_utf8_is_refused(tmp_path: Path, text: str, line: int, encoding: str) -> None:
    (tmp_path / "book.txt").write_bytes(text.encode(encoding))
    with pytest.raises(
        InvalidDatasetError, match=rf"book\.txt, line {line}: is not UTF-8 .*: convert it.* -f {encoding} -t"
    ):
        load(tmp_path / "book.txt")


def test_alice_is_there() -> None:
    spec = Task(name="language-model", dataset=Dataset(name="alice"))
    data = load_task(spec, None, torch.device("cpu")).data
    assert data.vocabulary == 2000
    assert [part.characters // 10_000 for part in (data.train, data.validation, data.test)] == [11, 1, 1]


def test_a_trial_learns_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT)
    task = {
        "name": "language-model",
        "dataset": {"path": str(tmp_path / "book.txt")},
        "settings": {"vocabulary": 300, "length": 64, "batchSize": 16, "network": {"width": 0.0625}},
    }
    architecture = dict(TRANSFORMER_DECODER.default) | {"n_layer": 2}
    for layer in (2, 3):
        del architecture[f"d_inner.{layer}"], architecture[f"n_head.{layer}"]
    candidate = {"id": "0", "architecture": architecture, "epochs": 3, "resumeFrom": None}
    document = trial_document(task=task, searchSpace={"preset": "transformer-decoder"}, candidates=[candidate])
    outcomes = []
    for _ in range(2):
        with TrialProcess(trial_environment(tmp_path, document), warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
        [result] = message(tmp_path)["results"]
        outcomes.append({name: value for name, value in result["metrics"].items() if "loss" in name})
    assert outcomes[0] == outcomes[1]
    assert result["metrics"]["test_perplexity"] < 150
    assert result["metrics"]["bits_per_character"] < math.log2(300)

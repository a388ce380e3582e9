"""Text representation: what is hidden, and the probe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset, Task
from kubenas.space.load import build_space
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.representation_data import MaskedExamples
from kubenas_trial.datasets.text_data import TextExamples
from kubenas_trial.datasets.tokens import IGNORED, MASK, SPECIAL, START, TokenLists
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.evaluation.train import train
from kubenas_trial.networks.bert_encoder import BERT_MASKED_LM
from kubenas_trial.tasks.load import load_task
from kubenas_trial.tasks.text_representation import TextRepresentation
from tests.trial.test_text_classification import sample, write
from tests.trial.training import Reports

VOCABULARY = 1000


def load(dataset: Dataset, **settings: Any) -> TextRepresentation:
    task = load_task(Task(name="text-representation", dataset=dataset, settings=settings), None, torch.device("cpu"))
    assert isinstance(task, TextRepresentation)
    return task


def examples(lengths: list[int], drawn: bool) -> MaskedExamples:
    """Texts of a [CLS] and as many words as said."""
    texts = [torch.cat((torch.tensor([START]), torch.randint(len(SPECIAL), VOCABULARY, (n,)))) for n in lengths]
    ends = torch.tensor([len(text) for text in texts]).cumsum(0)
    lists = TokenLists(torch.cat(texts).int(), ends)
    return MaskedExamples(lists, VOCABULARY, TextExamples(lists, torch.zeros(len(lengths))), drawn)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.booleans())
def test_a_share_of_each_texts_words_is_to_be_found(lengths: list[int], drawn: bool) -> None:
    masked = examples(lengths, drawn)
    numbers = range(len(lengths))
    batch = masked[numbers]
    [tokens], [targets] = batch.inputs, batch.targets
    original = masked.texts.padded(numbers)
    wanted = targets != IGNORED
    expected = [max(1, round(0.15 * n)) if n else 0 for n in lengths]
    assert (wanted.sum(1) - torch.tensor(expected)).abs().max() <= (1 if any(n % 10 == 0 for n in lengths) else 0)
    assert torch.equal(targets[wanted], original[wanted])
    assert torch.equal(tokens[~wanted], original[~wanted])
    assert bool((original[wanted] > MASK).all())


def test_words_are_hidden_in_berts_shares() -> None:
    masked = examples([200] * 100, drawn=True)
    batch = masked[range(100)]
    [tokens], [targets] = batch.inputs, batch.targets
    wanted = targets != IGNORED
    assert float((tokens[wanted] == MASK).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((tokens[wanted] == targets[wanted]).float().mean()) == pytest.approx(0.1, abs=0.03)


def test_what_is_hidden_for_measuring_is_always_the_same_and_for_training_not() -> None:
    fixed, drawn = examples([20] * 6, drawn=False), examples([20] * 6, drawn=True)
    together, alone = fixed[range(6)].targets[0], torch.cat([fixed[[number]].targets[0] for number in range(6)])
    assert torch.equal(together, alone)
    assert not torch.equal(drawn[range(6)].targets[0], drawn[range(6)].targets[0])


def test_texts_and_a_table_are_read_from_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "probe.tsv", sample(60))
    (tmp_path / "corpus.txt").write_text("".join(f"sentence {i}\n\n" for i in range(100)))
    data = load(Dataset(path=str(tmp_path))).data
    assert len(data.train) + len(data.validation) + len(data.test) == 100
    assert [len(part.probe) for part in (data.train, data.validation, data.test)] == [36, 12, 12]


def test_a_table_alone_serves_for_both(tmp_path: Path) -> None:
    data = load(Dataset(path=str(write(tmp_path / "probe.jsonl", sample(60))))).data
    assert [len(part) for part in (data.train, data.validation, data.test)] == [36, 12, 12]
    assert data.train.texts is data.train.probe.texts


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"corpus.txt": "text\n"}, "looks like none of text"),
        ({"a.csv": "text,label\n", "b.tsv": "text\tlabel\n"}, "has tsv and csv tables: give labelled texts"),
        ({"a.csv": "text,label\nfine,good\ndull,bad\n" * 9, "corpus.txt": "one\n"}, "the text of validation is empty"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidDatasetError, match=text):
        load(Dataset(path=str(tmp_path)))


class Telling(nn.Module):
    """An encoder whose vectors tell the class of `sample`'s texts, by the one word that does."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.encoder = self
        self.vocabulary = vocabulary

    def mean(self, tokens: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(tokens, self.vocabulary).sum(1)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape, self.vocabulary)


def test_the_probe_finds_what_vectors_tell(tmp_path: Path) -> None:
    task = load(Dataset(path=str(write(tmp_path / "probe.csv", sample(200)))))
    size = task.data.vocabulary
    metrics = task.evaluate(Telling(size), task.data.test)
    assert metrics["probe_accuracy"] == 1
    assert metrics["mlm_loss"] == pytest.approx(torch.tensor(size).log().item(), rel=1e-5)


def test_a_training_lowers_the_loss(tmp_path: Path) -> None:
    path = write(tmp_path / "probe.csv", sample(300))
    task = load(Dataset(path=str(path)), length=16, batchSize=16, learningRate=0.01, network={"width": 0.125})
    space = SearchSpace(preset="bert-encoder")
    architecture = build_space(space).parse(dict(BERT_MASKED_LM.default))
    reports = Reports()
    train(task, space, Candidate("0", architecture, 4, None), 0, reports)
    losses = [metrics["mlm_loss"] for metrics in reports.all]
    assert losses[-1] < losses[0]
    assert {"probe_accuracy", "test_mlm_loss", "test_probe_accuracy"} <= reports.all[-1].keys()

"""Text classification: tables as people write them, splits, tokens, metrics, a whole trial."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

from kubenas.api.task import Dataset, Task
from kubenas_trial.datasets.labelled_text import read_labelled
from kubenas_trial.datasets.sentiment import sentiment
from kubenas_trial.datasets.tables import Row, Table
from kubenas_trial.datasets.text_data import TextData, TextExamples
from kubenas_trial.datasets.tokens import PADDING, START, UNKNOWN, TokenLists, tokenize, train_bpe
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.load import load_task, task_class
from kubenas_trial.tasks.text_classification import TextClassification, macro_f1
from tests.trial.process import TrialProcess, message, trial_document, trial_environment

DATA = Path(os.environ.get("KUBENAS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
WORDS = {"good": ("fine", "great", "superb"), "bad": ("dull", "awful", "flat")}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\x00\ufeff"), max_size=20)


def sample(count: int, start: int = 0) -> list[tuple[str, str]]:
    """Texts with labels that one word tells."""
    labels = list(WORDS)
    return [(f"a {WORDS[labels[i % 2]][i % 3]} film, number {i}", labels[i % 2]) for i in range(start, start + count)]


def write(path: Path, rows: Iterable[tuple[str, str]], columns: tuple[str, str] | None = ("text", "label")) -> Path:
    if path.suffix == ".jsonl":
        text, label = columns or ("text", "label")
        path.write_text("".join(json.dumps({"id": 1, text: row[0], label: row[1]}) + "\n" for row in rows))
        return path
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerows([*([columns] if columns else []), *rows])
    return path


def load(path: Path, **settings: Any) -> TextClassification:
    spec = Task(name="text-classification", dataset=Dataset(path=str(path)), settings=settings)
    task = load_task(spec, None, torch.device("cpu"))
    assert isinstance(task, TextClassification)
    return task


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
@pytest.mark.parametrize("columns", [("text", "label"), ("Sentence", "CLASS"), ("review", "sentiment")])
def test_a_table_is_read_and_split_by_class(tmp_path: Path, kind: str, columns: tuple[str, str]) -> None:
    task = load(write(tmp_path / f"reviews.{kind}", sample(100), columns))
    assert task.data.classes == ("bad", "good")
    sizes = [len(examples) for examples in (task.data.train, task.data.validation, task.data.test)]
    assert sizes == [60, 20, 20]
    for examples in (task.data.train, task.data.validation, task.data.test):
        counts = examples.labels.bincount()
        assert abs(int(counts[0] - counts[1])) <= 2


def test_parts_of_one_table_share_no_row_and_follow_the_seed(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.csv", sample(100))

    def parts(seed: int) -> list[set[str]]:
        found = read_labelled(path, "csv", None, None, seed)
        return [{row.text for row in part} for part in (found.train, found.validation, found.test)]

    assert sum(map(len, parts(0))) == len(set.union(*parts(0))) == 100
    assert parts(0) == parts(0)
    assert parts(0) != parts(1)


@pytest.mark.parametrize("name", ["dev", "val", "validation", "valid"])
def test_files_of_splits_are_those_splits(tmp_path: Path, name: str) -> None:
    write(tmp_path / "train.tsv", sample(30))
    write(tmp_path / f"{name}.tsv", sample(10, start=100))
    write(tmp_path / "test.tsv", sample(6, start=200))
    found = read_labelled(tmp_path, "tsv", None, None, 0)
    assert [row.text for row in found.train] == [text for text, _ in sample(30)]
    assert [row.text for row in found.validation] == [text for text, _ in sample(10, start=100)]
    assert [row.text for row in found.test] == [text for text, _ in sample(6, start=200)]


def test_a_split_without_a_file_is_cut_from_the_training_file(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", sample(40))
    write(tmp_path / "test.csv", sample(10, start=100))
    found = read_labelled(tmp_path, "csv", None, None, 0)
    train, validation = ({row.text for row in part} for part in (found.train, found.validation))
    assert (len(train), len(validation), len(list(found.test))) == (32, 8, 10)
    assert train | validation == {text for text, _ in sample(40)}


@given(rows=st.lists(st.tuples(TEXTS, st.sampled_from(["a", "b"])), min_size=1, max_size=8))
@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, kind: str, rows: list[Any]) -> None:
    path = write(tmp_path_factory.mktemp("tables") / f"table.{kind}", rows)
    assert [(row.text, row.label) for row in Table(path, kind)] == rows


def test_quotes_of_a_tsv_are_text_but_around_a_whole_field(tmp_path: Path) -> None:
    path = tmp_path / "quotes.tsv"
    path.write_text('text\tlabel\n"oh", he said\t1\n5" nails\t0\n"so ""good"""\t1\n')
    assert [row.text for row in Table(path, "tsv")] == ['"oh", he said', '5" nails', 'so "good"']


def test_columns_are_named_or_counted(tmp_path: Path) -> None:
    named = write(tmp_path / "named.csv", sample(4), ("label", "what"))
    assert [row.text for row in Table(named, "csv", "LABEL", "what")] == [text for text, _ in sample(4)]
    plain = tmp_path / "plain.tsv"
    plain.write_text("".join(f"{label}\t{text}\n" for text, label in sample(4)))
    assert [(row.text, row.label) for row in Table(plain, "tsv", "2", "1")] == sample(4)


def test_classes_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path / "stars.jsonl", [(f"text {i}", str(i % 12)) for i in range(120)])
    assert read_labelled(path, "jsonl", None, None, 0).classes == tuple(map(str, range(12)))


HEADER = "text,label\n"
GOOD = HEADER + "fine,good\ndull,bad\n" * 20


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"a.csv": "text,stars\nfine,1\n"}, r"a\.csv: has no column label or .*, only 'text', 'stars': name one by "),
        ({"a.csv": "title,label\nfine,1\n"}, r"a\.csv: has no column text or .*task\.settings\.textColumn"),
        ({"a.csv": HEADER + "fine,good\n\nfine\n"}, r"a\.csv, line 4: 1 columns where the first line has 2"),
        ({"a.tsv": "text\tlabel\nfine\tgood\nnot\tso\tbad\n"}, r"a\.tsv, line 3: 3 columns where"),
        ({"a.csv": HEADER + "fine,good\ndull,\n"}, r"a\.csv, line 3: the label is empty"),
        ({"a.csv": HEADER + 'fine,"good\n'}, r"a\.csv: cannot be read: unexpected end of data"),
        ({"a.csv": HEADER + "fine,good\n" * 20}, r"a\.csv: 1 classes in 20 rows: two or more are needed"),
        ({"a.csv": HEADER}, r"a\.csv: 0 classes in 0 rows"),
        ({"a.csv": ""}, r"a\.csv: 0 classes in 0 rows"),
        ({"a.csv": HEADER + "fine,good\ndull,bad\n"}, r"a\.csv: 2 rows are too few to cut validation"),
        ({"a.csv": HEADER + "".join(f"x,{i / 7}\n" for i in range(200))}, r"200 different labels in 200 rows"),
        ({"a.jsonl": '{"text": "fine", "label": 1}\n{"text": '}, r"a\.jsonl, line 2: is no JSON"),
        ({"a.jsonl": "[1]\n"}, r"a\.jsonl, line 1: is no JSON object"),
        ({"a.jsonl": '{"text": 3, "label": 1}\n'}, r"a\.jsonl, line 1: text is 3: give a string"),
        ({"a.jsonl": '{"text": "fine", "label": null}\n'}, r"a\.jsonl, line 1: the label is empty: fill it in"),
        (
            {"train.csv": GOOD, "test.csv": HEADER + "odd,strange\n"},
            r"test\.csv, line 2: no training row has",
        ),
        ({"train.csv": GOOD, "test.csv": HEADER}, r"test\.csv: has no rows"),
        ({"train.csv": GOOD, "dev.csv": GOOD, "val.csv": GOOD}, r"dev\.csv and val\.csv are both for validation"),
        ({"one.csv": GOOD, "two.csv": GOOD}, r"has one\.csv, two\.csv: name them train, validation and test"),
        ({"a.csv": GOOD, "a.jsonl": GOOD}, r"looks like csv and jsonl: say which by task\.dataset\.format"),
        ({"readme.md": "no tables"}, r"looks like none of tsv, csv, jsonl"),
    ],
)
def test_what_is_wrong_with_the_files_is_said(tmp_path: Path, files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidDatasetError, match=text):
        load(tmp_path)


def test_a_table_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\ncafé,good\n".encode("latin-1"))
    with pytest.raises(InvalidDatasetError, match=r"a\.csv, line \d: is not UTF-8 .*: convert it"):
        load(tmp_path / "a.csv")


def test_columns_beyond_the_last_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("fine\tgood\n")
    with pytest.raises(InvalidDatasetError, match=r"a\.tsv: has 2 columns, counted from 1; .*textColumn is 1, .* 3"):
        load(tmp_path / "a.tsv", textColumn="1", labelColumn="3")


def test_the_vocabulary_is_of_the_training_texts_alone(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", [*sample(40), *sample(40)])
    write(tmp_path / "test.csv", [(f"{text} zyzzyva zyzzyva", label) for text, label in sample(10)])
    before = load(tmp_path).data
    write(tmp_path / "test.csv", sample(10))
    after = load(tmp_path).data
    assert before.vocabulary == after.vocabulary
    assert torch.equal(before.train.texts.tokens, after.train.texts.tokens)


@given(st.lists(st.lists(st.sampled_from(["fine", "dull", "film"]), max_size=9), min_size=1, max_size=6))
@pytest.mark.parametrize("limit", [1, 0])
def test_tokens_are_those_of_each_text(limit: int, texts: list[list[str]]) -> None:
    tokenizer = train_bpe(["fine dull film"] * 3, 100)
    tokenizer.enable_truncation(6)
    # A limit of 0 puts everything into a file.
    lists = tokenize(tokenizer, [" ".join(words) for words in texts], limit)
    padded = lists.padded(range(len(texts)))
    expected = [[START, *(tokenizer.token_to_id(f"▁{word}") for word in words)][:6] for words in texts]
    assert padded.shape == (len(texts), max(map(len, expected)))
    assert [[token for token in row if token != PADDING] for row in padded.tolist()] == expected


def test_only_training_tokens_are_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.csv", sample(400))
    data = load(path, tokenDropout=0.5).data

    def unknown(examples: TextExamples) -> float:
        [tokens] = examples[range(len(examples))].inputs
        assert bool((tokens[:, 0] == START).all())
        return float((tokens == UNKNOWN).sum() / (tokens > START).logical_or(tokens == UNKNOWN).sum())

    assert unknown(data.train) == pytest.approx(0.5, abs=0.05)
    assert unknown(data.validation) < 0.2
    assert unknown(load(path, tokenDropout=0.5, augmentation=False).data.train) < 0.2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_macro_f1_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    confusion = torch.zeros(4, 4, dtype=torch.int64)
    for true, predicted in pairs:
        confusion[true, predicted] += 1
    truth, predictions = zip(*pairs, strict=True)
    assert macro_f1(confusion) == pytest.approx(f1_score(truth, predictions, average="macro", zero_division=0))


@dataclass
class Fixed(nn.Module):
    """Says what `answer` says of the tokens."""

    answer: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        return self.answer(tokens)


def test_metrics_are_of_all_examples(tmp_path: Path) -> None:
    task = load(write(tmp_path / "reviews.csv", sample(300)), batchSize=7)
    labels = task.data.test.labels

    def always_first(tokens: Tensor) -> Tensor:
        return torch.tensor([[2.0, 0.0]]).repeat(len(tokens), 1)

    metrics = task.evaluate(Fixed(always_first), task.data.test)
    share = float((labels == 0).float().mean())
    assert metrics["accuracy"] == pytest.approx(share)
    assert metrics["f1"] == pytest.approx(share / (1 + share))
    right = torch.tensor([2.0, 0.0]).log_softmax(0)
    assert metrics["loss"] == pytest.approx(float(-share * right[0] - (1 - share) * right[1]), rel=1e-5)


def test_the_grammars_reviews_are_fair() -> None:
    data = sentiment(0)
    rows = [row for part in (data.train, data.validation, data.test) for row in part]
    assert len({row.text for row in rows}) == len(rows) == 4000
    assert Counter(row.label for row in rows)["positive"] == pytest.approx(2000, abs=100)
    assert sentiment(0) != sentiment(1)


def label_by_hand(row: Row) -> str:
    """What a review says, read by the rules that its grammar follows."""
    text = row.text.split("even though")[0].split(" but ")[-1]
    if "although" in text:
        text = text.split(" , ", 1)[1]
    text = text.split(" and the ")[0]
    adjectives = set(text.replace(",", " ").split())
    from kubenas_trial.datasets.sentiment import _GOOD

    positive = bool(adjectives & set(_GOOD))
    negated = bool(adjectives & {"not", "hardly", "never"})
    return "positive" if positive != negated else "negative"


def test_a_review_says_what_its_label_says() -> None:
    rows = list(sentiment(0).test)
    assert [label_by_hand(row) for row in rows] == [row.label for row in rows]


def test_words_alone_tell_some_of_the_grammars_reviews() -> None:
    (texts, labels), (unseen, wanted) = (
        ([row.text for row in part], [row.label for row in part]) for part in (sentiment(0).train, sentiment(0).test)
    )
    words = make_pipeline(CountVectorizer(), LogisticRegression(max_iter=1000)).fit(texts, labels)
    assert 0.65 < words.score(unseen, wanted) < 0.85


def test_a_trial_learns_and_repeats(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.tsv", sample(300))
    task = {
        "name": "text-classification",
        "dataset": {"path": str(path)},
        "settings": {"length": 16, "batchSize": 16, "network": {"width": 0.125, "dropout": 0.1}},
    }
    architecture = dict(task_class("text-classification").families["bert-encoder"].default)  # type: ignore[union-attr]
    candidate = {"id": "0", "architecture": architecture, "epochs": 6, "resumeFrom": None}
    document = trial_document(task=task, searchSpace={"preset": "bert-encoder"}, candidates=[candidate])
    outcomes = []
    for _ in range(2):
        with TrialProcess(trial_environment(tmp_path, document), warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
        [result] = message(tmp_path)["results"]
        outcomes.append({name: value for name, value in result["metrics"].items() if "loss" in name})
    assert outcomes[0] == outcomes[1]
    assert result["metrics"]["accuracy"] >= 0.9
    assert result["metrics"]["test_f1"] >= 0.9


def test_movie_reviews_are_read() -> None:
    path = DATA / "movie_review_sentiment.tsv"
    if not path.exists():
        pytest.skip(f"no movie reviews: {path} is absent (KUBENAS_DATA names its folder)")
    data = load(path).data
    assert isinstance(data, TextData)
    assert len(data.train) + len(data.validation) + len(data.test) == 10_605
    assert set(data.classes) >= {"negative", "positive"}
    assert isinstance(data.train.texts, TokenLists)

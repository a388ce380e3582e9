"""Translation: the files that are read, the splits, the tokens, the metrics, a training that learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.presets.seq2seq import seq2seq
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.parallel_text import Pair, ParallelTexts, read_aligned, read_table, split_pairs
from kubenas_trial.datasets.reversible import WORDS, reversible_pairs
from kubenas_trial.datasets.tokens import PADDING
from kubenas_trial.datasets.translation_data import TranslationSettings, translation_data
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.evaluation.train import train
from kubenas_trial.measure.export import export_onnx
from kubenas_trial.measure.measures import after_training
from kubenas_trial.measure.onnx_network import OnnxNetwork
from kubenas_trial.networks.seq2seq import SEQ2SEQ
from kubenas_trial.tasks.load import load_task
from kubenas_trial.tasks.translation import Translation, translate
from tests.properties import examples
from tests.trial.training import Curve

CPU = torch.device("cpu")
NUMBERS = ("one", "two", "three", "four", "five", "six")
PAIRS = [Pair(f"{a} {b}", f"{b.upper()} {a.upper()} after {b.upper()}") for a, b in product(NUMBERS, repeat=2)]


def write(folder: Path, **files: str) -> Path:
    """Files by name; __ stands for the point before the ending."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_bytes(text.encode())
    return folder


def rows(pairs: Iterable[Pair]) -> str:
    return "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs)


def columns(pairs: Iterable[Pair]) -> dict[str, str]:
    return {
        "en": "".join(f"{pair.source}\n" for pair in pairs),
        "de": "".join(f"{pair.target}\n" for pair in pairs),
    }


def parts(texts: ParallelTexts) -> list[list[Pair]]:
    return [list(each) for each in (texts.train, texts.validation, texts.test)]


def task(data: Path, **settings: Any) -> Translation:
    spec = TaskSpec(name="translation", dataset=Dataset(path=str(data)), settings={"vocabulary": 400, **settings})
    loaded = load_task(spec, None, CPU)
    assert isinstance(loaded, Translation)
    return loaded


@pytest.mark.parametrize(
    "header", ["", "source\ttarget\n", "en\tde\n", "English\tGerman\n", "de-AT\tzh_hans\n", "\ufeff"]
)
def test_a_table_is_read_with_or_without_a_header(tmp_path: Path, header: str) -> None:
    folder = write(tmp_path, all__tsv=header + rows(PAIRS))
    for path in (folder, folder / "all.tsv"):
        found = parts(read_table(path, None, None, 0))
        assert sorted(map(str, chain(*found))) == sorted(map(str, PAIRS))
        assert [len(each) for each in found] == [30, 3, 3]


def test_columns_are_those_of_the_settings(tmp_path: Path) -> None:
    text = "id\tFrench\ttarget\tsource\r\n" + "".join(f"{n}\tf{n}\tt{n}\ts{n}\r\n" for n in range(20))
    path = write(tmp_path, all__tsv=text) / "all.tsv"
    read = list(chain(*parts(read_table(path, None, None, 0))))
    assert {pair.source[1:] + pair.target[1:] for pair in read} == {2 * str(n) for n in range(20)}
    assert {pair.target[0] + pair.source[0] for pair in read} == {"ts"}
    named = list(chain(*parts(read_table(path, "french", "id", 0))))
    assert sorted(map(str, named)) == sorted(str(Pair(f"f{n}", str(n))) for n in range(20))
    plain = write(tmp_path, all__tsv=rows(PAIRS)) / "all.tsv"
    numbered = chain(*parts(read_table(plain, "2", "1", 0)))
    assert sorted(map(str, numbered)) == sorted(str(Pair(pair.target, pair.source)) for pair in PAIRS)


def test_published_splits_stay(tmp_path: Path) -> None:
    tables = write(tmp_path / "t", train__tsv=rows(PAIRS[:20]), dev__tsv=rows(PAIRS[20:23]), test__tsv=rows(PAIRS[23:]))
    files: dict[str, str] = {}
    for split, pairs in (("train", PAIRS[:20]), ("val", PAIRS[20:23]), ("test_2016", PAIRS[23:])):
        files |= {f"{split}__{language}": text for language, text in columns(pairs).items()}
    aligned = write(tmp_path / "a", **files, README__md="")
    for found in (read_table(tables, None, None, 0), read_aligned(aligned, None, None, 0)):
        assert parts(found) == [PAIRS[:20], PAIRS[20:23], PAIRS[23:]]


def test_aligned_files_of_one_pair_are_cut_and_english_is_the_source(tmp_path: Path) -> None:
    folder = write(tmp_path, **{f"news__{language}": text for language, text in columns(PAIRS).items()})
    assert sorted(map(str, chain(*parts(read_aligned(folder, None, None, 0))))) == sorted(map(str, PAIRS))
    turned = list(chain(*parts(read_aligned(folder, "de", None, 0))))
    assert sorted(map(str, turned)) == sorted(str(Pair(pair.target, pair.source)) for pair in PAIRS)


def test_only_newlines_end_a_line_and_empty_sides_are_left_out(tmp_path: Path) -> None:
    source, target = "a\u2028b\r\n\nc\x0bd\n" + "x\n" * 20, "A\n\nC\n" + "\n" * 5 + "X\n" * 15
    folder = write(tmp_path, train__en=source, train__fr=target, val__en="v", val__fr="V", test__en="t", test__fr="T")
    train, *_ = parts(read_aligned(folder, None, None, 0))
    assert train == [Pair("a\u2028b", "A"), Pair("c\x0bd", "C"), *[Pair("x", "X")] * 15]


@given(st.lists(st.integers(0, 9), min_size=10, max_size=60).filter(lambda it: len(set(it)) > 2), st.integers(0, 99))
def test_a_sentence_with_its_translations_is_in_one_split(sources: list[int], seed: int) -> None:
    pairs = [Pair(str(source), str(number)) for number, source in enumerate(sources)]
    found = parts(split_pairs(pairs, seed))
    assert sorted(map(str, chain(*found))) == sorted(map(str, pairs))
    sets = [{pair.source for pair in each} for each in found]
    assert all(sets)
    assert sum(map(len, sets)) == len(set(sources))
    assert found == parts(split_pairs(pairs, seed))


@pytest.mark.parametrize(
    ("files", "settings", "text"),
    [
        ({"train__en": "a\nb\n", "train__de": "a\n"}, {}, r"train.en has 2 lines and .*train.de has 1: line N of one"),
        ({"a__tsv": "x\ty\nz\n"}, {}, r"a.tsv, line 2: has 1 columns, and column 2 is wanted: put a tab"),
        ({"a__tsv": "x\ty\n"}, {}, r"1 pairs of train are too few to cut from: give 10 at least"),
        ({"a__tsv": "x\t\n"}, {}, r"no pair for train has text on both sides"),
        (
            {"a__tsv": "en\tde\nx\ty\n"},
            {"sourceColumn": "fr", "targetColumn": "de"},
            r"a.tsv: has no column fr, only 'en', 'de': name one by task.settings.sourceColumn",
        ),
        ({"a__tsv": "x\ty\n"}, {"sourceColumn": "1"}, r"task.settings.targetColumn is absent: name both"),
        (
            {"train__en": "a\n", "train__de": "a\n", "train__fr": "a\n"},
            {},
            r"the files' endings are de, en, fr: name two by task.settings.sourceColumn and targetColumn",
        ),
        (
            {"train__en": "a\n", "train__de": "a\n"},
            {"targetColumn": "fr"},
            r"task.settings.targetColumn is 'fr': the files' endings are de, en",
        ),
        ({"one__tsv": "x\ty\n", "two__tsv": "x\ty\n"}, {}, r"has one\.tsv, two\.tsv: name them train, valid"),
        (
            {"train__tsv": "x\ty\n", "test_1__tsv": "x\ty\n", "test_2__tsv": "x\ty\n"},
            {},
            r"test_1\.tsv and test_2\.tsv are both for test: leave one",
        ),
        ({"letter__doc": "x"}, {}, r"looks like none of tsv, aligned"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, str], settings: dict[str, str], text: str) -> None:
    folder = write(tmp_path, **files)
    with pytest.raises(InvalidDatasetError, match=text):
        task(folder, **settings)


def test_what_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(b"caf\xe9\tcoffee\n")
    with pytest.raises(InvalidDatasetError, match=r"a\.tsv, line \d: is not UTF-8 .*: convert it"):
        task(tmp_path)


def test_vocabularies_are_those_of_the_training_pairs() -> None:
    texts = ParallelTexts(PAIRS, [Pair("zzzz zzzz", "qqqq qqqq")] * 50, [Pair("wwww", "vvvv")] * 50)
    data = translation_data(texts, TranslationSettings(vocabulary=400))
    assert {"ĠONE", "ĠSIX"} <= set(data.target_tokenizer.get_vocab())
    assert not [token for token in data.target_tokenizer.get_vocab() if "qq" in token or "vv" in token]


@examples(25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=1, max_size=5))
def test_batches_hold_each_target_and_what_is_before_each_of_its_tokens(texts: list[str]) -> None:
    pairs = [Pair("x" * (number + 1), text) for number, text in enumerate(texts)]
    data = translation_data(ParallelTexts(pairs, pairs, pairs), TranslationSettings(vocabulary=300))
    batch = data.test[range(len(pairs))]
    [target], (source, before) = batch.targets, batch.inputs
    assert data.target_tokenizer.decode_batch(target.tolist()) == texts == list(data.test.references)
    end = data.target_vocabulary - 1
    assert (before[:, 0] == end).all()
    assert ((before != PADDING) == (target != PADDING)).all()
    inside = before[:, 1:] != PADDING
    assert torch.equal(before[:, 1:][inside], target[:, :-1][inside])
    assert (target[target != PADDING].reshape(-1) < data.target_vocabulary).all()
    assert (source.amax(1) == data.source_vocabulary - 1).all()


class Oracle(nn.Module):
    """Knows the translation of each source; `wrong` says which token it gives instead."""

    def __init__(self, task: Translation, wrong: Callable[[Tensor], Tensor] = lambda target: target) -> None:
        super().__init__()
        batch = task.data.test[range(len(task.data.test))]
        self.sources, self.targets = batch.inputs[0], wrong(batch.targets[0])
        self.vocabulary = task.data.target_vocabulary

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        rows = [int((self.sources[:, : source.shape[1]] == each).all(1).nonzero()[0]) for each in source]
        wanted = self.targets[rows]
        short = max(0, target.shape[1] - wanted.shape[1])
        wanted = nn.functional.pad(wanted, (0, short), value=5)[:, : target.shape[1]]
        return 50.0 * nn.functional.one_hot(wanted, self.vocabulary)


def test_a_perfect_translator_has_the_highest_scores_and_one_without_an_end_ends(tmp_path: Path) -> None:
    reversible = task(write(tmp_path, all__tsv=rows(PAIRS)))
    test = reversible.data.test
    assert reversible.evaluate(Oracle(reversible), test) == pytest.approx({"bleu": 100, "chrf": 100, "loss": 0})
    end = reversible.data.train.end
    metrics = reversible.evaluate(Oracle(reversible, lambda target: target.masked_fill(target == end, 5)), test)
    assert 0 < metrics["chrf"] < 100
    assert metrics["loss"] > 1


def test_the_made_up_language_is_the_same_always_and_can_be_turned_back() -> None:
    pairs = reversible_pairs(2000)
    assert pairs == reversible_pairs(2000)
    assert pairs[2] == Pair("the dragons praised every captain.", "sezubot vesul tubodesh bupogim vukob.")
    assert len({pair.source for pair in pairs}) == len({pair.target for pair in pairs}) == 2000
    english = {made: word for word, made in WORDS.items()}
    assert len(english) == len(WORDS)
    for pair in pairs:
        # The made-up words begin with five letters of their own, so their English is known without their endings.
        stems = [english[word[:5]] for word in pair.target.rstrip(".").split()]
        for word in pair.source.rstrip(".").replace("will ", "").split():
            assert any(word.startswith(stem) for stem in stems), pair


def trained(learned: Translation, epochs: int, seed: int) -> tuple[nn.Module, Curve]:
    """The default architecture with one layer a side."""
    small = {name: value for name, value in SEQ2SEQ.default.items() if not name.endswith((".1", ".2"))}
    small |= {name: value for name, value in SEQ2SEQ.default.items() if name.startswith("encoder_")}
    candidate = Candidate("0", seq2seq().parse(small | {"decoder_depth": 1}), epochs, resume_from=None)
    curve = Curve()
    return train(learned, SearchSpace(preset="seq2seq"), candidate, seed, curve), curve


def test_a_seed_repeats_a_training_that_learns(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    folder = write(tmp_path, all__tsv=rows(PAIRS * 4))
    curves = (trained(task(folder, network={"width": 1 / 16}, batchSize=16), 4, 1)[1] for _ in range(2))
    first, again = (curve.values("bleu", "chrf", "loss") for curve in curves)
    assert first == again
    assert first[3]["loss"] < 0.8 * first[0]["loss"]


def test_what_was_exported_translates_too(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    folder = write(tmp_path, all__tsv=rows(PAIRS * 4))
    measured = task(folder, network={"width": 1 / 8}, batchSize=16, measure=["int8"])
    network = trained(measured, 30, 0)[0].eval()
    with torch.inference_mode():
        wanted = measured.evaluate(network, measured.data.test)
        export_onnx(network, measured.example(2), tmp_path / "network.onnx")
        [source, _] = measured.data.test[range(3)].inputs
        translators = network, OnnxNetwork(tmp_path / "network.onnx", threads=1)
        length = measured.settings.length
        translations = [translate(each, source, measured.data.target_tokenizer, length) for each in translators]
    assert translations[0] == translations[1]
    assert wanted["bleu"] > 50
    assert len(set(translations[0])) > 1
    found = after_training(measured, network)
    assert set(found) == {f"{prefix}int8_{name}" for prefix in ("", "test_") for name in wanted} | {"int8_size_mb"}
    assert found["test_int8_loss"] == pytest.approx(wanted["loss"], rel=0.02)

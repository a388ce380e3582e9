"""Texts, questions and graphs laid out as in well-known data sets, with their quirks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.labelled_text import read_labelled
from kubenas_trial.datasets.tables import Table
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.load import load_task
from tests.trial.published import image, load, sizes, write


def lines(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [
        (f"film {number} is {('dull', 'fine')[number % 2]}", str(number % 2)) for number in range(start, start + count)
    ]


def table(rows: Iterable[Iterable[str]], separator: str = "\t") -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def test_a_published_test_table_without_labels_is_left_out(tmp_path: Path) -> None:
    tested = table([("index", "sentence"), *((str(place), text) for place, (text, _) in enumerate(lines(9, 100)))])
    head = ("sentence", "label")
    write(tmp_path, train__tsv=table([head, *lines(40)]), dev__tsv=table([head, *lines(8, 50)]), test__tsv=tested)
    assert sizes(load("text-classification", tmp_path)) == [32, 8, 8]


@pytest.mark.parametrize(
    "test", [[("index", "sentence"), ("0", "so so")], [("x", "-1", "", "so"), ("x", "-1", "", "la")]]
)
def test_tests_without_labels_are_told_by_places_and_by_minus_one(tmp_path: Path, test: list[Iterable[str]]) -> None:
    train = [("gj04", label, "", text) for text, label in lines(40)]
    write(tmp_path, train__tsv=table(train), test__tsv=table(test))
    assert sizes(load("text-classification", tmp_path, textColumn=4, labelColumn=2)) == [24, 8, 8]


@pytest.mark.parametrize("label", [None, ""])
def test_json_lines_of_a_test_may_have_no_labels(tmp_path: Path, label: str | None) -> None:
    train = "".join(json.dumps({"text": text, "label": known}) + "\n" for text, known in lines(40))
    write(tmp_path, train__jsonl=train, test__jsonl=json.dumps({"text": "so so", "label": label}) + "\n")
    assert sizes(load("text-classification", tmp_path)) == [24, 8, 8]


def test_commas_in_texts_do_not_hide_another_separator(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__csv="".join(f"{label};{text}{', well' * (place % 3)}\n" for place, (text, label) in enumerate(lines(40, 1))),
    )
    data = load("text-classification", tmp_path, textColumn=2, labelColumn=1)
    assert (sizes(data), data.classes) == ([24, 8, 8], ("0", "1"))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_may_have_other_separators_and_long_texts(tmp_path: Path, separator: str) -> None:
    rows = [("text", "label"), *((f'"{text}, {"so " * 50_000}"', label) for text, label in lines(8))]
    write(tmp_path, a__csv="\ufeff" + table(rows, separator))
    assert sum(sizes(load("text-classification", tmp_path))) == 8


def test_files_are_told_by_words_in_their_names(tmp_path: Path) -> None:
    head = ("text", "label")
    write(
        tmp_path,
        twitter_training__csv=table([head, *lines(40)], ","),
        twitter_validation__csv=table([head, *lines(8)], ","),
    )
    (tmp_path / "._twitter_training.csv").write_bytes(b"\0")
    assert sizes(load("text-classification", tmp_path)) == [32, 8, 8]


def test_news_are_read_with_and_without_a_header(tmp_path: Path) -> None:
    rows = [(str(1 + place % 4), "title", text) for place, (text, _) in enumerate(lines(40))]
    write(tmp_path, train__csv=table([("Class Index", "Title", "Description"), *rows], ","))
    expected = load("text-classification", tmp_path)
    assert expected.classes == ("1", "2", "3", "4")
    write(tmp_path, train__csv=table(rows, ","))
    found = load("text-classification", tmp_path, textColumn=3, labelColumn=1)
    assert torch.equal(found.train.texts.tokens, expected.train.texts.tokens)


def test_a_tsv_may_quote_tabs_and_ends_of_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__tsv='text\tlabel\n"one\ntwo ""three"""\t1\n"four\tfive"\t1\nsix "seven"\t0\n',
        b__tsv='text\tlabel\n"one\t1\n"two\t0\n',
    )
    assert [row.text for row in Table(tmp_path / "a.tsv", "tsv")] == ['one\ntwo "three"', "four\tfive", 'six "seven"']
    assert [row.text for row in Table(tmp_path / "b.tsv", "tsv")] == ['"one', '"two']


def test_a_stray_quote_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, a__csv='text,label\nfine,1\n"so" so,0\n')
    with pytest.raises(InvalidDatasetError, match=r"a\.csv: cannot be read: .* in line 3: put quotes around"):
        load("text-classification", tmp_path)


def test_copies_of_a_text_are_in_one_part(tmp_path: Path) -> None:
    write(tmp_path, a__tsv=table([("text", "label"), *lines(40), *lines(20)]))
    found = read_labelled(tmp_path, "tsv", None, None, 0)
    texts = [{row.text for row in part} for part in (found.train, found.validation, found.test)]
    assert sum(map(len, texts)) == 40


ENGLISH = "".join(f"Go to house {number} .\n" for number in range(40))
GERMAN = "".join(f"Geh zu Haus {number} .\n" for number in range(40))
TATOEBA = "".join(f"Go {number} .\tGeh {number} .\tCC-BY 2.0 (France)\n" for number in range(40))


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        ({"en__txt": ENGLISH, "de__txt": GERMAN}, {}),
        ({"source__txt": ENGLISH, "target__txt": GERMAN}, {}),
        ({"train__en__txt": ENGLISH, "train__de__txt": GERMAN, "README__txt": "x"}, {}),
        (
            {"a__de-en__en": ENGLISH, "a__de-en__de": GERMAN, "a__de-en__ids": GERMAN},
            {"sourceColumn": "en", "targetColumn": "de"},
        ),
        ({"a__de-en__en": ENGLISH, "a__de-en__de": GERMAN, "a__de-en__ids": GERMAN, "a__de-en__xml": "x"}, {}),
        ({"deu__txt": TATOEBA, "_about__txt": "x"}, {}),
    ],
)
def test_pairs_are_read_as_published(tmp_path: Path, files: dict[str, str], settings: dict[str, str]) -> None:
    data = load("translation", write(tmp_path, **files), **settings)
    assert sizes(data) == [32, 4, 4]
    assert data.test.references[0].startswith("Geh ")


def test_numbers_of_sentences_are_not_translated(tmp_path: Path) -> None:
    write(tmp_path, pairs__tsv="".join(f"{number}\tGo {number} .\t9{number}\tGeh {number} .\n" for number in range(40)))
    with pytest.raises(
        InvalidDatasetError, match=r"first of 4 columns is a number: give the numbers .* such as 2 and 4"
    ):
        load("translation", tmp_path)
    assert load("translation", tmp_path, sourceColumn=2, targetColumn=4).test.references[0].startswith("Geh ")
    rows = "".join(f"{number}\tGo {number} .\tGeh {number} .\n" for number in range(40))
    write(tmp_path, pairs__tsv=rows)
    with pytest.raises(InvalidDatasetError, match=r"first of 3 columns is a number: .* such as 2 and 3"):
        load("translation", tmp_path)
    for head in ("id\tenglish\tgerman", "score\tsource\ttarget"):
        write(tmp_path, pairs__tsv=f"{head}\n{rows}")
        found = load("translation", tmp_path)
        assert (sizes(found), found.test.references[0][:4]) == ([32, 4, 4], "Geh ")


def test_scores_of_sentences_are_not_translated(tmp_path: Path) -> None:
    write(tmp_path, mined__tsv="".join(f"1.0{number}\tGo {number} .\tGeh {number} .\n" for number in range(40)))
    with pytest.raises(InvalidDatasetError, match=r"first of 3 columns is a number: .* such as 2 and 3"):
        load("translation", tmp_path)


def test_places_of_columns_do_not_make_a_header_an_example(tmp_path: Path) -> None:
    rows = [(label, "a title", text) for text, label in lines(40)]
    write(tmp_path, train__csv=table([("Class Index", "Title", "Description"), *rows], ","))
    data = load("text-classification", tmp_path, textColumn=3, labelColumn=1)
    assert (sizes(data), data.classes) == ([24, 8, 8], ("0", "1"))


def test_the_penn_treebanks_characters_are_not_read_beside_its_words(tmp_path: Path) -> None:
    for part, text in (("train", ENGLISH * 40), ("valid", ENGLISH), ("test", ENGLISH)):
        write(tmp_path, **{f"ptb__{part}__txt": text, f"ptb__char__{part}__txt": text * 9})
    data = load("language-model", tmp_path)
    assert [part.characters for part in (data.train, data.test)] == [len(ENGLISH * 40), len(ENGLISH)]


def test_titles_do_not_make_parts(tmp_path: Path) -> None:
    write(tmp_path, the_blue_train__txt=ENGLISH * 9, emma__txt=ENGLISH * 40)
    assert load("language-model", tmp_path).train.characters > len(ENGLISH * 30)


def test_a_part_without_its_translation_is_named(tmp_path: Path) -> None:
    write(tmp_path, train__en=ENGLISH, train__de=GERMAN, Val__en=ENGLISH)
    with pytest.raises(InvalidDatasetError, match=r"Val\.en: its translation is missing"):
        load("translation", tmp_path)


def test_a_text_may_have_no_suffix_and_a_readme_is_none(tmp_path: Path) -> None:
    write(tmp_path, text8=" anarchism originated as a term of abuse" * 2000, a__txt=ENGLISH * 40)
    assert load("language-model", tmp_path / "text8").train.characters == 65_536
    alone = load("language-model", tmp_path).train.characters
    write(tmp_path, README__txt=GERMAN)
    assert load("language-model", tmp_path).train.characters == alone


def test_a_text_of_empty_lines_is_named(tmp_path: Path) -> None:
    write(tmp_path, corpus__txt="\n" * 100, probe__tsv=table([("text", "label"), *lines(40)]))
    with pytest.raises(InvalidDatasetError, match="all lines of the text of train are empty"):
        load("text-representation", tmp_path)


ANSWERS: list[Callable[[str], dict[str, Any]]] = [
    lambda answer: {"answer": [answer]},
    lambda answer: {"answers": ["other", answer, answer]},
    lambda answer: {"answers": [{"answer": answer, "answer_id": number} for number in range(3)]},
    lambda answer: {"multiple_choice_answer": answer, "answers": []},
]


@pytest.mark.parametrize("answers", ANSWERS)
@pytest.mark.parametrize("field", ["image", "image_id", "image_filename"])
def test_published_questions_are_read(tmp_path: Path, field: str, answers: Callable[[str], dict[str, Any]]) -> None:
    documents = []
    for number in range(20):
        image(tmp_path / "images" / f"{number}.JPG", number)
        documents.append({field: number, "question": "Is it odd?", **answers(("no", "yes")[number % 2])})
    write(tmp_path, questions__jsonl="".join(json.dumps(document) + "\n" for document in documents))
    data = load("visual-question-answering", tmp_path, imageSize=8)
    assert (sizes(data), data.classes) == ([16, 2, 2], ("no", "yes"))


@pytest.mark.parametrize(
    ("images", "questions"), [("{}", "{}.jsonl"), ("images/{}", "{}.jsonl"), ("{}", "{}/metadata.jsonl")]
)
def test_questions_of_parts_find_their_images(tmp_path: Path, images: str, questions: str) -> None:
    for part, count in (("train", 9), ("val", 4), ("test", 3)):
        rows = [{"file_name": f"{n}.png", "question": "Odd?", "answer": ("no", "yes")[n % 2]} for n in range(count)]
        for number in range(count):
            image(tmp_path / images.format(part) / f"{number}.png", number)
        (tmp_path / questions.format(part)).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sizes(load("visual-question-answering", tmp_path, imageSize=8)) == [9, 4, 3]
    test = tmp_path / questions.format("test")
    for reply in ('"reply": "no"', '"answer": null'):
        test.write_text(re.sub(r'"(answer|reply)": \S+"', reply, test.read_text()))
        assert sizes(load("visual-question-answering", tmp_path, imageSize=8)) == [8, 4, 1]
    test.write_text(json.dumps({"image": "a" * 5000, "question": "Odd?", "answer": "no"}))
    with pytest.raises(InvalidDatasetError, match=r"line 1: image 'a+ is in none of"):
        load("visual-question-answering", tmp_path)


def test_what_a_stored_graph_asks_for_is_named(tmp_path: Path) -> None:
    torch.save({"x": Path("a")}, tmp_path / "graph.pt")
    with pytest.raises(InvalidDatasetError, match=r"torch-geometric's data: (Unsupported|Trying to load).*pathlib"):
        load("node-classification", tmp_path)


def test_graphs_are_found_where_torch_geometric_puts_them(tmp_path: Path) -> None:
    graph = {"x": torch.eye(30), "edge_index": torch.arange(30).reshape(2, 15), "y": torch.arange(30) % 3}
    for name in ("Photo", "Computers"):
        (tmp_path / name / "processed").mkdir(parents=True)
        torch.save((graph, None, dict), tmp_path / name / "processed" / "data.pt")
        if name == "Photo":
            assert load("node-classification", tmp_path).classes == ("0", "1", "2")
    with pytest.raises(InvalidDatasetError, match=r"has Computers/processed/data\.pt and Photo.*: name one"):
        load("node-classification", tmp_path)


@pytest.mark.parametrize(("task", "form"), [("translation", "aligned"), ("keyword-spotting", "word-folders")])
def test_a_file_is_no_folder(tmp_path: Path, task: str, form: str) -> None:
    spec = TaskSpec(name=task, dataset=Dataset(path=str(write(tmp_path, a__txt="x") / "a.txt"), format=form))
    with pytest.raises(InvalidDatasetError, match=r"a\.txt (is no folder|has 0 folders)"):
        load_task(spec, None, torch.device("cpu"))

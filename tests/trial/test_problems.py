"""`kubenas-trial datasets --check` tells all that is wrong with a data set, by kinds, with as many as one can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kubenas_trial.cli.main import app
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.errors import InvalidDatasetError
from tests.trial.published import boxes, image, load, scenes


def coco(root: Path) -> None:
    for number in range(10):
        image(root / f"{number}.png")
    (root / "9.png").write_bytes(b"no image")
    wrong = [(number, 1, [0, 0, 90, 9]) for number in range(5)] + [(1, 7, [0, 0, 9, 9]), (2, 1, [5, 5, -1, 1])]
    whole = [(number, 1, [0, 0, 24, 20]) for number in range(10)]
    document = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in (*range(10), 77)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": at, "category_id": kind, "bbox": box} for at, kind, box in wrong + whole],
    }
    (root / "all.json").write_text(json.dumps(document))


def voc(root: Path) -> None:
    boxes(root, 10)
    for number in range(2):
        (root / f"{number}.xml").write_text("<annotation>")
    file = root / "2.xml"
    file.write_text(file.read_text().replace("<xmax>12.5</xmax>", "<xmax>99</xmax>"))


def masks(root: Path) -> None:
    scenes(root, "images/{}.png", "masks/{}.png")
    for name in ("a", "b"):
        image(root / "images" / f"{name}.png")
    image(root / "masks" / "c.png")


def pictures(root: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(6):
            image(root / label / f"{number}.png")
    for label in ("cat", "dog"):
        file = root / label / "5.png"
        file.write_bytes(file.read_bytes()[:200])


def sounds(root: Path) -> None:
    for label in ("high", "low"):
        (root / label).mkdir()
        for number in range(6):
            soundfile.write(root / label / f"{number}.wav", np.zeros(800 * min(number, 1)), 16_000)
        (root / label / "9.wav").write_bytes(b"no sound")


def questions(root: Path) -> None:
    image(root / "images" / "a.png")
    lines = [json.dumps({"image": name, "question": "What?", "answer": "this"}) for name in "abab"]
    (root / "train.jsonl").write_text("\n".join([*lines, "{", "[]", '{"image": "a"}']))


def table(root: Path) -> None:
    (root / "train.csv").write_text("text,label\n" + "good,\n" * 2 + "fine,good\nnot,bad\n" * 5 + "so,so,so\n" * 4)


def empty_classes(root: Path) -> None:
    image(root / "cat" / "a.png")
    for number in range(5):
        (root / f"empty{number}").mkdir()


def pairs(root: Path) -> None:
    (root / "train.tsv").write_text("one\teins\n" * 20 + "two\nthree\n")


@pytest.mark.parametrize(
    ("task", "make", "kinds"),
    [
        (
            "object-detection",
            coco,
            {
                "missing image": 1,
                "box beyond the image": 5,
                "category_id of no category": 1,
                "box without area": 1,
                "image that cannot be read": 1,
            },
        ),
        ("object-detection", voc, {"annotation that cannot be read": 2, "box beyond the image": 2}),
        ("semantic-segmentation", masks, {"missing mask": 2, "mask without image": 1}),
        ("image-classification", pictures, {"image that cannot be read": 2}),
        ("keyword-spotting", sounds, {"sound without samples": 2, "sound that cannot be read": 2}),
        (
            "visual-question-answering",
            questions,
            {"missing image": 2, "line that is no JSON object": 2, "missing field": 1},
        ),
        ("image-classification", empty_classes, {"class without images": 5}),
        ("translation", pairs, {"line of too few columns": 2}),
        ("text-classification", table, {"empty label": 2, "line of other columns": 4}),
    ],
)
def test_all_problems_are_told_by_kind_and_number(
    tmp_path: Path, task: str, make: Callable[[Path], None], kinds: dict[str, int]
) -> None:
    make(tmp_path)
    with pytest.raises(InvalidDatasetError) as refused:
        load(task, tmp_path)
    assert {each.kind: each.count for each in refused.value.problems} == kinds
    total = sum(kinds.values())
    assert f"(and {total - 1} more problems, see `kubenas-trial datasets --check`)" in str(refused.value)
    result = CliRunner().invoke(app, ["datasets", "--check", str(tmp_path), "--task", task])
    assert result.exit_code == 65
    lines = result.stdout.splitlines()
    assert any(line.startswith(f"  problems    {total}, of {len(kinds)} kind") for line in lines)
    for kind, count in kinds.items():
        begin = lines.index(f"    {kind}: {count}") + 1
        assert all(str(tmp_path) in line for line in lines[begin : begin + min(count, 3)])
        assert (f"      … and {count - 3} more" in lines[begin + 3 : begin + 4]) == (count > 3)


def test_a_single_problem_is_one_line(tmp_path: Path) -> None:
    boxes(tmp_path, 10)
    (tmp_path / "3.xml").write_text("<annotation>")
    result = CliRunner().invoke(app, ["datasets", "--check", str(tmp_path), "--task", "object-detection"])
    assert result.exit_code == 65
    [told] = result.stdout.splitlines()[1:]
    assert told.startswith(f"  problem     {tmp_path / '3.xml'} cannot be read as XML")
    assert "more problems" not in told


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=9), max_size=9))
def test_problems_are_all_counted_and_few_are_kept(files: list[list[str]]) -> None:
    every = Problems()
    for number, kinds in enumerate(files):
        some = Problems()
        for kind in kinds:
            some.add(InvalidDatasetError(f"{number}: {kind}", kind))
        with every.noted():
            some.refuse()
    if not files:
        every.refuse()
        return
    with pytest.raises(InvalidDatasetError) as refused:
        every.refuse()
    written = [(kind, f"{number}: {kind}") for number, kinds in enumerate(files) for kind in kinds]
    for each in refused.value.problems:
        messages = [message for kind, message in written if kind == each.kind]
        assert each.count == len(messages)
        assert list(each.shown) == messages[:3]
    assert str(refused.value).startswith(written[0][1])

"""Questions about images: the files that are read, the splits, the tensors, a training that learns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.presets.image_text import image_text
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.questions import Question, Questions, easy_vqa, read_questions
from kubenas_trial.datasets.vqa_data import OTHER, PADDING, UNKNOWN, VQASettings, shifted, split_words, vqa_data
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.evaluation.train import train
from kubenas_trial.networks.image_text import IMAGE_TEXT
from kubenas_trial.tasks.load import load_task
from kubenas_trial.tasks.visual_question_answering import VisualQuestionAnswering
from tests.trial.training import Curve

CPU = torch.device("cpu")
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220)}


def paint(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colour = COLOURS["red" if number % 2 else "blue"]
        Image.new("RGB", (20 + number, 16), colour).save(folder / f"{number}.png")


def lines(images: Sequence[int], **fields: str) -> list[dict[str, Any]]:
    """Three questions about each image."""
    return [
        {"image": f"{number}.png", "question": question, "answer": answer, **fields}
        for number in images
        for question, answer in (
            ("What colour is it?", "red" if number % 2 else "blue"),
            ("Is it red?", "yes" if number % 2 else "no"),
            ("Is it blue?", "no" if number % 2 else "yes"),
        )
    ]


def write(path: Path, documents: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    return path


def images_of(questions: Questions) -> list[set[str]]:
    return [{each.image.stem for each in part} for part in (questions.train, questions.validation, questions.test)]


def load(path: Path, **settings: Any) -> VisualQuestionAnswering:
    spec = TaskSpec(
        name="visual-question-answering", dataset=Dataset(path=str(path)), settings={"imageSize": 16, **settings}
    )
    task = load_task(spec, None, CPU)
    assert isinstance(task, VisualQuestionAnswering)
    return task


@pytest.fixture(scope="module")
def shapes() -> Questions:
    return easy_vqa(0)


def test_easy_vqa_keeps_its_test_split_and_cuts_validation_by_image(shapes: Questions) -> None:
    assert [len(each) for each in images_of(shapes)] == [3556, 444, 1000]
    assert len(shapes.train) + len(shapes.validation) == 38_575
    assert len(shapes.test) == 9_673
    assert not {each.image for each in shapes.train} & {each.image for each in shapes.validation}
    assert {each.image.parents[1].name for each in shapes.test} == {"test"}
    assert all(path.is_file() for path in {each.image for part in (shapes.validation, shapes.test) for each in part})
    assert easy_vqa(0) == shapes != easy_vqa(1)


def test_easy_vqa_has_its_13_answers_and_few_words(shapes: Questions) -> None:
    few = Questions(shapes.train[:3000], shapes.validation[:50], shapes.test[:50])
    data = vqa_data(few, VQASettings())
    assert len(data.classes) == 13
    assert {"yes", "no", "circle", "teal"} < set(data.classes)
    assert data.vocabulary == 2 + len({word for each in few.train for word in split_words(each.text)})
    images, words = data.train[range(100)].inputs
    assert images.shape == (100, 3, 64, 64)
    assert words.shape[1] <= data.length <= 12


def test_files_say_the_split(tmp_path: Path) -> None:
    paint(tmp_path / "images", 12)
    for name, images in (("train", range(8)), ("val", range(8, 10)), ("questions_test", range(10, 12))):
        write(tmp_path / f"{name}.jsonl", lines(images))
    assert images_of(read_questions(tmp_path, 0)) == [set(map(str, range(8))), {"8", "9"}, {"10", "11"}]


def test_a_field_says_the_split(tmp_path: Path) -> None:
    paint(tmp_path, 12)
    documents = lines(range(10), split="train") + lines(range(10, 11), split="Val") + lines(range(11, 12), split="test")
    path = write(tmp_path / "questions.jsonl", documents)
    for place in (tmp_path, path):
        assert images_of(read_questions(place, 0)) == [set(map(str, range(10))), {"10"}, {"11"}]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_split_is_cut_by_image(tmp_path: Path, seed: int) -> None:
    paint(tmp_path, 20)
    write(
        tmp_path / "questions.jsonl",
        [{**line, "image": line["image"].removesuffix(".png")} for line in lines(range(20))],
    )
    found = images_of(read_questions(tmp_path, seed))
    assert [len(each) for each in found] == [16, 2, 2]
    assert len(set.union(*found)) == 20


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"image": "0.png", "question": "q"}, r"line 2: has no field answer, only image, question"),
        (
            {"image": "x.png", "question": "q", "answer": "a"},
            r"line 2: image 'x.png' is in none of .*: add it, or take the line out",
        ),
        ({"image": "0.png", "question": " ", "answer": "a"}, r"line 2: question is empty: fill it in"),
        ({"image": "0.png", "question": "q", "answer": []}, r"line 2: answer is \[\]: give a string or a number"),
        (
            {"image": "0.png", "question": "q", "answer": "a", "split": "b"},
            r"question 2: split is 'b': choose of train",
        ),
        ([], r"line 2: is no JSON object with image, question and answer"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, text: str) -> None:
    paint(tmp_path, 1)
    write(tmp_path / "questions.jsonl", [*lines([0])[:1], line])
    with pytest.raises(InvalidDatasetError, match=f"questions.jsonl, {text}"):
        load(tmp_path)


def test_a_broken_line_image_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match="looks like none of jsonl"):
        load(tmp_path)
    (tmp_path / "questions.jsonl").write_text("{}}")
    with pytest.raises(InvalidDatasetError, match=r"questions\.jsonl, line 1: is no JSON"):
        load(tmp_path)
    paint(tmp_path, 2)
    write(tmp_path / "questions.jsonl", lines(range(2)))
    with pytest.raises(InvalidDatasetError, match="the questions of train are about too few images to cut train from"):
        load(tmp_path)
    paint(tmp_path, 10)
    write(tmp_path / "questions.jsonl", lines(range(10)))
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidDatasetError, match=r"3\.png cannot be read as an image .*: replace it"):
        load(tmp_path)
    write(tmp_path / "other.jsonl", lines(range(10)))
    with pytest.raises(InvalidDatasetError, match=r"has other\.jsonl, questions\.jsonl: name them train, validation"):
        load(tmp_path)


def test_one_answer_is_nothing_to_learn(tmp_path: Path) -> None:
    paint(tmp_path, 10)
    write(tmp_path / "questions.jsonl", lines(range(10))[:1] * 5 + lines(range(2, 10, 2))[::3])
    with pytest.raises(InvalidDatasetError, match="all training questions have the answer 'blue': two are needed"):
        load(tmp_path)


def test_words_and_answers_are_those_of_training(tmp_path: Path) -> None:
    paint(tmp_path, 3)
    write(tmp_path / "train.jsonl", [*lines([0]), {"image": 0, "question": "Is it RED?", "answer": " NO "}])
    write(tmp_path / "dev.jsonl", [{"image": 1, "question": "Is it warm?", "answer": "maybe"}])
    write(tmp_path / "test.jsonl", [{"image": 2, "question": "it", "answer": "no"}])
    task = load(tmp_path, augmentation=False)
    assert task.data.classes == ("blue", "no", "yes")
    [answers] = task.data.validation[[0]].targets
    _, words = task.data.validation[[0]].inputs
    assert answers.tolist() == [OTHER]
    assert words[0, 2] == UNKNOWN
    assert PADDING not in words
    always_no = Constant(torch.tensor([0.0, 1.0, 0.0]))
    assert task.evaluate(always_no, task.data.validation) == {"accuracy": 0, "loss": 0}
    assert task.evaluate(always_no, task.data.test)["accuracy"] == 1


class Constant(nn.Module):
    """Gives the same logits always."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor, _words: Tensor) -> Tensor:
        return self.logits.expand(len(images), -1)


def test_rare_answers_are_left_out_of_training_and_wrong_in_test(tmp_path: Path) -> None:
    paint(tmp_path, 1)
    shown = [Question(tmp_path / "0.png", "q", answer) for answer in "aaabbcd"]
    data = vqa_data(Questions(shown, shown, shown), VQASettings(answers=2))
    assert data.classes == ("a", "b")
    assert data.train.answers.tolist() == [0, 0, 0, 1, 1]
    assert data.test.answers.tolist() == [0, 0, 0, 1, 1, OTHER, OTHER]


def test_what_is_too_much_for_memory_is_read_as_it_is_needed(tmp_path: Path) -> None:
    paint(tmp_path, 10)
    write(tmp_path / "questions.jsonl", lines(range(10)))
    kept, lazy = load(tmp_path, imageSize=256), load(tmp_path, imageSize=256, memoryLimitMb=1)
    indices = [3, 0, 3, 17]
    for batch in (kept.data.train[indices], lazy.data.train[indices]):
        assert batch.inputs[0].shape == (4, 3, 256, 256)
    torch.testing.assert_close(kept.data.test[[1]].inputs, lazy.data.test[[1]].inputs)
    (tmp_path / "3.png").write_bytes(b"")
    everything = torch.arange(10)
    with pytest.raises(InvalidDatasetError, match=r"3\.png cannot be read"):
        lazy.data.train.pictures[everything]
    assert kept.data.train.pictures[everything].shape == (10, 3, 256, 256)


@given(st.integers(1, 3), st.integers(0, 2**31))
def test_shifted_images_are_moved_and_their_border_is_repeated(shift: int, seed: int) -> None:
    torch.manual_seed(seed)
    images = torch.randint(0, 256, (4, 3, 8, 6), dtype=torch.uint8)
    padded = nn.functional.pad(images.float(), (shift,) * 4, mode="replicate")
    for image, moved in zip(padded, shifted(images, shift), strict=True):
        assert any(
            torch.equal(image[:, top : top + 8, left : left + 6], moved.float())
            for top in range(2 * shift + 1)
            for left in range(2 * shift + 1)
        )


def test_a_seed_repeats_a_training_that_learns(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    paint(tmp_path, 40)
    write(tmp_path / "questions.jsonl", lines(range(40)))
    candidate = Candidate("0", image_text().parse(dict(IMAGE_TEXT.default)), epochs=12, resume_from=None)
    curves = []
    for _ in range(2):
        curve = Curve()
        task = load(tmp_path, batchSize=16, learningRate=0.003)
        train(task, SearchSpace(preset="image-text"), candidate, 1, curve)
        curves.append(curve.values("accuracy", "loss"))
    assert curves[0] == curves[1]
    assert curves[0][-1]["test_accuracy"] == 1

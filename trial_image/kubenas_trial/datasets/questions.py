"""Questions about images: from JSON lines beside the images, or of the package easy-vqa."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from kubenas_trial.datasets.data import SPLIT_NAMES, grouped
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import by_part, files_in, part_folders
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
_LINES: Final = (".jsonl", ".ndjson")
_SUFFIXES: Final = ("", *(end for suffix in (".png", ".jpg", ".jpeg", ".webp") for end in (suffix, suffix.upper())))
# What published questions call their fields; the first that a line has.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("image", "image_id", "image_filename", "image_path", "file_name"),
    "question": ("question",),
    "answer": ("answer", "multiple_choice_answer", "answers"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question, the file of its image, and the answer."""

    image: Path
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of each split; none of validation or test, where cut by seed, is about an image of another."""

    train: Sequence[Question]
    validation: Sequence[Question]
    test: Sequence[Question]


def easy_vqa(seed: int) -> Questions:
    """48,248 questions about 5,000 images of one shape each (Zhou 2019, https://github.com/vzhou842/easy-VQA).

    Its own test split; validation are the questions about a tenth of its training images.

    Raises:
        InvalidDatasetError: the package easy-vqa, which brings them along, is not there.
    """
    package = find_spec("easy_vqa")
    if package is None or package.origin is None:
        raise InvalidDatasetError("task.dataset.name: easy-vqa needs the package easy-vqa in the trainer's image")
    parts: dict[str, list[Question]] = {}
    for split in ("train", "test"):
        folder = Path(package.origin).parent / "data" / split
        rows: list[tuple[str, str, int]] = json.loads((folder / "questions.json").read_text())
        parts[split] = [Question(folder / "images" / f"{image}.png", text, answer) for text, answer, image in rows]
    return _split(parts, seed, "easy-vqa")


def detect_questions(path: Path) -> bool:
    """Whether `path` is a file of JSON lines, or a folder with such, or with folders of parts that have some."""
    return bool(_files(path))


def read_questions(path: Path, seed: int) -> Questions:
    """The questions of a folder of JSON lines, or of one such file.

    Each line has `image`, a path from the file's folder or from `images` or, of train.jsonl, `train` in it, with or
    without its suffix, `question` and `answer`, or the names that VQA and CLEVR have for them; of several answers the
    commonest counts. Files named after train, validation and test, or in folders of these names, say the split, or, in
    a single file, the field `split`; a split that is named nowhere is cut from train by image, and so is test where its
    answers are kept back.

    Raises:
        InvalidDatasetError: something is wrong; the message names the file and the line.
    """
    files = _files(path)
    if len(files) == 1:
        parts = _by_field(*files.values())
    else:
        named = by_part(path, files)
        if "test" in named and not _answered(named["test"]):
            _LOG.warning("%s has no answers: the test split is cut from %s", named["test"], named["train"])
            del named["test"]
        parts = {}
        problems = Problems()
        for split, file in named.items():
            with problems.noted():
                parts[split] = [question for _, question in _read(file)]
        problems.refuse()
    for split, questions in parts.items():
        if not questions:
            raise InvalidDatasetError(f"{path}: there is no question for {split}: add some, or take its file out")
    if "train" not in parts:
        found = f"only for {' and '.join(parts)}" if parts else "nor for another part"
        raise InvalidDatasetError(f"{path}: there is no question for train, {found}: add some")
    return _split(parts, seed, str(path))


def _files(path: Path) -> dict[str, Path]:
    """The files of JSON lines by their names, or those in folders of parts by both names."""
    if files := files_in(path, _LINES):
        return {file.name: file for file in files}
    return {f"{folder.name}/{file.name}": file for _, folder in part_folders(path) for file in files_in(folder, _LINES)}


def _split(parts: Mapping[str, Sequence[Question]], seed: int, name: str) -> Questions:
    """What is there, the rest cut from the questions of train."""
    whole = parts["train"]
    shares = (8, *(0 if split in parts else 1 for split in ("validation", "test")))
    cut = grouped([question.image for question in whole], seed, (shares[0], shares[1], shares[2]))
    found: list[Sequence[Question]] = []
    for split, numbers in zip(SPLIT_NAMES, cut, strict=True):
        questions = [whole[number] for number in numbers] if split == "train" or split not in parts else parts[split]
        if not questions:
            raise InvalidDatasetError(f"{name}: the questions of train are about too few images to cut {split} from")
        found.append(questions)
    return Questions(*found)


def _by_field(file: Path) -> dict[str, list[Question]]:
    """The questions of one file by their `split`; all are of train where no line has one."""
    names = {name: split for split, names in SPLIT_NAMES.items() for name in names}
    parts: dict[str, list[Question]] = {}
    for number, (document, question) in enumerate(_read(file), start=1):
        split = names.get(str(document.get("split", "train")).lower())
        if split is None:
            raise InvalidDatasetError(
                f"{file}, question {number}: split is {document['split']!r:.40}: choose of train, validation and test"
            )
        parts.setdefault(split, []).append(question)
    return parts


def _read(file: Path) -> Iterator[tuple[dict[str, Any], Question]]:
    bases = file.parent, file.parent / "images"
    folders = [folder for base in bases for folder in (base, base / file.stem) if folder.is_dir()]
    images: dict[str, Path] = {}
    problems = Problems()
    with open_text(file) as opened:
        text = opened.read()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        at = f"{file}, line {number}"
        with problems.noted():
            document = _object(line, at)
            image, question, answer = (_field(document, name, at) for name in _FIELDS)
            if image not in images:
                images[image] = _image(folders, image, at)
            yield document, Question(images[image], question, answer)
    problems.refuse()


def _object(line: str, at: str) -> dict[str, Any]:
    try:
        document: Any = json.loads(line)
    except ValueError as error:
        raise InvalidDatasetError(f"{at}: is no JSON: {error}", "line that is no JSON object") from None
    if not isinstance(document, dict):
        text = f"{at}: is no JSON object with image, question and answer"
        raise InvalidDatasetError(text, "line that is no JSON object")
    return document


def _answered(file: Path) -> bool:
    """Whether the first line has an answer, if it can be read."""
    with open_text(file) as lines:
        first = next((line for line in lines if line.strip()), "")
    try:
        document = json.loads(first)
    except ValueError:
        return True
    if not isinstance(document, dict):
        return True
    return any(document.get(name) not in (None, "", []) for name in _FIELDS["answer"])


def _field(document: Mapping[str, Any], name: str, at: str) -> str:
    known = [each for each in _FIELDS[name] if each in document]
    if not known:
        raise InvalidDatasetError(f"{at}: has no field {name}, only {', '.join(document) or 'none'}", "missing field")
    value = document[known[0]]
    if name == "answer" and isinstance(value, list) and value:
        # Of several people, each a string or an object: the commonest, first given first.
        given = [each.get("answer") if isinstance(each, dict) else each for each in value]
        value = json.loads(Counter(map(json.dumps, given)).most_common(1)[0][0])
    if not isinstance(value, str | int | float):
        raise InvalidDatasetError(f"{at}: {name} is {value!r:.40}: give a string or a number", "field of another type")
    text = value if isinstance(value, str) else json.dumps(value)
    if not text.strip():
        raise InvalidDatasetError(f"{at}: {name} is empty: fill it in, or take the line out", "empty field")
    return text.strip()


def _image(folders: Sequence[Path], name: str, at: str) -> Path:
    # What is too long for a name is none.
    with suppress(OSError):
        for folder in folders:
            for suffix in _SUFFIXES:
                if (path := folder / f"{name}{suffix}").is_file():
                    return path
    looked = ", ".join(map(str, folders))
    raise InvalidDatasetError(
        f"{at}: image {name!r:.80} is in none of {looked}: add it, or take the line out", "missing image"
    )

"""COCO's JSON of images with boxes (Lin et al., ECCV 2014, arXiv:1405.0312)."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from kubenas_trial.datasets.data import SPLIT_NAMES
from kubenas_trial.datasets.detection_data import (
    AnnotatedImage,
    Box,
    DetectionData,
    DetectionDataSettings,
    Frame,
    Item,
    detection_data,
    frame_of,
    item_of,
)
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import one_each, part_of, parts_in
from kubenas_trial.errors import InvalidDatasetError


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Category(BaseModel):
    id: int | str
    name: str
    supercategory: str | None = None


class _Annotation(BaseModel):
    id: int | str | None = None
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Document(BaseModel):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def is_coco(path: Path) -> bool:
    """Whether `path` is, or holds, JSON files named as COCO's."""
    return bool(_named(path)) and not any(path.glob("*.xml"))


def read_coco(path: Path, settings: DetectionDataSettings) -> DetectionData:
    """annotations/instances_{train,val,test}*.json with a folder of images for each, or one JSON beside its images.

    Also a folder each for train, valid and test with its JSON inside. One JSON that names no part is split by the seed;
    for two parts see `published.join`. Categories that no object has are no classes. Crowds are neither learned nor
    counted; boxes of no width or height, of which the published files have some, are left out.

    Raises:
        InvalidDatasetError: the message names the file, the entry in it and what is wrong.
    """
    files = one_each(path, _named(path))
    if not files:
        raise InvalidDatasetError(f"{path} has no JSON in annotations, in folders train, val and test, or in itself")
    root = path if path.is_dir() else path.parent
    if root.name == "annotations":
        root = root.parent
    parts: dict[str, list[AnnotatedImage]] = {}
    problems = Problems()
    for part, file in files.items():
        with problems.noted():
            parts[part] = list(_images(_document(file), file, root, part))
    problems.refuse()
    return detection_data(parts, settings, path)


def _named(path: Path) -> list[tuple[str, Path]]:
    """Annotation files and the parts they are for; that of "" names none."""
    if path.is_file():
        return [("", path)] if path.suffix.lower() == ".json" else []
    whole = "annotations/instances_*.json", "instances_*.json", "annotations/*.json"
    candidates = next((found for pattern in whole if (found := sorted(path.glob(pattern)))), [])
    candidates = candidates or sorted(file for file in path.glob("*/*.json") if part_of(file.parent.name))
    candidates = candidates or sorted(path.glob("*.json"))
    named = [(part, file) for file in candidates if (part := _part(file, path))]
    if len(candidates) == 1 and all(part != "train" for part, _ in named):
        return [("", candidates[0])]
    return named


def _part(file: Path, root: Path) -> str | None:
    if file.parent != root and (part := part_of(file.parent.name)):
        return part
    return next(iter(parts_in(file.stem)), None)


def _document(file: Path) -> _Document:
    problems = Problems()
    try:
        document = _Document.model_validate_json(file.read_bytes().removeprefix(BOM_UTF8))
    except OSError as error:
        raise InvalidDatasetError(f"{file} cannot be read ({error})") from None
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False):
            where = ".".join(map(str, problem["loc"])) or "the file"
            problems.add(InvalidDatasetError(f"{file}: {where}: {problem['msg']}", "field that is missing or wrong"))
        problems.refuse()
        raise
    for name in ("images", "categories"):
        if not getattr(document, name):
            raise InvalidDatasetError(f"{file}: {name} is empty")
        seen: set[int | str] = set()
        for index, entry in enumerate(getattr(document, name)):
            if entry.id in seen:
                text = f"{file}: {name}.{index}: an entry before it has the id {entry.id!r} too"
                problems.add(InvalidDatasetError(text, "id of two entries"))
            seen.add(entry.id)
    problems.refuse()
    return document


def _images(document: _Document, file: Path, root: Path, part: str) -> Iterator[AnnotatedImage]:
    names = {category.id: category.name for category in document.categories}
    images = {image.id: image for image in document.images}
    folders = list(_folders(file, root, part))
    problems = Problems()
    paths: dict[int | str, Path] = {}
    for image in document.images:
        with problems.noted():
            paths[image.id] = _path(image.file_name, folders, file)
    # None of an image that cannot be read, which is told once, not of each of its boxes.
    frames: dict[int | str, Frame | None] = {}
    items: dict[int | str, list[Item]] = {number: [] for number in images}
    for index, annotation in enumerate(document.annotations):
        at = f"{file}: annotations.{index}"
        number = annotation.image_id
        with problems.noted():
            if number not in images:
                raise InvalidDatasetError(f"{at}: image_id {number!r} is the id of no image", "image_id of no image")
            if annotation.category_id not in names:
                raise InvalidDatasetError(
                    f"{at}: category_id {annotation.category_id!r} is the id of no category",
                    "category_id of no category",
                )
            if number not in frames:
                frames[number] = None
                if number in paths:
                    frames[number] = _frame(images[number], paths[number], file)
            frame = frames[number]
            left, top, width, height = annotation.bbox
            if frame is None or 0 in {width, height}:
                continue
            box: Box = (left, top, left + width, top + height)
            at = f"{at} (image {images[number].file_name})"
            ignored = annotation.iscrowd != 0
            items[number].append(item_of(names[annotation.category_id], box, frame, at, ignored=ignored))
    problems.refuse()
    for number in images:
        yield AnnotatedImage(paths[number], tuple(items[number]))


def _frame(image: _Image, path: Path, file: Path) -> Frame:
    written = (image.width, image.height) if image.width and image.height else None
    return frame_of(path, written, file)


def _folders(file: Path, root: Path, part: str) -> Iterator[Path]:
    """Where the images of an annotation file may lie."""
    words = file.stem.removeprefix("instances_"), *SPLIT_NAMES.get(part, ())
    for base in (root, root / "images"):
        yield from (base / word for word in words)
        yield base
    if file.parent != root:
        yield file.parent


def _path(name: str, folders: list[Path], file: Path) -> Path:
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    looked = ", ".join(str(folder) for folder in folders if folder.is_dir())
    raise InvalidDatasetError(
        f"{file}: image {name} is in none of {looked}: add it, or take it out of images", "missing image"
    )

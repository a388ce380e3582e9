"""Pascal VOC's folders of images with boxes (Everingham et al., IJCV 2010)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# Modern expat bounds what entities expand to, and ElementTree fetches nothing.
from xml.etree import ElementTree

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
from kubenas_trial.datasets.pictures import image_files
from kubenas_trial.datasets.problems import Problems, each_read
from kubenas_trial.datasets.published import part_of
from kubenas_trial.datasets.voc_lists import read_lists
from kubenas_trial.errors import InvalidDatasetError

_LISTS = Path("ImageSets", "Main")


@dataclass(frozen=True, slots=True)
class _Folder:
    """Where annotations and their images lie; `root` holds both, and may be both."""

    root: Path
    annotations: Path
    images: Path


def is_voc(path: Path) -> bool:
    """Whether `path` is such a folder, or holds one, as VOCdevkit does."""
    return bool(_folders(path))


def read_voc(path: Path, settings: DetectionDataSettings) -> DetectionData:
    """Annotations/*.xml, JPEGImages and, where it is there, the split that ImageSets/Main/{train,val,test}.txt publish.

    Also folders called annotations and images, files beside their images, and a folder each for train, valid and test.
    Without lists all annotated images are split by the seed; with two of them see `published.join`. Boxes are whole
    pixels counted from 1, both ends belonging to the box. Difficult objects are neither learned nor counted.

    Raises:
        InvalidDatasetError: the message names the file, the object in it and what is wrong.
    """
    folders = _folders(path)
    by_part = {part: folder for folder in folders if (part := part_of(folder.root.name))}
    if len(folders) > 1 and len(by_part) == len(folders):
        each = {part: (folder, _annotated(folder.annotations)) for part, folder in by_part.items()}
        return detection_data(_parts(each), settings, path)
    if len(folders) != 1:
        found = f"holds {len(folders)} of them" if folders else "has no folder Annotations"
        raise InvalidDatasetError(f"{path} {found}: name one folder with Annotations and JPEGImages")
    [folder] = folders
    annotated = _annotated(folder.annotations)
    names = read_lists(folder.root / _LISTS, frozenset(annotated)) or {"": annotated}
    return detection_data(_parts({part: (folder, listed) for part, listed in names.items()}), settings, folder.root)


def _parts(names: Mapping[str, tuple[_Folder, Sequence[str]]]) -> dict[str, list[AnnotatedImage]]:
    """The images of each part, given its folder and their names."""
    parts: dict[str, list[AnnotatedImage]] = {}
    problems = Problems()
    for part, (folder, listed) in names.items():
        with problems.noted():
            parts[part] = _images(folder, listed)
    problems.refuse()
    return parts


def _folders(path: Path) -> list[_Folder]:
    """Folders with annotations: `path` itself, else some one or two folders below."""
    for roots in ([path], path.glob("*"), path.glob("*/*")):
        if found := [folder for root in sorted(roots) if root.is_dir() and (folder := _folder(root))]:
            return found
    return []


def _folder(root: Path) -> _Folder | None:
    for name in ("Annotations", "annotations"):
        if _annotated(root / name):
            images = next((root / each for each in ("JPEGImages", "images") if (root / each).is_dir()), None)
            return _Folder(root, root / name, images or root / "JPEGImages")
    return _Folder(root, root, root) if _annotated(root) and image_files(root) else None


def _annotated(folder: Path) -> list[str]:
    """Names of the annotation files, but those that systems hide there, without their suffix."""
    return sorted(file.stem for file in folder.glob("*.xml") if not file.name.startswith("."))


def _images(folder: _Folder, names: Sequence[str]) -> list[AnnotatedImage]:
    if not folder.images.is_dir():
        raise InvalidDatasetError(f"{folder.images} does not exist: it should hold the images")
    by_stem = {file.stem: file for file in image_files(folder.images)}
    return each_read(lambda name: _image(folder, name, by_stem), names)


def _image(folder: _Folder, name: str, by_stem: dict[str, Path]) -> AnnotatedImage:
    file = folder.annotations / f"{name}.xml"
    if not file.is_file():
        listed = folder.root / _LISTS
        raise InvalidDatasetError(
            f"{file} does not exist, but {name} is listed in {listed}: add or unlist it", "missing annotation"
        )
    try:
        document = ElementTree.parse(file).getroot()  # noqa: S314 - see the import
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InvalidDatasetError(
            f"{file} cannot be read as XML ({error}): correct it", "annotation that cannot be read"
        ) from None
    image = by_stem.get(name, folder.images / (document.findtext("filename") or f"{name}.jpg").strip())
    sides = [(document.findtext(f"size/{side}") or "").strip() for side in ("width", "height")]
    # Some tools leave the size out, or write 0.
    known = all(side.isdecimal() and int(side) for side in sides)
    frame = frame_of(image, (int(sides[0]), int(sides[1])) if known else None, file)
    objects = enumerate(document.findall("object"), 1)
    return AnnotatedImage(image, tuple(each_read(lambda each: _item(each[1], file, each[0], frame), objects)))


def _item(element: ElementTree.Element, file: Path, number: int, frame: Frame) -> Item:
    label = (element.findtext("name") or "").strip()
    at = f"{file}: object {number} ({label})"
    if not label:
        raise InvalidDatasetError(f"{file}: object {number} has no name: write its class there", "object without name")
    x1, y1, x2, y2 = (_number(element, side, at) for side in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = (x1 - 1, y1 - 1, x2, y2)
    difficult = (element.findtext("difficult") or "0").strip() not in {"", "0"}
    return item_of(label, box, frame, at, ignored=difficult)


def _number(element: ElementTree.Element, side: str, at: str) -> float:
    text = element.findtext(f"bndbox/{side}")
    try:
        return float(text) if text is not None else _refuse(f"{at}: bndbox has no {side}: add it")
    except ValueError:
        return _refuse(f"{at}: {side} is {text!r}: write a number")


def _refuse(message: str) -> NoReturn:
    raise InvalidDatasetError(message, "box without numbers")

"""Pascal VOC's folders of images with boxes (Everingham et al., IJCV 2010)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

# Modern expat bounds what entities expand to, and ElementTree fetches nothing.
from xml.etree import ElementTree

from kubenas_trial.datasets.detection_data import (
    AnnotatedImage,
    Box,
    DetectionData,
    DetectionDataSettings,
    Item,
    detection_data,
    shares,
)
from kubenas_trial.datasets.pictures import SUFFIXES, image_size
from kubenas_trial.datasets.published import part_of
from kubenas_trial.errors import InvalidDatasetError

_LISTS = Path("ImageSets", "Main")


def is_voc(path: Path) -> bool:
    """Whether `path` is such a folder, or holds one, as VOCdevkit does."""
    return bool(_roots(path))


def read_voc(path: Path, settings: DetectionDataSettings) -> DetectionData:
    """Annotations/*.xml, JPEGImages and, where it is there, the split that ImageSets/Main/{train,val,test}.txt publish.

    Without lists all annotated images are split by the seed; with two of them see `published.join`. Boxes are whole
    pixels counted from 1, both ends belonging to the box. Difficult objects are neither learned nor counted.

    Raises:
        InvalidDatasetError: the message names the file, the object in it and what is wrong.
    """
    roots = _roots(path)
    if len(roots) != 1:
        found = f"holds {len(roots)} of them" if roots else "has no folder Annotations"
        raise InvalidDatasetError(f"{path} {found}: name one folder with Annotations and JPEGImages")
    root = roots[0]
    images = root / "JPEGImages"
    if not images.is_dir():
        raise InvalidDatasetError(f"{images} does not exist: it should hold the images")
    by_stem = {file.stem: file for file in sorted(images.iterdir()) if file.suffix.lower() in SUFFIXES}
    names = {part: list(_names(file)) for part, file in _lists(root).items()}
    if not names:
        names = {"": sorted(file.stem for file in (root / "Annotations").glob("*.xml"))}
    parts = {part: [_image(root, name, by_stem) for name in listed] for part, listed in names.items()}
    return detection_data(parts, settings, root)


def _roots(path: Path) -> list[Path]:
    """Folders with annotations: `path` itself, else one or two folders below."""
    for pattern in ("Annotations", "*/Annotations", "*/*/Annotations"):
        found = sorted(folder.parent for folder in path.glob(pattern) if any(folder.glob("*.xml")))
        if found:
            return found
    return []


def _lists(root: Path) -> dict[str, Path]:
    files = {part: file for file in sorted((root / _LISTS).glob("*.txt")) if (part := part_of(file.stem))}
    whole = root / _LISTS / "trainval.txt"
    if "train" not in files and whole.exists():
        files["train"] = whole
        files.pop("validation", None)
    return files


def _names(file: Path) -> Iterator[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDatasetError(f"{file} cannot be read ({error})") from None
    # Lists of one class have a second column.
    return (line.split()[0] for line in lines if line.strip())


def _image(root: Path, name: str, by_stem: dict[str, Path]) -> AnnotatedImage:
    file = root / "Annotations" / f"{name}.xml"
    if not file.is_file():
        raise InvalidDatasetError(f"{file} does not exist, but {name} is listed in {root / _LISTS}: add or unlist it")
    try:
        document = ElementTree.parse(file).getroot()  # noqa: S314 - see the import
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise InvalidDatasetError(f"{file} cannot be read as XML ({error}): correct it") from None
    image = by_stem.get(name, root / "JPEGImages" / (document.findtext("filename") or f"{name}.jpg").strip())
    width, height = image_size(image)
    written = tuple(document.findtext(f"size/{side}") for side in ("width", "height"))
    # Some tools leave the size out, or write 0.
    if all(text and text.strip() not in {"0", str(size)} for text, size in zip(written, (width, height), strict=True)):
        raise InvalidDatasetError(
            f"{file}: says {' x '.join(map(str, written))} pixels, but {image.name} has {width} x {height}: its boxes "
            "belong to another image, or the image was turned or resized after they were drawn"
        )
    items = [
        _item(element, file, number, width, height) for number, element in enumerate(document.findall("object"), 1)
    ]
    return AnnotatedImage(image, tuple(items))


def _item(element: ElementTree.Element, file: Path, number: int, width: int, height: int) -> Item:
    label = (element.findtext("name") or "").strip()
    at = f"{file}: object {number} ({label})"
    if not label:
        raise InvalidDatasetError(f"{file}: object {number} has no name: write its class there")
    x1, y1, x2, y2 = (_number(element, side, at) for side in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = (x1 - 1, y1 - 1, x2, y2)
    difficult = (element.findtext("difficult") or "0").strip() not in {"", "0"}
    return Item(label, shares(box, width, height, at), difficult)


def _number(element: ElementTree.Element, side: str, at: str) -> float:
    text = element.findtext(f"bndbox/{side}")
    try:
        return float(text) if text is not None else _refuse(f"{at}: bndbox has no {side}: add it")
    except ValueError:
        return _refuse(f"{at}: {side} is {text!r}: write a number")


def _refuse(message: str) -> NoReturn:
    raise InvalidDatasetError(message)

"""Circles, squares and triangles on noisy backgrounds, drawn by seed: something to find without any files."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from kubenas_trial.datasets.detection_data import Box, DetectionData, DetectionDataSettings, from_tensors
from kubenas_trial.datasets.published import Numbers

CLASSES: Final = ("circle", "square", "triangle")
_COUNT = 500
# Side in pixels at which all is drawn; other sizes are resized from that.
_SIDE = 96
_MOST = 4
# Most that a square or triangle is turned by, as a share of the turn that makes it look the same again.
_TURN = 0.25
# Distance from centre to corner or rim, as a share of the image's side.
_RADII = (0.14, 0.28)
# A shape of which others hide more is painted elsewhere.
_VISIBLE = 0.5
# Least distance of a shape's colour from that of the background beneath, of at most 1.7.
_CONTRAST = 0.5
# Darkest and brightest of the background.
_BACKGROUND = (0.25, 0.75)
_NOISE = 0.06


class Scene(NamedTuple):
    """One image with what is in it.

    Attributes:
        image: uint8 (3, side, side).
        mask: number of the class of each pixel, int64 (side, side): 0 the background, then those of CLASSES.
        items: class in CLASSES and box, as shares of the side, of what can be seen of each shape.
    """

    image: Tensor
    mask: Tensor
    items: tuple[tuple[int, Box], ...]


def shapes(side: int, seed: int, count: int = _COUNT) -> list[Scene]:
    """`count` images of one to four shapes that may overlap, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    scenes = [_scene(_SIDE, generator) for _ in range(count)]
    return scenes if side == _SIDE else [_resized(scene, side) for scene in scenes]


def split() -> Numbers:
    """Three fifths to learn from, a fifth each to choose by and to test; all are drawn alike."""
    learned, chosen = _COUNT * 3 // 5, _COUNT * 4 // 5
    return Numbers(*(list(range(*ends)) for ends in ((0, learned), (learned, chosen), (chosen, _COUNT))))


def detected_shapes(settings: DetectionDataSettings) -> DetectionData:
    """500 images with boxes around what can be seen of each shape."""
    drawn = shapes(settings.image_size, settings.split_seed)
    annotations = [[(label, box, False) for label, box in scene.items] for scene in drawn]
    return from_tensors(torch.stack([scene.image for scene in drawn]), annotations, split(), CLASSES, settings)


def _scene(side: int, generator: torch.Generator) -> Scene:
    low, high = _BACKGROUND
    coarse = low + (high - low) * torch.rand(1, 3, 4, 4, generator=generator)
    image = interpolate(coarse, size=(side, side), mode="bilinear")[0]
    owners = torch.full((side, side), -1)
    labels: list[int] = []
    areas: list[int] = []
    for number in range(int(torch.randint(1, _MOST + 1, (), generator=generator))):
        # Few attempts suffice; a crowded image just has a shape less.
        for _ in range(10):
            label = int(torch.randint(len(CLASSES), (), generator=generator))
            shape = _shape(label, side, generator)
            if all(((owners == each) & ~shape).sum() >= _VISIBLE * areas[each] for each in range(number)):
                break
        else:
            break
        colour = _colour(image[:, shape].mean(1), generator)
        image = torch.where(shape, colour[:, None, None], image)
        owners[shape] = number
        labels.append(label)
        areas.append(int(shape.sum()))
    noisy = image + _NOISE * torch.randn(image.shape, generator=generator)
    mask = torch.tensor([0, *(label + 1 for label in labels)])[owners + 1]
    items = tuple((label, _box(owners == number)) for number, label in enumerate(labels))
    return Scene((noisy.clamp(0, 1) * 255).round().byte(), mask, items)


def _resized(scene: Scene, side: int) -> Scene:
    image = interpolate(scene.image[None].float(), size=(side, side), mode="bilinear")[0].round().byte()
    mask = interpolate(scene.mask[None, None].float(), size=(side, side), mode="nearest-exact")[0, 0].long()
    return Scene(image, mask, scene.items)


def _shape(label: int, side: int, generator: torch.Generator) -> Tensor:
    """The pixels of one shape, (side, side), all of it inside of the image."""
    low, high = _RADII
    share, x, y, turn = torch.rand(4, generator=generator).tolist()
    radius = (low + (high - low) * share) * side
    pixels = torch.arange(side) + 0.5
    across = pixels[None, :] - radius - x * (side - 2 * radius)
    down = pixels[:, None] - radius - y * (side - 2 * radius)
    corners = {"circle": 0, "square": 4, "triangle": 3}[CLASSES[label]]
    if not corners:
        disc: Tensor = torch.hypot(across, down) < radius
        return disc
    # A regular polygon is what lies within its apothem in the direction of each side.
    angles = (torch.arange(corners) + _TURN * turn) * 2 * math.pi / corners
    sides = across[..., None] * angles.cos() + down[..., None] * angles.sin()
    polygon: Tensor = torch.amax(sides, 2) < radius * math.cos(math.pi / corners)
    return polygon


def _colour(background: Tensor, generator: torch.Generator) -> Tensor:
    while True:
        colour = torch.rand(3, generator=generator)
        if torch.dist(colour, background) > _CONTRAST:
            return colour


def _box(pixels: Tensor) -> Box:
    [rows], [columns] = torch.where(pixels.any(1)), torch.where(pixels.any(0))
    height, width = pixels.shape
    return int(columns[0]) / width, int(rows[0]) / height, int(columns[-1] + 1) / width, int(rows[-1] + 1) / height

"""One-stage detectors: a residual backbone, a feature pyramid and a head that all levels share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from kubenas.space.base import Value
from kubenas_trial.networks.backbones import Backbone
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.normalization import group_norm
from kubenas_trial.networks.parts import sequence
from kubenas_trial.networks.pyramid import Pyramid

# Side of a square anchor in strides, and the scales and ratios (height / width) of RetinaNet's nine (arXiv:1708.02002).
_ANCHOR_STRIDES = 4
_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_RATIOS = (0.5, 1.0, 2.0)
# Initial logit of each class, or the many locations without an object would dominate the first steps (RetinaNet).
_UNLIKELY = math.log(0.01 / 0.99)
# Largest ratio of a box to its prior; exp would overflow in half precision.
_MAX_LOG_SIZE = math.log(64)


class Predictions(NamedTuple):
    """What a detector's output means; coordinates are x1, y1, x2, y2 in pixels of its input.

    Attributes:
        logits: of each class, (batch, locations, classes).
        centerness: logit of how near to its object's centre a location is, (batch, locations).
        boxes: (batch, locations, 4).
        priors: box that each location begins from, (locations, 4).
        levels: group of each location by pyramid level and anchor scale, (locations).
    """

    logits: Tensor
    centerness: Tensor
    boxes: Tensor
    priors: Tensor
    levels: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Predictions:
        """Those in a detector's output (batch, locations, classes + 10), as float32."""
        logits, centerness, boxes, priors, levels = torch.split(rows.float(), [rows.shape[2] - 10, 1, 4, 4, 1], dim=2)
        return cls(logits, centerness.squeeze(2), boxes, priors[0], levels[0].squeeze(1))


def _layer(width: int, kernel: int, *, separable: bool) -> nn.Sequential:
    parts: dict[str, nn.Module]
    if separable:
        parts = {
            f"depthwise_k{kernel}": nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False),
            "pointwise": nn.Conv2d(width, width, 1, bias=False),
        }
    else:
        parts = {f"dense_k{kernel}": nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False)}
    # Normalized by groups, as FCOS does: statistics of a batch would mix the levels.
    return sequence({**parts, "norm": group_norm(width, 16), "activation": nn.ReLU()})


class Head(nn.Module):
    """One tower for classes and one for boxes and centerness, on a map of `width` channels.

    Args:
        width: channels.
        kernels: of each tower's layers.
        separable: whether they are depthwise and pointwise convolutions.
        anchors: predictions at each location.
        classes: their number.
    """

    def __init__(self, width: int, kernels: list[int], *, separable: bool, anchors: int, classes: int) -> None:
        super().__init__()
        # With anchors a box is encoded in another way than without.
        last = "anchor_free" if anchors == 1 else "anchors"
        self.classes, self.boxes = (
            sequence(
                {
                    **{f"layer{index}": _layer(width, each, separable=separable) for index, each in enumerate(kernels)},
                    last: _last(width, out_channels, bias),
                }
            )
            for out_channels, bias in ((anchors * classes, _UNLIKELY), (anchors * 5, 0.0))
        )
        self.anchors = anchors

    def forward(self, values: Tensor) -> Tensor:
        """(batch, width, height, width of the map) to rows (batch, locations, classes + 1 + 4).

        A location is one anchor at one pixel of the map, row by row. Its row has the classes' logits, that of
        centerness and how the box differs from its prior.
        """
        return torch.cat([self._rows(self.classes(values)), self._rows(self.boxes(values))], dim=2)

    def _rows(self, values: Tensor) -> Tensor:
        return torch.unflatten(values, 1, (self.anchors, -1)).permute(0, 3, 4, 1, 2).flatten(1, 3)


def _last(width: int, out_channels: int, bias: float) -> nn.Conv2d:
    layer = nn.Conv2d(width, out_channels, 3, padding=1, bias=True)
    nn.init.normal_(layer.weight, std=0.01)
    layer.bias = nn.Parameter(torch.full((out_channels,), bias))
    return layer


class Detector(nn.Module):
    """Images (batch, channels, height, width) to rows (batch, locations, classes + 10): see `Predictions`.

    Images of any size are first resized to `resolution`.
    """

    priors: Tensor
    levels: Tensor

    def __init__(self, backbone: Backbone, pyramid: Pyramid, head: Head, images: Images, resolution: int) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.head = backbone, pyramid, head
        self.resolution = resolution
        self.anchor_free = head.anchors == 1
        self.resized = (images.height, images.width) != (resolution, resolution)
        shapes = [(1.0, 1.0)] if self.anchor_free else [(scale, ratio) for scale in _SCALES for ratio in _RATIOS]
        priors, levels = _priors(backbone.strides, resolution, shapes)
        to_input = torch.tensor([images.width, images.height] * 2) / resolution
        self.register_buffer("priors", priors * to_input, persistent=False)
        self.register_buffer("levels", levels, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """As said above."""
        if self.resized:
            images = interpolate(images, size=(self.resolution, self.resolution), mode="bilinear")
        rows = torch.cat([self.head(values) for values in self.pyramid(self.backbone(images))], dim=1)
        scores, offsets = rows[..., :-4], rows[..., -4:].float()
        fixed = torch.cat([self.priors, self.levels[:, None]], dim=1).expand(rows.shape[0], -1, -1)
        return torch.cat([scores, self._boxes(offsets), fixed], dim=2)

    def _boxes(self, offsets: Tensor) -> Tensor:
        """Boxes from how they differ from their priors."""
        half = (self.priors[:, 2:] - self.priors[:, :2]) / 2
        centres = self.priors[:, :2] + half
        if self.anchor_free:
            # FCOS: distances of the four sides from the location, here in units of half the prior's side.
            distances = offsets.clamp(max=_MAX_LOG_SIZE).exp() * torch.cat([half, half], dim=1)
            return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=2)
        # R-CNN's coding: shift of the centre in units of the anchor's side, logarithm of the size.
        centres = centres + offsets[..., :2] * 2 * half
        half = offsets[..., 2:].clamp(max=_MAX_LOG_SIZE).exp() * half
        return torch.cat([centres - half, centres + half], dim=2)


def _priors(strides: tuple[int, ...], resolution: int, shapes: list[tuple[float, float]]) -> tuple[Tensor, Tensor]:
    """Priors (locations, 4) of all levels in the order of the head's rows, and each one's group by level and scale."""
    priors, levels = [], []
    scales = sorted({scale for scale, _ in shapes})
    for number, stride in enumerate(strides):
        centres = (torch.arange(resolution // stride) + 0.5) * stride
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        sides = torch.tensor([(scale / ratio**0.5, scale * ratio**0.5) for scale, ratio in shapes])
        half = sides * _ANCHOR_STRIDES * stride / 2
        points = torch.stack([x, y], dim=2).flatten(0, 1)[:, None]
        priors.append(torch.cat([points - half, points + half], dim=2).flatten(0, 1))
        of_shape = torch.tensor([float(number * len(scales) + scales.index(scale)) for scale, _ in shapes])
        levels.append(of_shape.repeat(len(points)))
    return torch.cat(priors), torch.cat(levels)


class DetectorSkeleton(Skeleton):
    """Size of the network; 1 for both is that of the decisions, which is too much for a CPU.

    A width of 64 and depths 2, 2, 2, 2 of basic blocks are ResNet-18's, 3 anchors' scales and ratios RetinaNet's.
    """

    width: Annotated[float, Field(gt=0, le=4, description="Factor on the decided widths, to multiples of 8.")] = 0.5
    resolution: Annotated[
        float, Field(gt=0, le=4, description="Factor on the decided resolution, to multiples of 32.")
    ] = 0.5


def detector(architecture: Mapping[str, Value], skeleton: DetectorSkeleton, images: Images) -> Detector:
    """The detector of an architecture of the preset `detector`."""

    def listed(name: str, count: int) -> list[Value]:
        return [architecture[f"{name}.{number}"] for number in range(count)]

    def width(name: str) -> int:
        return max(1, round(float(architecture[name]) * skeleton.width / 8)) * 8

    depths = [int(depth) for depth in listed("backbone_depth", 4)]
    backbone = Backbone(images.channels, width("backbone_width"), depths, str(architecture["backbone_block"]))
    layers = [str(layer) for layer in listed("pyramid", int(architecture["pyramid_repeats"]))]
    head = Head(
        width("pyramid_width"),
        [int(kernel) for kernel in listed("head_kernel", int(architecture["head_depth"]))],
        separable=architecture["head_conv"] == "separable",
        anchors=1 if architecture["head"] == "anchor_free" else len(_SCALES) * len(_RATIOS),
        classes=images.classes,
    )
    resolution = max(1, round(float(architecture["resolution"]) * skeleton.resolution / 32)) * 32
    return Detector(backbone, Pyramid(backbone.channels, width("pyramid_width"), layers), head, images, resolution)


# FCOS over one FPN on ResNet-18's backbone, of half its width.
DETECTOR: Final = Family(
    DetectorSkeleton,
    detector,
    default={
        "resolution": 384,
        "backbone_width": 32,
        **{f"backbone_depth.{stage}": 2 for stage in range(4)},
        "backbone_block": "basic",
        "pyramid_repeats": 1,
        "pyramid.0": "fpn",
        "pyramid_width": 128,
        "head": "anchor_free",
        "head_depth": 2,
        "head_kernel.0": 3,
        "head_kernel.1": 3,
        "head_conv": "dense",
    },
)

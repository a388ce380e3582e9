"""U-Nets: maps shrink level by level, and grow back with what was kept of each level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Images, Skeleton

_ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "silu": nn.SiLU}


class Style:
    """What all levels have in common: normalization, activation and how maps shrink and grow."""

    def __init__(self, normalization: str, activation: str, downsample: str, upsample: str) -> None:
        self._normalization, self._activation = normalization, activation
        self._downsample, self._upsample = downsample, upsample

    def activation(self) -> nn.Module:
        """The non-linearity."""
        return _ACTIVATIONS[self._activation]()

    def normalization(self, channels: int) -> nn.Module:
        """Of `channels` maps."""
        match self._normalization:
            case "batch":
                return nn.BatchNorm2d(channels)
            case "group":
                return nn.GroupNorm(math.gcd(channels, 8), channels)
            case _:
                return nn.InstanceNorm2d(channels, affine=True)

    def shrink(self, channels: int) -> nn.Module:
        """To half the size."""
        match self._downsample:
            case "max_pool":
                return nn.MaxPool2d(2)
            case "avg_pool":
                return nn.AvgPool2d(2)
            case _:
                return nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def grow(self, inputs: int, outputs: int) -> nn.Module:
        """To twice the size."""
        if self._upsample == "transposed_conv":
            return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        # A 1 x 1 convolution and a linear resizing may change places; before it, it has a quarter of the work.
        return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.Upsample(scale_factor=2.0, mode=self._upsample))


class Block(nn.Module):
    """`count` convolutions, each normalized and activated, all of one kind.

    Args:
        inputs, outputs: channels.
        kind: conv, residual (with a shortcut around all of them) or separable (depthwise, then pointwise).
        count, kernel: as said.
        style: what is between them.
    """

    def __init__(self, inputs: int, outputs: int, kind: str, count: int, kernel: int, style: Style) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(count):
            channels = inputs if number == 0 else outputs
            if kind == "separable":
                layers.append(nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False))
            size = 1 if kind == "separable" else kernel
            layers += [
                nn.Conv2d(channels, outputs, size, padding=size // 2, bias=False),
                style.normalization(outputs),
                style.activation(),
            ]
        # A residual's last activation comes after the sum.
        self.last = layers.pop()
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module | None = None
        if kind == "residual":
            self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height, width)."""
        values = self.layers(inputs)
        if self.shortcut is not None:
            values = values + self.shortcut(inputs)
        result: Tensor = self.last(values)
        return result


class Join(nn.Module):
    """The encoder's map `kept` and the decoder's, both of `channels`, as one.

    Attributes:
        channels: of the result.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.channels = 2 * channels if kind in {"concat", "attention"} else channels
        if kind == "attention":
            inner = max(1, channels // 2)
            self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1, bias=False)
            self.score = nn.Sequential(nn.ReLU(), nn.Conv2d(inner, 1, 1), nn.Sigmoid())

    def forward(self, kept: Tensor, values: Tensor) -> Tensor:
        """(batch, self.channels, height, width)."""
        match self.kind:
            case "none":
                return values
            case "add":
                return kept + values
            case "attention":
                # The additive gate of Attention U-Net (Oktay et al., MIDL 2018, arXiv:1804.03999).
                kept = kept * self.score(self.query(values) + self.key(kept))
        return torch.cat([kept, values], dim=1)


class Level(nn.Module):
    """One level with all that is below it: in and out are maps of the same size, `block`'s channels come out."""

    def __init__(
        self, block: Block, shrink: nn.Module, below: nn.Module, grow: nn.Module, join: Join, out: Block
    ) -> None:
        super().__init__()
        self.block, self.shrink, self.below = block, shrink, below
        self.grow, self.join, self.out = grow, join, out

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, width of the level, height, width)."""
        kept = self.block(inputs)
        result: Tensor = self.out(self.join(kept, self.grow(self.below(self.shrink(kept)))))
        return result


class UNet(nn.Module):
    """Images (batch, channels, height, width) to logits (batch, classes, height, width).

    Sides that cannot be halved `depth` times are padded for the while, so any size will do.
    """

    def __init__(self, top: nn.Module, last: nn.Module, depth: int, images: Images) -> None:
        super().__init__()
        self.top, self.last = top, last
        # Two pixels are left at the bottom, as statistics of one would be none.
        unit = 2**depth
        rows, columns = (max(2, math.ceil(side / unit)) * unit - side for side in (images.height, images.width))
        self.padding = (0, columns, 0, rows)
        self.height, self.width = images.height, images.width

    def forward(self, images: Tensor) -> Tensor:
        """As said above."""
        logits: Tensor = self.last(self.top(pad(images, self.padding)))
        return logits[:, :, : self.height, : self.width]


class UNetSkeleton(Skeleton):
    """Size of the network; a width of 1 is that of the decisions.

    U-Net itself has width 1, base_width 64, depth 4, two plain 3 x 3 convolutions a level, max_pool, transposed_conv
    and concat (Ronneberger et al., MICCAI 2015), here with padding and normalization.
    """

    width: Annotated[float, Field(gt=0, le=4, description="Factor on the decided width, to multiples of 4.")] = 0.375


def unet(architecture: Mapping[str, Value], skeleton: UNetSkeleton, images: Images) -> UNet:
    """The U-Net of an architecture of the preset `unet`: `depth` levels and a bottom, each twice as wide as the last.

    The bottom has the blocks of the level above it.
    """
    style = Style(*(str(architecture[name]) for name in ("normalization", "activation", "downsample", "upsample")))
    base = max(1, round(float(architecture["base_width"]) * skeleton.width / 4)) * 4
    depth = int(architecture["depth"])

    def block(level: int, inputs: int, outputs: int) -> Block:
        kind = str(architecture[f"block.{level}"])
        count, kernel = (int(architecture[f"{name}.{level}"]) for name in ("convolutions", "kernel"))
        return Block(inputs, outputs, kind, count, kernel, style)

    part: nn.Module = block(depth - 1, base * 2 ** (depth - 1), base * 2**depth)
    for level in reversed(range(depth)):
        width = base * 2**level
        join = Join(str(architecture[f"skip.{level}"]), width)
        part = Level(
            block(level, images.channels if level == 0 else width // 2, width),
            style.shrink(width),
            part,
            style.grow(2 * width, width),
            join,
            block(level, join.channels, width),
        )
    return UNet(part, nn.Conv2d(base, images.classes, 1), depth, images)


# U-Net's own choices.
UNET: Final = Family(
    UNetSkeleton,
    unet,
    default={
        "base_width": 32,
        "normalization": "batch",
        "activation": "relu",
        "downsample": "max_pool",
        "upsample": "transposed_conv",
        "depth": 4,
        **{f"block.{level}": "conv" for level in range(4)},
        **{f"convolutions.{level}": 2 for level in range(4)},
        **{f"kernel.{level}": 3 for level in range(4)},
        **{f"skip.{level}": "concat" for level in range(4)},
    },
)

"""U-Nets: an encoder that halves maps level by level, and a decoder that joins each level's map on the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.normalization import group_norm
from kubenas_trial.networks.parts import paired, sequence

_ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "silu": nn.SiLU}


class Style:
    """What all levels have in common: normalization, activation, downsampling and upsampling."""

    def __init__(self, normalization: str, activation: str, downsample: str, upsample: str) -> None:
        self._normalization, self._activation = normalization, activation
        self._downsample, self._upsample = downsample, upsample

    def activation(self) -> nn.Module:
        """The non-linearity."""
        return _ACTIVATIONS[self._activation]()

    def normalization(self, channels: int) -> nn.Module:
        """The normalization of `channels` maps."""
        match self._normalization:
            case "batch":
                norm: nn.Module = nn.BatchNorm2d(channels)
            case "group":
                norm = group_norm(channels, 8)
            case _:
                norm = nn.InstanceNorm2d(channels, affine=True)
        return sequence({self._normalization: norm})

    def downsampling(self, channels: int) -> nn.Module:
        """From `channels` maps to as many of half the size."""
        match self._downsample:
            case "max_pool":
                return nn.MaxPool2d(2)
            case "avg_pool":
                return nn.AvgPool2d(2)
            case _:
                return nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def upsampling(self, in_channels: int, out_channels: int) -> nn.Module:
        """From `in_channels` maps to `out_channels` of twice the size."""
        if self._upsample == "transposed_conv":
            return sequence({"transposed_conv": nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)})
        # A 1 x 1 convolution and a linear resizing may be swapped; before it, it has a quarter of the work.
        convolution = nn.Conv2d(in_channels, out_channels, 1)
        return sequence({"k1": convolution, "resized": nn.Upsample(scale_factor=2.0, mode=self._upsample)})


class Block(nn.Module):
    """`count` convolutions, each normalized and activated, all of one kind.

    Args:
        in_channels, out_channels: as said.
        kind: conv, residual (with a shortcut around all of them) or separable (depthwise, then pointwise).
        count, kernel: as said.
        style: normalization and activation.
        pairs: whether the input interleaves the channels of two maps, for which there are other weights.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kind: str, count: int, kernel: int, style: Style, *, pairs: bool
    ) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {}
        of_input = "_of_pairs" if pairs else ""
        for number in range(count):
            channels, read = (in_channels, of_input) if number == 0 else (out_channels, "")
            if kind == "separable":
                parts[f"depthwise{number}_k{kernel}{read}"] = nn.Conv2d(
                    channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False
                )
            size = 1 if kind == "separable" else kernel
            parts |= {
                f"conv{number}_k{size}{read}": nn.Conv2d(channels, out_channels, size, padding=size // 2, bias=False),
                f"norm{number}": style.normalization(out_channels),
                f"activation{number}": style.activation(),
            }
        # A residual's last activation comes after the sum.
        self.last = parts.popitem()[1]
        self.layers = sequence(parts)
        self.shortcut: nn.Module | None = None
        if kind == "residual":
            same = in_channels == out_channels
            self.shortcut = (
                nn.Identity()
                if same
                else sequence({f"k1{of_input}": nn.Conv2d(in_channels, out_channels, 1, bias=False)})
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height, width)."""
        values = self.layers(inputs)
        if self.shortcut is not None:
            values = values + self.shortcut(inputs)
        result: Tensor = self.last(values)
        return result


class Join(nn.Module):
    """The encoder's map `kept` and the decoder's, both of `channels`, as one.

    Attributes:
        pairs: whether both go on, their channels interleaved.
        channels: of the result.
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.pairs = kind in {"concat", "attention"}
        self.channels = 2 * channels if self.pairs else channels
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
        return paired(kept, values)


class UNetSkeleton(Skeleton):
    """Size of the network; a width of 1 is that of the decisions.

    U-Net itself has width 1, base_width 64, depth 4, two plain 3 x 3 convolutions a level, max_pool, transposed_conv
    and concat (Ronneberger et al., MICCAI 2015), here with padding and normalization.
    """

    width: Annotated[float, Field(gt=0, le=4, description="Factor on the decided width, to multiples of 4.")] = 0.375


class UNet(nn.Module):
    """Images (batch, channels, height, width) to logits (batch, classes, height, width).

    There are `depth` levels and a bottom, each twice as wide as the last; the bottom has the blocks of the level above
    it. Images of any size are padded to sides that can be halved `depth` times, and logits cropped to the size.
    """

    def __init__(self, architecture: Mapping[str, Value], skeleton: UNetSkeleton, images: Images) -> None:
        super().__init__()
        style = Style(*(str(architecture[name]) for name in ("normalization", "activation", "downsample", "upsample")))
        base = max(1, round(float(architecture["base_width"]) * skeleton.width / 4)) * 4

        def block(level: int, in_channels: int, out_channels: int, *, pairs: bool = False) -> nn.Module:
            kind = str(architecture[f"block.{level}"])
            count, kernel = (int(architecture[f"{name}.{level}"]) for name in ("convolutions", "kernel"))
            return sequence({kind: Block(in_channels, out_channels, kind, count, kernel, style, pairs=pairs)})

        self.depth = depth = int(architecture["depth"])
        # By level, of which the bottom is the last.
        self.encoder, self.shrink, self.grow, self.join, self.decoder = (nn.ModuleDict() for _ in range(5))
        self.encoder[str(depth)] = block(depth - 1, base * 2 ** (depth - 1), base * 2**depth)
        for level in reversed(range(depth)):
            width, name = base * 2**level, str(level)
            join = Join(str(architecture[f"skip.{level}"]), width)
            self.join[name] = join
            self.encoder[name] = block(level, images.channels if level == 0 else width // 2, width)
            self.shrink[name] = style.downsampling(width)
            self.grow[name] = style.upsampling(2 * width, width)
            self.decoder[name] = block(level, join.channels, width, pairs=join.pairs)
        self.output = nn.Conv2d(base, images.classes, 1)
        # At least two pixels a side at the bottom, as one alone has no variance to normalize by.
        unit = 2**depth
        rows, columns = (max(2, math.ceil(side / unit)) * unit - side for side in (images.height, images.width))
        self.padding = (0, columns, 0, rows)
        self.height, self.width = images.height, images.width

    def forward(self, images: Tensor) -> Tensor:
        """As said above."""
        values = pad(images, self.padding)
        levels = [str(level) for level in range(self.depth)]
        kept: list[Tensor] = []
        for level in levels:
            kept.append(self.encoder[level](values))
            values = self.shrink[level](kept[-1])
        values = self.encoder[str(self.depth)](values)
        for level in reversed(levels):
            values = self.decoder[level](self.join[level](kept.pop(), self.grow[level](values)))
        logits: Tensor = self.output(values)
        return logits[:, :, : self.height, : self.width]


# U-Net's own choices.
UNET: Final = Family(
    UNetSkeleton,
    UNet,
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

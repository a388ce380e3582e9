"""Residual backbones for dense prediction: a stem and four stages, each of which halves the resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from torch import Tensor, nn
from torch.nn.functional import relu

from kubenas_trial.networks.mbconv import InvertedResidual
from kubenas_trial.networks.parts import conv_norm, sequence

# ResNet's outer width of a bottleneck (He et al., CVPR 2016), and the inner one of a small inverted residual.
_BOTTLENECK = 4
_EXPANSION = 4


class Residual(nn.Module):
    """`body` and a shortcut around it, then a ReLU.

    The shortcut is the input itself, or where sizes differ a normalized 1 x 1 convolution of it.

    Args:
        body: from `in_channels` to `out_channels`, the size divided by `stride`.
        in_channels, out_channels, stride: as said.
    """

    def __init__(self, body: nn.Module, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.body = body
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(in_channels, out_channels, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride)."""
        return relu(self.body(inputs) + self.shortcut(inputs))


def _basic(in_channels: int, width: int, stride: int) -> nn.Module:
    body = nn.Sequential(conv_norm(in_channels, width, 3, stride), nn.ReLU(), conv_norm(width, width, 3))
    return Residual(body, in_channels, width, stride)


def _bottleneck(in_channels: int, width: int, stride: int) -> nn.Module:
    out_channels = _BOTTLENECK * width
    body = nn.Sequential(
        conv_norm(in_channels, width, 1),
        nn.ReLU(),
        conv_norm(width, width, 3, stride),
        nn.ReLU(),
        conv_norm(width, out_channels, 1),
    )
    return Residual(body, in_channels, out_channels, stride)


def _inverted_residual(in_channels: int, width: int, stride: int) -> nn.Module:
    return InvertedResidual(in_channels, width, _EXPANSION, 3, stride)


_BLOCKS: Final[Mapping[str, tuple[Callable[[int, int, int], nn.Module], int]]] = {
    "basic": (_basic, 1),
    "bottleneck": (_bottleneck, _BOTTLENECK),
    "inverted_residual": (_inverted_residual, 1),
}


class Backbone(nn.Module):
    """Stem and four stages; stage i has `width` * 2^i channels, `depths[i]` blocks and stride 4 * 2^i.

    Blocks are those of ResNet (He et al., CVPR 2016: basic, or bottleneck with four times the channels outside) and
    MobileNetV2 (Sandler et al., CVPR 2018: inverted_residual).

    Attributes:
        channels: of the maps of the last three stages.
        strides: of the same, in pixels of the input.
    """

    strides = (8, 16, 32)

    def __init__(self, in_channels: int, width: int, depths: Sequence[int], block: str) -> None:
        super().__init__()
        make, factor = _BLOCKS[block]
        self.stem = nn.Sequential(conv_norm(in_channels, width, 3, stride=2), nn.ReLU())
        self.stages = nn.ModuleList()
        before = width
        for stage, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(sequence({block: make(before, width * 2**stage, 2 if number == 0 else 1)}))
                before = factor * width * 2**stage
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(factor * width * 2**stage for stage in range(1, len(depths)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the last three stages for (batch, in_channels, height, width), both sides divisible by 32."""
        values = self.stem(images)
        maps = []
        for stage in self.stages:
            values = stage(values)
            maps.append(values)
        return maps[1:]

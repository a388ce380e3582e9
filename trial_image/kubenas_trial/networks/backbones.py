"""Residual backbones for dense prediction: a stem and four stages, each of which halves the resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from torch import Tensor, nn
from torch.nn.functional import relu

# ResNet's outer width of a bottleneck (He et al., CVPR 2016), and the inner one of a small inverted residual.
_BOTTLENECK = 4
_EXPANSION = 4


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by `stride`), and batch normalization."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class Residual(nn.Module):
    """`body` and a shortcut around it: the input itself, or where sizes differ a normalized 1 x 1 convolution.

    Args:
        body: from `inputs` to `outputs` channels, the size divided by `stride`.
        inputs, outputs, stride: as said.
        linear: as MobileNetV2 has it behind a narrow projection: the sum is left as it is, and where sizes differ there
            is no shortcut; else a ReLU follows.
    """

    def __init__(self, body: nn.Module, inputs: int, outputs: int, stride: int, *, linear: bool) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module | None = None
        if inputs == outputs and stride == 1:
            self.shortcut = nn.Identity()
        elif not linear:
            self.shortcut = conv_norm(inputs, outputs, 1, stride)
        self.linear = linear

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height / stride, width / stride)."""
        total: Tensor = self.body(inputs)
        if self.shortcut is not None:
            total = total + self.shortcut(inputs)
        return total if self.linear else relu(total)


def _basic(inputs: int, width: int, stride: int) -> Residual:
    body = nn.Sequential(conv_norm(inputs, width, 3, stride), nn.ReLU(), conv_norm(width, width, 3))
    return Residual(body, inputs, width, stride, linear=False)


def _bottleneck(inputs: int, width: int, stride: int) -> Residual:
    outputs = _BOTTLENECK * width
    body = nn.Sequential(
        conv_norm(inputs, width, 1),
        nn.ReLU(),
        conv_norm(width, width, 3, stride),
        nn.ReLU(),
        conv_norm(width, outputs, 1),
    )
    return Residual(body, inputs, outputs, stride, linear=False)


def _inverted_residual(inputs: int, width: int, stride: int) -> Residual:
    hidden = _EXPANSION * inputs
    body = nn.Sequential(
        conv_norm(inputs, hidden, 1),
        nn.ReLU6(),
        conv_norm(hidden, hidden, 3, stride, groups=hidden),
        nn.ReLU6(),
        conv_norm(hidden, width, 1),
    )
    return Residual(body, inputs, width, stride, linear=True)


_BLOCKS: Final[Mapping[str, tuple[Callable[[int, int, int], Residual], int]]] = {
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

    def __init__(self, channels: int, width: int, depths: Sequence[int], block: str) -> None:
        super().__init__()
        make, factor = _BLOCKS[block]
        self.stem = nn.Sequential(conv_norm(channels, width, 3, stride=2), nn.ReLU())
        self.stages = nn.ModuleList()
        inputs = width
        for stage, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for number in range(depth):
                blocks.append(make(inputs, width * 2**stage, 2 if number == 0 else 1))
                inputs = factor * width * 2**stage
            self.stages.append(nn.Sequential(*blocks))
        self.channels = tuple(factor * width * 2**stage for stage in range(1, len(depths)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the last three stages for (batch, channels, height, width), both sides divisible by 32."""
        values = self.stem(images)
        maps = []
        for stage in self.stages:
            values = stage(values)
            maps.append(values)
        return maps[1:]

"""Convolutional blocks of the MobileNet line, and the input's resolution as part of a network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import interpolate

from kubenas_trial.networks.backbones import conv_norm

Activation = Callable[[], nn.Module]


class InvertedResidual(nn.Module):
    """MobileNetV2's block (Sandler et al., CVPR 2018): expansion, depthwise convolution, projection.

    The input is added where it has the same shape. `excited` adds MobileNetV3's squeeze-and-excitation (Howard et al.,
    ICCV 2019).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        expansion: float,
        kernel: int,
        stride: int = 1,
        *,
        activation: Activation = nn.ReLU6,
        excited: bool = False,
    ) -> None:
        super().__init__()
        hidden = max(1, round(inputs * expansion))
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [conv_norm(inputs, hidden, 1), activation()]
        layers += [conv_norm(hidden, hidden, kernel, stride, groups=hidden), activation()]
        if excited:
            layers.append(SqueezeExcitation(hidden))
        self.body = nn.Sequential(*layers, conv_norm(hidden, outputs, 1))
        self.residual = inputs == outputs and stride == 1

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, inputs, height, width) to (batch, outputs, height / stride, width / stride), rounded up."""
        outputs: Tensor = self.body(inputs)
        return inputs + outputs if self.residual else outputs


class SqueezeExcitation(nn.Module):
    """Scales each channel by what the means of all channels say (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // 4)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same."""
        scaled: Tensor = inputs * self.gate(inputs)
        return scaled


class Resized(nn.Module):
    """Images of any size scaled to squares of `side` pixels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, channels, side, side)."""
        if images.shape[2:] == (self.side, self.side):
            return images
        return interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)


def classifier(inputs: int, hidden: int, classes: int, activation: Activation = nn.ReLU6) -> list[nn.Module]:
    """1 x 1 convolution to `hidden` channels, global average pool, linear classifier."""
    return [
        conv_norm(inputs, hidden, 1),
        activation(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(hidden, classes),
    ]


def scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, at least 4, as a multiple of 4."""
    return max(4, round(channels * width / 4) * 4)

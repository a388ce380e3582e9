"""Convolutional blocks of the MobileNet line, and the input's resolution as part of a network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import interpolate

from kubenas_trial.networks.parts import conv_norm, sequence

Activation = Callable[[], nn.Module]


class InvertedResidual(nn.Module):
    """MobileNetV2's block (Sandler et al., CVPR 2018): expansion, depthwise convolution, projection.

    The input is added where it has the same shape. `excited` adds MobileNetV3's squeeze-and-excitation (Howard et al.,
    ICCV 2019); in a `fused` one a dense convolution replaces the first two (EfficientNetV2, Tan and Le, ICML 2021).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion: float,
        kernel: int,
        stride: int = 1,
        *,
        activation: Activation = nn.ReLU6,
        excited: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__()
        hidden = max(1, round(in_channels * expansion))
        parts: dict[str, nn.Module] = {}
        if fused:
            parts |= {"fused": conv_norm(in_channels, hidden, kernel, stride), "fused_activation": activation()}
        else:
            if expansion != 1:
                parts |= {"expand": conv_norm(in_channels, hidden, 1), "expand_activation": activation()}
            depthwise = conv_norm(hidden, hidden, kernel, stride, groups=hidden)
            parts |= {"depthwise": depthwise, "depthwise_activation": activation()}
        if excited:
            parts["excitation"] = SqueezeExcitation(hidden)
        self.body = sequence({**parts, "project": conv_norm(hidden, out_channels, 1)})
        self.residual = in_channels == out_channels and stride == 1

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
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


def scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, at least 4, as a multiple of 4."""
    return max(4, round(channels * width / 4) * 4)

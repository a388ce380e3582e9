"""Temporal convolutional networks (Bai et al., 2018, arXiv:1803.01271)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.parametrizations import weight_norm

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Series, Skeleton
from kubenas_trial.networks.parts import sequence
from kubenas_trial.networks.series import ACTIVATIONS, Pooling, channel_norm, scaled


class CausalConv(nn.Module):
    """A dilated convolution in which a step sees itself and what came before; as many steps come out as go in.

    Taps that reach further back than the first of `steps` would only ever see padding: they are left out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        dilation: int,
        steps: int,
        *,
        separable: bool,
        weight: bool,
    ) -> None:
        super().__init__()
        taps = min(kernel, 1 + (steps - 1) // dilation)
        self.past = (taps - 1) * dilation
        seen = f"k{taps}d{dilation}"
        convolutions: dict[str, nn.Module]
        if separable:
            convolutions = {
                f"depthwise_{seen}": nn.Conv1d(in_channels, in_channels, taps, dilation=dilation, groups=in_channels),
                "pointwise": nn.Conv1d(in_channels, out_channels, 1),
            }
        else:
            convolutions = {f"dense_{seen}": nn.Conv1d(in_channels, out_channels, taps, dilation=dilation)}
        if weight:
            convolutions = {name: weight_norm(convolution) for name, convolution in convolutions.items()}
        self.convolutions = sequence(convolutions)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, steps) to (batch, out_channels, steps)."""
        outputs: Tensor = self.convolutions(pad(inputs, (self.past, 0)))
        return outputs


class Level(nn.Module):
    """Two causal convolutions of one dilation, each with normalization, activation and dropout, beside a shortcut."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        dilation: int,
        steps: int,
        shared: Mapping[str, Value],
    ) -> None:
        super().__init__()
        normalization = str(shared["normalization"])
        activation = ACTIVATIONS[str(shared["activation"])]
        parts: dict[str, nn.Module] = {}
        for number, channels in enumerate((in_channels, out_channels)):
            parts[f"conv{number}"] = CausalConv(
                channels,
                out_channels,
                kernel,
                dilation,
                steps,
                separable=shared["convolution"] == "separable",
                weight=normalization == "weight",
            )
            parts |= {
                f"norm{number}": channel_norm(normalization, out_channels),
                f"activation{number}": activation(),
                f"dropout{number}": nn.Dropout(float(shared["dropout"])),
            }
        self.residual = sequence(parts)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv1d(in_channels, out_channels, 1)
        self.activation = activation()

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, steps) to (batch, out_channels, steps)."""
        outputs: Tensor = self.activation(self.residual(inputs) + self.shortcut(inputs))
        return outputs


class TCNSkeleton(Skeleton):
    """Size of the network; the defaults are the space's own."""

    width: Annotated[float, Field(gt=0, le=64, description="Factor on the width of every level.")] = 1.0


def tcn(architecture: Mapping[str, Value], skeleton: TCNSkeleton, series: Series) -> nn.Sequential:
    """Levels whose dilation grows by the decided base, pooling over time, linear classifier."""
    channels = series.channels
    parts: dict[str, nn.Module] = {}
    for level in range(int(architecture["depth"])):
        width = scaled(architecture[f"width.{level}"], skeleton.width)
        dilation = int(architecture["dilation_base"]) ** level
        kernel = int(architecture[f"kernel.{level}"])
        parts[f"level{level}"] = Level(channels, width, kernel, dilation, series.steps, architecture)
        channels = width
    parts["pooling"] = Pooling(str(architecture["pooling"]), channels)
    return sequence({**parts, "output": nn.Linear(channels, series.classes)})


# Receptive field of 61 steps.
TCN: Final = Family(
    TCNSkeleton,
    tcn,
    default={
        "depth": 4,
        **{f"width.{level}": 64 for level in range(4)},
        **{f"kernel.{level}": 3 for level in range(4)},
        "dilation_base": 2,
        "convolution": "dense",
        "normalization": "batch",
        "activation": "relu",
        "pooling": "mean",
        "dropout": 0.1,
    },
)

"""Recurrent networks over convolutions, for speech (Deep Speech 2, Amodei et al., ICML 2016, arXiv:1512.02595)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Series, Skeleton
from kubenas_trial.networks.series import ChannelNorm, Pooling, scaled

_CELLS: Final[dict[str, Callable[..., nn.RNNBase]]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """One recurrent layer: (batch, channels, steps) to (batch, width x directions, steps)."""

    def __init__(self, cell: str, channels: int, width: int, directions: int) -> None:
        super().__init__()
        self.layer = _CELLS[cell](channels, width, batch_first=True, bidirectional=directions == 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """The state after each step, both directions' side by side."""
        states: Tensor = self.layer(inputs.transpose(1, 2))[0]
        return states.transpose(1, 2)


class RNNSkeleton(Skeleton):
    """Size of the network; a width of 1 gives the space's own sizes, and the parameters that it counts."""

    width: Annotated[float, Field(gt=0, le=64, description="Factor on the width of every layer.")] = 0.25


def rnn(architecture: Mapping[str, Value], skeleton: RNNSkeleton, series: Series) -> nn.Sequential:
    """Convolutions over time, recurrent layers, pooling over time, linear classifier.

    Normalization is behind each convolution and recurrent layer, dropout behind each recurrent layer.
    """
    normalization, dropout = str(architecture["normalization"]), float(architecture["dropout"])
    channels = series.channels
    layers: list[nn.Module] = []
    for place in range(int(architecture["convolutions"])):
        width = scaled(architecture[f"conv_width.{place}"], skeleton.width)
        kernel, stride = int(architecture[f"conv_kernel.{place}"]), int(architecture[f"conv_stride.{place}"])
        layers.append(nn.Conv1d(channels, width, kernel, stride, padding=kernel // 2))
        layers += [*_normalized(normalization, width), nn.ReLU()]
        channels = width
    width, directions = scaled(architecture["width"], skeleton.width), int(architecture["directions"])
    for _ in range(int(architecture["depth"])):
        layers.append(Recurrent(str(architecture["cell"]), channels, width, directions))
        channels = width * directions
        layers += [*_normalized(normalization, channels), nn.Dropout(dropout)]
    pooling = Pooling(str(architecture["pooling"]), channels)
    return nn.Sequential(*layers, pooling, nn.Linear(channels, series.classes))


def _normalized(kind: str, channels: int) -> list[nn.Module]:
    match kind:
        case "batch":
            return [nn.BatchNorm1d(channels)]
        case "layer":
            return [ChannelNorm(channels)]
        case _:
            return []


RNN: Final = Family(
    RNNSkeleton,
    rnn,
    default={
        "convolutions": 1,
        "conv_width.0": 64,
        "conv_kernel.0": 5,
        "conv_stride.0": 2,
        "cell": "gru",
        "depth": 1,
        "width": 256,
        "directions": 2,
        "normalization": "batch",
        "pooling": "mean",
        "dropout": 0.1,
    },
)

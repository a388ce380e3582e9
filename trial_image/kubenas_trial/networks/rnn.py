"""Recurrent networks over convolutions, for speech (Deep Speech 2, Amodei et al., ICML 2016, arXiv:1512.02595)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Series, Skeleton
from kubenas_trial.networks.parts import sequence
from kubenas_trial.networks.recurrent import Recurrent
from kubenas_trial.networks.series import Pooling, channel_norm, scaled


class RNNSkeleton(Skeleton):
    """Size of the network; a width of 1 gives the space's own sizes, and the parameters that it counts."""

    width: Annotated[float, Field(gt=0, le=64, description="Factor on the width of every layer.")] = 0.25


def rnn(architecture: Mapping[str, Value], skeleton: RNNSkeleton, series: Series) -> nn.Sequential:
    """Convolutions over time, recurrent layers, pooling over time, linear classifier.

    Normalization is behind each convolution and recurrent layer, dropout behind each recurrent layer.
    """
    normalization, dropout = str(architecture["normalization"]), float(architecture["dropout"])
    channels = series.channels
    parts: dict[str, nn.Module] = {}
    for index in range(int(architecture["convolutions"])):
        width = scaled(architecture[f"conv_width.{index}"], skeleton.width)
        kernel, stride = int(architecture[f"conv_kernel.{index}"]), int(architecture[f"conv_stride.{index}"])
        parts |= {
            f"conv{index}": sequence({f"k{kernel}": nn.Conv1d(channels, width, kernel, stride, padding=kernel // 2)}),
            f"conv{index}_norm": channel_norm(normalization, width),
            f"conv{index}_activation": nn.ReLU(),
        }
        channels = width
    width, directions = scaled(architecture["width"], skeleton.width), int(architecture["directions"])
    cell = str(architecture["cell"])
    recurrent: dict[str, nn.Module] = {}
    for index in range(int(architecture["depth"])):
        recurrent[f"layer{index}"] = sequence({cell: Recurrent(cell, channels, width, directions)})
        channels = width * directions
        recurrent |= {f"norm{index}": channel_norm(normalization, channels), f"dropout{index}": nn.Dropout(dropout)}
    recurrent["pooling"] = Pooling(str(architecture["pooling"]), channels)
    recurrent["output"] = nn.Linear(channels, series.classes)
    # All after the first layer reads the states of one direction, or of both interleaved, with weights of its own.
    return sequence({**parts, "two_ways" if directions == 2 else "one_way": sequence(recurrent)})


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

"""Multilayer perceptrons: the preset of that name, and the family of spaces made of `parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.errors import read
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.parts import sequence

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
_NORMALIZATIONS: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


class MLPDecisions(BaseModel):
    """What a space may decide about a perceptron; a decision that it leaves open has the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Annotated[int, Field(ge=1, le=65_536)] = 64
    layers: Annotated[int, Field(ge=1, le=256)] = 2
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NoSkeleton(Skeleton):
    """Nothing is around the searched part."""


def perceptron(architecture: Mapping[str, Value], _skeleton: NoSkeleton, images: Images) -> nn.Sequential:
    """`layers` hidden layers of `hidden` units, each with activation and dropout, then a linear classifier.

    Raises:
        InvalidTrialError: a decision is not one of MLPDecisions, or has an impossible value.
    """
    decisions = read(MLPDecisions, dict(architecture), "architecture")
    parts: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    width = images.channels * images.height * images.width
    for index in range(decisions.layers):
        parts |= {
            f"layer{index}": nn.Linear(width, decisions.hidden),
            f"activation{index}": _ACTIVATIONS[decisions.activation](),
        }
        if decisions.dropout > 0:
            parts[f"dropout{index}"] = nn.Dropout(decisions.dropout)
        width = decisions.hidden
    return sequence({**parts, "output": nn.Linear(width, images.classes)})


class MLPSkeleton(Skeleton):
    """Size of the preset's perceptron; `width` 1 is the space's."""

    width: Annotated[float, Field(gt=0, le=64, description="Factor of the layers' widths.")] = 1.0


class Layer(nn.Module):
    """A dense layer with normalization, activation and dropout, as decided for `index`.

    With `skip` its input is added, brought to the same width where that differs.
    """

    def __init__(self, architecture: Mapping[str, Value], index: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        normalization = str(architecture["normalization"])
        parts: dict[str, nn.Module] = {"linear": nn.Linear(in_channels, out_channels)}
        if normalization != "none":
            parts[normalization] = _NORMALIZATIONS[normalization](out_channels)
        parts["activation"] = _ACTIVATIONS[str(architecture[f"activation.{index}"])]()
        self.body = sequence({**parts, "dropout": nn.Dropout(float(architecture["dropout"]))})
        self.shortcut: nn.Module | None = None
        if architecture["skip"] == "residual":
            same = in_channels == out_channels
            self.shortcut = nn.Identity() if same else nn.Linear(in_channels, out_channels, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels) to (batch, out_channels)."""
        outputs: Tensor = self.body(inputs)
        return outputs if self.shortcut is None else outputs + self.shortcut(inputs)


def mlp(architecture: Mapping[str, Value], skeleton: MLPSkeleton, images: Images) -> nn.Sequential:
    """Hidden layers, each with normalization, activation and dropout as decided, then a linear classifier."""
    parts: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    width = images.channels * images.height * images.width
    for index in range(int(architecture["depth"])):
        # At least 2, as layers are normalized over their channels.
        out_channels = max(2, round(float(architecture[f"width.{index}"]) * skeleton.width))
        parts[f"layer{index}"] = Layer(architecture, index, width, out_channels)
        width = out_channels
    return sequence({**parts, "output": nn.Linear(width, images.classes)})


PERCEPTRON: Final = Family(NoSkeleton, perceptron, default={})
MLP: Final = Family(
    MLPSkeleton,
    mlp,
    default={
        "depth": 2,
        **{f"width.{layer}": 128 for layer in range(2)},
        **{f"activation.{layer}": "relu" for layer in range(2)},
        "normalization": "batch",
        "skip": "none",
        "dropout": 0.1,
    },
)

"""Multilayer perceptrons: the preset of that name, and the family of spaces made of `parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.errors import read
from kubenas_trial.networks.base import Family, Images, Skeleton

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
    layers: list[nn.Module] = [nn.Flatten()]
    width = images.channels * images.height * images.width
    for _ in range(decisions.layers):
        layers += [nn.Linear(width, decisions.hidden), _ACTIVATIONS[decisions.activation]()]
        if decisions.dropout > 0:
            layers.append(nn.Dropout(decisions.dropout))
        width = decisions.hidden
    return nn.Sequential(*layers, nn.Linear(width, images.classes))


class MLPSkeleton(Skeleton):
    """Size of the preset's perceptron; `width` 1 is the space's."""

    width: Annotated[float, Field(gt=0, le=64, description="Factor of the layers' widths.")] = 1.0


class ResidualLayer(nn.Module):
    """What a layer gives and its input, brought to the same width where that differs."""

    def __init__(self, layer: nn.Module, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = layer
        self.shortcut: nn.Module = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, inputs) to (batch, outputs)."""
        total: Tensor = self.layer(inputs) + self.shortcut(inputs)
        return total


def mlp(architecture: Mapping[str, Value], skeleton: MLPSkeleton, images: Images) -> nn.Sequential:
    """Hidden layers, each with normalization, activation and dropout as decided, then a linear classifier."""
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = images.channels * images.height * images.width
    normalization, dropout = str(architecture["normalization"]), float(architecture["dropout"])
    for place in range(int(architecture["depth"])):
        outputs = max(1, round(float(architecture[f"width.{place}"]) * skeleton.width))
        parts: list[nn.Module] = [nn.Linear(inputs, outputs)]
        if normalization != "none":
            parts.append(_NORMALIZATIONS[normalization](outputs))
        parts += [_ACTIVATIONS[str(architecture[f"activation.{place}"])](), nn.Dropout(dropout)]
        layer = nn.Sequential(*parts)
        layers.append(ResidualLayer(layer, inputs, outputs) if architecture["skip"] == "residual" else layer)
        inputs = outputs
    return nn.Sequential(*layers, nn.Linear(inputs, images.classes))


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

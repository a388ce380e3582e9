"""Networks of stages of blocks of one's own (`searchSpace.macro`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.backbones import Residual, conv_norm
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.mbconv import InvertedResidual, Resized

# A block of (inputs, outputs, kernel, expansion, stride).
_Make = Callable[[int, int, int, float, int], nn.Module]
_NAMED = re.compile(r"mb(\d+)_k(\d+)")
_KERNEL = 3
_EXPANSION = 4.0
# Below this many pixels a side, halving the image leaves little to convolve.
_SMALLEST = 4


class MacroSkeleton(Skeleton):
    """Size of what the space leaves open."""

    channels: Annotated[
        int, Field(ge=1, le=4096, description="Of the stem, and of stages without a width, doubled at each.")
    ] = 16


def _conv(inputs: int, outputs: int, kernel: int, _expansion: float, stride: int) -> nn.Module:
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride), nn.ReLU())


def _separable(inputs: int, outputs: int, kernel: int, _expansion: float, stride: int) -> nn.Module:
    return nn.Sequential(
        *conv_norm(inputs, inputs, kernel, stride, groups=inputs), nn.ReLU(), *conv_norm(inputs, outputs, 1), nn.ReLU()
    )


def _residual(inputs: int, outputs: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    hidden = max(1, round(outputs * expansion))
    body = nn.Sequential(conv_norm(inputs, hidden, kernel, stride), nn.ReLU(), conv_norm(hidden, outputs, kernel))
    return Residual(body, inputs, outputs, stride, linear=False)


def _inverted(inputs: int, outputs: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    return InvertedResidual(inputs, outputs, expansion, kernel, stride)


def _fused(inputs: int, outputs: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    hidden = max(1, round(inputs * expansion))
    body = nn.Sequential(conv_norm(inputs, hidden, kernel, stride), nn.ReLU6(), conv_norm(hidden, outputs, 1))
    return Residual(body, inputs, outputs, stride, linear=True)


def _skip(inputs: int, outputs: int, _kernel: int, _expansion: float, stride: int) -> nn.Module:
    return nn.Identity() if inputs == outputs and stride == 1 else conv_norm(inputs, outputs, 1, stride)


# Name, block, and its expansion where the space decides none.
BLOCKS: Final[Mapping[str, tuple[_Make, float]]] = {
    "conv": (_conv, 1.0),
    "sep_conv": (_separable, 1.0),
    "residual": (_residual, 1.0),
    "mbconv": (_inverted, _EXPANSION),
    "fused_mbconv": (_fused, _EXPANSION),
    "skip": (_skip, 1.0),
    "id": (_skip, 1.0),
    "skip_connect": (_skip, 1.0),
}


def macro(architecture: Mapping[str, Value], skeleton: MacroSkeleton, images: Images) -> nn.Sequential:
    """Stem, the stages, global average pool, linear classifier.

    Each stage but the first halves the image by its first block, as long as that is not small. Blocks are inverted
    residuals where the space decides expansions and no operations, else residual blocks; without decisions a kernel has
    3 pixels and an inverted residual an expansion of 4.

    Raises:
        InvalidTrialError: an operation or a kernel is none that is known here.
    """
    layers: list[nn.Module] = []
    height, width = images.height, images.width
    if "resolution" in architecture:
        height = width = int(architecture["resolution"])
        layers.append(Resized(height))
    channels = skeleton.channels
    layers += [conv_norm(images.channels, channels, 3), nn.ReLU()]
    stages = [name.removesuffix("_depth") for name in architecture if name.endswith("_depth")]
    for number, stage in enumerate(stages):
        outputs = int(architecture.get(f"{stage}_width", skeleton.channels * 2**number))
        for place in range(int(architecture[f"{stage}_depth"])):
            stride = 2 if place == 0 and number > 0 and min(height, width) > _SMALLEST else 1
            layers.append(_block(architecture, stage, place, channels, outputs, stride))
            channels, height, width = outputs, -(-height // stride), -(-width // stride)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, images.classes))


def _block(
    architecture: Mapping[str, Value], stage: str, place: int, inputs: int, outputs: int, stride: int
) -> nn.Module:
    expansion = architecture.get(f"{stage}_expansion.{place}")
    kernel = int(architecture.get(f"{stage}_kernel.{place}", _KERNEL))
    name = str(architecture.get(f"{stage}_operation.{place}", "residual" if expansion is None else "mbconv"))
    if found := _NAMED.fullmatch(name):
        name, expansion, kernel = "mbconv", int(found[1]), int(found[2])
    if name not in BLOCKS:
        raise InvalidTrialError(
            f"searchSpace.macro.stages.{stage}.operation: {name!r} is unknown to this trainer: choose of "
            f"{', '.join(BLOCKS)} or, for example, mb6_k5 (expansion 6, kernel 5), or name an image of your own in "
            "trialTemplate"
        )
    if kernel % 2 == 0:
        raise InvalidTrialError(f"searchSpace.macro.stages.{stage}.kernel: {kernel} is even: only odd ones keep sizes")
    make, usual = BLOCKS[name]
    return make(inputs, outputs, kernel, usual if expansion is None else float(expansion), stride)


MACRO: Final = Family(MacroSkeleton, macro, default={})

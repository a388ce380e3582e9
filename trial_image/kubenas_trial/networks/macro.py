"""Networks of stages of blocks of one's own (`searchSpace.macro`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.backbones import Residual
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.mbconv import InvertedResidual, Resized
from kubenas_trial.networks.parts import conv_norm, sequence

# A block of (in_channels, out_channels, kernel, expansion, stride).
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


def _conv(in_channels: int, out_channels: int, kernel: int, _expansion: float, stride: int) -> nn.Module:
    return sequence({"conv": conv_norm(in_channels, out_channels, kernel, stride), "activation": nn.ReLU()})


def _separable(in_channels: int, out_channels: int, kernel: int, _expansion: float, stride: int) -> nn.Module:
    return sequence(
        {
            "depthwise": conv_norm(in_channels, in_channels, kernel, stride, groups=in_channels),
            "depthwise_activation": nn.ReLU(),
            "pointwise": conv_norm(in_channels, out_channels, 1),
            "pointwise_activation": nn.ReLU(),
        }
    )


def _residual(in_channels: int, out_channels: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    hidden = max(1, round(out_channels * expansion))
    body = nn.Sequential(
        conv_norm(in_channels, hidden, kernel, stride), nn.ReLU(), conv_norm(hidden, out_channels, kernel)
    )
    return Residual(body, in_channels, out_channels, stride)


def _inverted(in_channels: int, out_channels: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    return InvertedResidual(in_channels, out_channels, expansion, kernel, stride)


def _fused(in_channels: int, out_channels: int, kernel: int, expansion: float, stride: int) -> nn.Module:
    return InvertedResidual(in_channels, out_channels, expansion, kernel, stride, fused=True)


def _skip(in_channels: int, out_channels: int, _kernel: int, _expansion: float, stride: int) -> nn.Module:
    same = in_channels == out_channels and stride == 1
    return nn.Identity() if same else conv_norm(in_channels, out_channels, 1, stride)


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
    parts: dict[str, nn.Module] = {}
    height, width = images.height, images.width
    if "resolution" in architecture:
        height = width = int(architecture["resolution"])
        parts["resized"] = Resized(height)
    channels = skeleton.channels
    parts |= {"stem": conv_norm(images.channels, channels, 3), "stem_activation": nn.ReLU()}
    stages = [name.removesuffix("_depth") for name in architecture if name.endswith("_depth")]
    for number, stage in enumerate(stages):
        out_channels = int(architecture.get(f"{stage}_width", skeleton.channels * 2**number))
        blocks: dict[str, nn.Module] = {}
        for index in range(int(architecture[f"{stage}_depth"])):
            stride = 2 if index == 0 and number > 0 and min(height, width) > _SMALLEST else 1
            blocks[str(index)] = _block(architecture, stage, index, channels, out_channels, stride)
            channels, height, width = out_channels, -(-height // stride), -(-width // stride)
        # Not the stage's name alone, which is the user's and may be that of another part.
        parts[f"stage_{stage}"] = sequence(blocks)
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return sequence({**parts, "output": nn.Linear(channels, images.classes)})


def _block(
    architecture: Mapping[str, Value], stage: str, index: int, in_channels: int, out_channels: int, stride: int
) -> nn.Module:
    expansion = architecture.get(f"{stage}_expansion.{index}")
    kernel = int(architecture.get(f"{stage}_kernel.{index}", _KERNEL))
    name = str(architecture.get(f"{stage}_operation.{index}", "residual" if expansion is None else "mbconv"))
    operation = name
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
    block = make(in_channels, out_channels, kernel, usual if expansion is None else float(expansion), stride)
    return sequence({operation: block})


MACRO: Final = Family(MacroSkeleton, macro, default={}, kernels=re.compile(r"\.k(\d+)\.weight"))

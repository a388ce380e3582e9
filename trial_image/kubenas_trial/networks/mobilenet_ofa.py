"""Once-for-All's MobileNetV3 networks (Cai et al., ICLR 2020, arXiv:1908.09791)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas.space.presets.mobilenet_ofa import FIRST_CHANNELS, UNITS
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.mbconv import Activation, InvertedResidual, Resized, scaled_channels
from kubenas_trial.networks.parts import conv_norm, sequence

# Of MobileNetV3-Large's units: activation, and whether they have squeeze-and-excitation.
_KINDS: Final[tuple[tuple[Activation, bool], ...]] = (
    (nn.ReLU, False),
    (nn.ReLU, True),
    (nn.Hardswish, False),
    (nn.Hardswish, True),
    (nn.Hardswish, True),
)
_FINAL_EXPANSION = 6
_HEAD = 1280


class MobileNetOFASkeleton(Skeleton):
    """Size of the network; `width` 1 (or 1.2) and `resolution` 1 are the paper's."""

    width: Annotated[float, Field(gt=0, le=16, description="Factor of all channels.")] = 0.5
    resolution: Annotated[
        float, Field(gt=0, le=16, description="Factor of the architecture's resolution, which images are scaled to.")
    ] = 0.25


def mobilenet_ofa(architecture: Mapping[str, Value], skeleton: MobileNetOFASkeleton, images: Images) -> nn.Sequential:
    """Stem, five units of inverted residuals, MobileNetV3's head."""
    channels = scaled_channels(FIRST_CHANNELS, skeleton.width)
    side = max(1, round(float(architecture["resolution"]) * skeleton.resolution))
    parts: dict[str, nn.Module] = {
        "resized": Resized(side),
        "stem": conv_norm(images.channels, channels, 3, stride=2),
        "stem_activation": nn.Hardswish(),
        "first": InvertedResidual(channels, channels, 1, 3, activation=nn.ReLU),
    }
    for unit, ((width, first_stride), (activation, excited)) in enumerate(zip(UNITS, _KINDS, strict=True), start=1):
        out_channels = scaled_channels(width, skeleton.width)
        blocks: dict[str, nn.Module] = {}
        for index in range(int(architecture[f"unit{unit}_depth"])):
            blocks[str(index)] = InvertedResidual(
                channels,
                out_channels,
                float(architecture[f"unit{unit}_expansion.{index}"]),
                int(architecture[f"unit{unit}_kernel.{index}"]),
                first_stride if index == 0 else 1,
                activation=activation,
                excited=excited,
            )
            channels = out_channels
        parts[f"unit{unit}"] = sequence(blocks)
    last, head = _FINAL_EXPANSION * channels, scaled_channels(_HEAD, skeleton.width)
    parts |= {
        "last": conv_norm(channels, last, 1),
        "last_activation": nn.Hardswish(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "head": nn.Conv2d(last, head, 1, bias=False),
        "head_activation": nn.Hardswish(),
        "flatten": nn.Flatten(),
        "output": nn.Linear(head, images.classes),
    }
    return sequence(parts)


_UNITS: Final = range(1, len(UNITS) + 1)
MOBILENET_OFA: Final = Family(
    MobileNetOFASkeleton,
    mobilenet_ofa,
    default={
        "resolution": 176,
        **{f"unit{unit}_depth": 2 for unit in _UNITS},
        **{f"unit{unit}_kernel.{index}": 3 for unit in _UNITS for index in range(2)},
        **{f"unit{unit}_expansion.{index}": 4 for unit in _UNITS for index in range(2)},
    },
    # Without the paper's matrices between the kernels.
    kernels=re.compile(r"\.depthwise\.k(\d+)\.weight"),
)

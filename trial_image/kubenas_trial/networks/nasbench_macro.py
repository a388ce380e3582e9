"""NAS-Bench-Macro's networks of 8 MobileNet blocks (Su et al., CVPR 2021, arXiv:2103.11922)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas.space.presets.nasbench_macro import LAYERS, STAGES, STEM
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.mbconv import InvertedResidual, scaled_channels
from kubenas_trial.networks.parts import conv_norm, sequence

_BLOCKS: Final = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}
_HEAD = 1280


class NASBenchMacroSkeleton(Skeleton):
    """Size of the network around the blocks; `width` 1 is the paper's, on images of 32 pixels."""

    width: Annotated[float, Field(gt=0, le=16, description="Factor of all channels.")] = 0.25


def nasbench_macro(architecture: Mapping[str, Value], skeleton: NASBenchMacroSkeleton, images: Images) -> nn.Sequential:
    """Stem, three stages that each halve the image, head."""
    channels = scaled_channels(STEM, skeleton.width)
    parts: dict[str, nn.Module] = {"stem": conv_norm(images.channels, channels, 3), "stem_activation": nn.ReLU6()}
    operations = enumerate(LAYERS)
    for depth, width, _ in STAGES:
        out_channels = scaled_channels(width, skeleton.width)
        for index in range(depth):
            number, decision = next(operations)
            parts[f"layer{number}"] = _layer(str(architecture[decision]), channels, out_channels, 1 + (index == 0))
            channels = out_channels
    hidden = scaled_channels(_HEAD, skeleton.width)
    parts |= {
        "head": conv_norm(channels, hidden, 1),
        "head_activation": nn.ReLU6(),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "output": nn.Linear(hidden, images.classes),
    }
    return sequence(parts)


def _layer(name: str, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if name in _BLOCKS:
        return sequence({name: InvertedResidual(in_channels, out_channels, *_BLOCKS[name], stride)})
    return sequence({name: conv_norm(in_channels, out_channels, 1, stride)}) if stride > 1 else nn.Identity()


NASBENCH_MACRO: Final = Family(NASBenchMacroSkeleton, nasbench_macro, default=dict.fromkeys(LAYERS, "mb3_k3"))

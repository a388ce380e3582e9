"""NAS-Bench-Macro's networks of 8 MobileNet blocks (Su et al., CVPR 2021, arXiv:2103.11922)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field
from torch import nn

from kubenas.space.base import Value
from kubenas.space.presets.nasbench_macro import LAYERS, STAGES, STEM
from kubenas_trial.networks.backbones import conv_norm
from kubenas_trial.networks.base import Family, Images, Skeleton
from kubenas_trial.networks.mbconv import InvertedResidual, classifier, scaled_channels

_BLOCKS: Final = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}
_HEAD = 1280


class NASBenchMacroSkeleton(Skeleton):
    """Size of the network around the blocks; `width` 1 is the paper's, on images of 32 pixels."""

    width: Annotated[float, Field(gt=0, le=16, description="Factor of all channels.")] = 0.25


def nasbench_macro(architecture: Mapping[str, Value], skeleton: NASBenchMacroSkeleton, images: Images) -> nn.Sequential:
    """Stem, three stages that each halve the image, head."""
    channels = scaled_channels(STEM, skeleton.width)
    layers: list[nn.Module] = [conv_norm(images.channels, channels, 3), nn.ReLU6()]
    operations = iter(LAYERS)
    for depth, width, _ in STAGES:
        outputs = scaled_channels(width, skeleton.width)
        for place in range(depth):
            layers.append(_layer(str(architecture[next(operations)]), channels, outputs, 2 if place == 0 else 1))
            channels = outputs
    return nn.Sequential(*layers, *classifier(channels, scaled_channels(_HEAD, skeleton.width), images.classes))


def _layer(name: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    if name in _BLOCKS:
        return InvertedResidual(inputs, outputs, *_BLOCKS[name], stride)
    return conv_norm(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()


NASBENCH_MACRO: Final = Family(NASBenchMacroSkeleton, nasbench_macro, default=dict.fromkeys(LAYERS, "mb3_k3"))

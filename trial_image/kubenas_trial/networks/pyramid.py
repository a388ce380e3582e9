"""Feature pyramids: fusion of maps of several resolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d, relu

from kubenas_trial.networks.parts import conv_norm, sequence

# As in EfficientDet: keeps the fusion finite when all weights are 0.
_EPSILON = 1e-4


def _doubled(values: Tensor) -> Tensor:
    return interpolate(values, scale_factor=2.0, mode="nearest")


class FPN(nn.Module):
    """From the coarsest map down, each is added to the next finer one (Lin et al., CVPR 2017, arXiv:1612.03144).

    Maps come and go from fine to coarse, each (batch, width, height, width) and half the size of the one before.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.smooth = nn.ModuleList(nn.Sequential(conv_norm(width, width, 3), nn.ReLU()) for _ in range(levels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the same shapes."""
        merged = maps[-1:]
        for values in reversed(maps[:-1]):
            merged.insert(0, values + _doubled(merged[0]))
        return [smooth(values) for smooth, values in zip(self.smooth, merged, strict=True)]


class PAN(nn.Module):
    """An FPN, and a way back up from the finest map (Liu et al., CVPR 2018, arXiv:1803.01534)."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.down = FPN(width, levels)
        self.shrink = nn.ModuleList(
            nn.Sequential(conv_norm(width, width, 3, stride=2), nn.ReLU()) for _ in range(levels - 1)
        )
        self.smooth = nn.ModuleList(nn.Sequential(conv_norm(width, width, 3), nn.ReLU()) for _ in range(levels - 1))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the same shapes."""
        finest, *coarser = self.down(maps)
        merged = [finest]
        for values, shrink, smooth in zip(coarser, self.shrink, self.smooth, strict=True):
            merged.append(smooth(values + shrink(merged[-1])))
        return merged


class _Fusion(nn.Module):
    """The sum of maps of one shape with learned weights, then a separable convolution."""

    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(inputs))
        self.convolution = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False), conv_norm(width, width, 1)
        )

    def forward(self, *maps: Tensor) -> Tensor:
        weights = relu(self.weights)
        total = torch.stack([weight * values for weight, values in zip(weights, maps, strict=True)]).sum(0)
        fused: Tensor = self.convolution(nn.functional.silu(total / (weights.sum() + _EPSILON)))
        return fused


class BiFPN(nn.Module):
    """Down and up with weighted, separable fusions (EfficientDet: Tan et al., CVPR 2020, arXiv:1911.09070)."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_Fusion(width, 2) for _ in range(levels - 1))
        # The coarsest map has no intermediate value to be fused with.
        self.up = nn.ModuleList(_Fusion(width, 2 if level == levels - 1 else 3) for level in range(1, levels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of the same shapes."""
        middle = maps[-1:]
        for values, fuse in zip(reversed(maps[:-1]), self.down, strict=True):
            middle.insert(0, fuse(values, _doubled(middle[0])))
        merged = middle[:1]
        for level, fuse in enumerate(self.up, start=1):
            below = max_pool2d(merged[-1], 3, stride=2, padding=1)
            intermediate = [middle[level]] if level < len(maps) - 1 else []
            merged.append(fuse(maps[level], *intermediate, below))
        return merged


_LAYERS: Final[Mapping[str, Callable[[int, int], nn.Module]]] = {"fpn": FPN, "pan": PAN, "bifpn": BiFPN}


class Pyramid(nn.Module):
    """Maps of `channels` brought to one `width`, then one layer for each of `layers` (fpn, pan, bifpn)."""

    def __init__(self, channels: Sequence[int], width: int, layers: Sequence[str]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv_norm(each, width, 1) for each in channels)
        self.layers = nn.ModuleList(sequence({name: _LAYERS[name](width, len(channels))}) for name in layers)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """As many maps, of the same sizes and `width` channels."""
        values = [lateral(each) for lateral, each in zip(self.lateral, maps, strict=True)]
        for layer in self.layers:
            values = layer(values)
        return values

"""Normalization by groups of channels."""

from __future__ import annotations

import math
from typing import Final

from torch import nn

# Channels of a group at least: one alone at one pixel has no variance, and would come out as 0 whatever it was.
CHANNELS: Final = 4


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group normalization (Wu & He, ECCV 2018, arXiv:1803.08494), also of maps of a single pixel.

    Args:
        channels: a multiple of `CHANNELS`.
        groups: their number at most; there are as many as divide both it and the channels into equal groups.
    """
    return nn.GroupNorm(math.gcd(channels // CHANNELS, groups), channels)

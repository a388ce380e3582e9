"""What building blocks cost."""

from __future__ import annotations

from dataclasses import dataclass

from kubenas.space.architecture import Architecture


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one forward pass; sums add both."""

    params: float = 0.0
    flops: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.flops + other.flops)

    def by_name(self) -> dict[str, float]:
        """As a space gives them."""
        return {"params": self.params, "flops": self.flops}


def inverted_residual(inputs: int, outputs: int, expansion: float, kernel: int, side: int, stride: int) -> Cost:
    """MobileNetV2's block (Sandler et al., CVPR 2018, arXiv:1801.04381) on a square map of `side` pixels.

    Expansion, depthwise convolution and projection, each with its normalisation; no squeeze-and-excitation.
    """
    hidden = round(inputs * expansion)
    weights = inputs * hidden, kernel**2 * hidden, hidden * outputs
    area, area_after = side**2, (side // stride) ** 2
    return Cost(
        params=sum(weights) + 4 * hidden + 2 * outputs,
        flops=weights[0] * area + (weights[1] + weights[2]) * area_after,
    )


def attention(queries: int, keys: int, inner: int) -> float:
    """Parameters of attention: from `queries` and `keys` wide vectors to `inner` wide ones and back, with biases."""
    return (queries + 1) * inner + 2 * (keys + 1) * inner + (inner + 1) * queries


def feed_forward(width: int, inner: float) -> float:
    """Parameters of two dense layers with biases, `width` to `inner` and back."""
    return 2 * width * inner + inner + width


def whole(architecture: Architecture, name: str) -> int:
    """The value of a decision whose values are whole numbers."""
    return int(architecture[name])

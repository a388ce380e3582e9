"""NAS-Bench-Macro: 8 layers of MobileNet blocks (Su et al., CVPR 2021, arXiv:2103.11922)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import comb, prod
from typing import Any, Final

from kubenas.space.architecture import Architecture, InvalidArchitectureError, Value
from kubenas.space.base import SymmetricSpace
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.presets.blocks import Cost, inverted_residual

OPERATIONS: Final = ("id", "mb3_k3", "mb6_k5")
# Layers, channels and map's side of each stage; its first layer halves the map that comes in.
STAGES: Final = ((2, 64, 16), (3, 128, 8), (3, 256, 4))
STEM: Final = 32
LAYERS: Final = tuple(f"layer.{index}" for index in range(8))
_SETTINGS: Final = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}


class NASBenchMacro(SymmetricSpace):
    """8 layers, each a skip (`id`) or a MobileNet block of expansion 3 and kernel 3, or of expansion 6 and kernel 5.

    There are 3^8 = 6,561 strings; where in its stage a skip stands makes no difference, but for a stage's first layer,
    which changes the shape. That leaves the 3,969 networks of the paper.
    """

    def __init__(self) -> None:
        super().__init__([Decision(layer, Choice(OPERATIONS)) for layer in LAYERS], costs=_costs)

    def key(self, architecture: Architecture) -> str:
        """Each stage's blocks without skips after its first layer."""
        return "/".join(
            ",".join([first, *(operation for operation in rest if operation != "id")])
            for first, *rest in _stages(architecture)
        )

    def multiplicity(self, architecture: Architecture) -> int:
        """Number of allowed positions of the skips."""
        if not self.constraints:
            return prod(comb(len(rest), rest.count("id")) for _, *rest in _stages(architecture))
        placements = product(*(list(_placed(stage)) for stage in _stages(architecture)))
        same = (_architecture([operation for stage in stages for operation in stage]) for stages in placements)
        return sum(map(self.allows, same))

    def parse(self, document: Any) -> Architecture:
        """The architecture in an object of layers, or in the benchmark's string of 8 digits (0 skip, 1, 2 blocks).

        Raises:
            InvalidArchitectureError: it is neither.
        """
        if isinstance(document, str):
            if len(document) != len(LAYERS) or set(document) - set("012"):
                raise InvalidArchitectureError(f"{document!r:.80} is no network: write {len(LAYERS)} digits 0, 1 or 2")
            document = _architecture([OPERATIONS[int(digit)] for digit in document])
        return super().parse(document)

    def name(self, architecture: Architecture) -> str:
        """The benchmark's string, such as `00112021`."""
        return "".join(str(OPERATIONS.index(str(operation))) for operation in architecture.values())


def nasbench_macro() -> NASBenchMacro:
    """The space."""
    return NASBenchMacro()


def _architecture(operations: Sequence[Value]) -> Architecture:
    return Architecture(dict(zip(LAYERS, operations, strict=True)))


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` and `flops` (multiply-adds) of the MobileNet blocks."""
    total, inputs = Cost(), STEM
    for stage, (_, channels, side) in zip(_stages(architecture), STAGES, strict=True):
        for index, operation in enumerate(stage):
            stride = 2 if index == 0 else 1
            if operation in _SETTINGS:
                total += inverted_residual(inputs, channels, *_SETTINGS[operation], side * stride, stride)
            inputs = channels
    return total.by_name()


def _stages(architecture: Architecture) -> Iterator[list[str]]:
    operations = [str(architecture[layer]) for layer in LAYERS]
    for depth, _, _ in STAGES:
        yield operations[:depth]
        operations = operations[depth:]


def _placed(stage: Sequence[str]) -> Iterator[list[str]]:
    """The stage with its skips after the first layer in all possible positions."""
    first, *rest = stage
    blocks = [operation for operation in rest if operation != "id"]
    for positions in combinations(range(len(rest)), len(blocks)):
        placed = dict(zip(positions, blocks, strict=True))
        yield [first, *(placed.get(index, "id") for index in range(len(rest)))]

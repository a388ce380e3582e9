"""The search space as users write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.cell import Cell
from kubenas.api.costs import MAX_TABLES, CostTable
from kubenas.api.macro import Macro
from kubenas.api.parameter import Parameter
from kubenas.api.rule import Rule, Transition, Unique

Preset: TypeAlias = Literal[
    "nasbench201",
    "nasbench101",
    "darts",
    "nasbench-macro",
    "mobilenet-ofa",
    "transformer-decoder",
    "vit",
    "bert-encoder",
    "seq2seq",
    "unet",
    "detector",
    "mlp",
    "tcn",
    "rnn",
    "gnn",
    "image-text",
]
Constraint = Annotated[str, Field(min_length=1, max_length=1024)]


class SearchSpace(Ruled):
    """The architectures to choose from: a preset, or a space of one's own."""

    rules: ClassVar[Sequence[Rule[SearchSpace] | Unique]] = [
        Rule(
            cel="[has(self.preset), has(self.parameters), has(self.cell), has(self.macro)].filter(x, x).size() == 1",
            subject="searchSpace",
            message="needs exactly one of preset, parameters, cell and macro",
            holds=lambda space: [space.preset, space.parameters, space.cell, space.macro].count(None) == 3,
        ),
        Unique("parameters", "name"),
        Unique("costs", "name"),
    ]

    preset: Preset | None = Field(
        default=None,
        description="A published space. nasbench201: cells of 4 nodes and 6 edges with 5 operations. nasbench101: "
        "cells of up to 7 nodes and 9 edges. darts: normal and reduction cells. "
        "nasbench-macro: 8 layers of MobileNet blocks. mobilenet-ofa: Once-for-All's 5 stages of inverted residuals. "
        "transformer-decoder: LiteTransformerSearch's GPT-2. vit: AutoFormer's vision transformers. "
        "bert-encoder: FlexiBERT's mixed layers. seq2seq: hardware-aware transformers for translation. "
        "unet: encoder, decoder and what joins them. detector: backbone, feature pyramid and head. "
        "mlp: layers, widths, activation. tcn, rnn: networks for speech and other sequences. "
        "gnn: NAS-Bench-Graph's networks. image-text: encoders of an image and of a question, and what joins them.",
    )
    parameters: Annotated[
        list[Parameter] | None,
        # The equality of keyed lists overlooks their order, which random draws depend on.
        Transition(
            cel="self.map(p, p.name) == oldSelf.map(p, p.name)",
            message="is immutable: past trials were drawn from it",
        ),
    ] = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="Decisions of one's own.",
    )
    cell: Cell | None = Field(default=None, description="A small graph that a network repeats.")
    macro: Macro | None = Field(default=None, description="A network of stages of blocks.")
    costs: list[CostTable] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TABLES,
        description="Costs that are sums over decisions, such as latencies measured on a device. KubeNAS' trainer "
        "reports them as metrics; constraints and objectives may name them, and the predictor learns from them.",
    )
    constraints: list[Constraint] | None = Field(
        default=None,
        min_length=1,
        max_length=16,
        description="What every architecture must hold to, each in CEL (https://cel.dev), for example width <= 4 * "
        "depth. Names are those of decisions, null where switched off; a repeated one is the list of its values; "
        'others are architecture["NAME"]. Names of costs are their values. Presets may also know costs, such as '
        "params and flops, as numbers with a fraction: params <= 1e6, flops < 600.0 * params.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )

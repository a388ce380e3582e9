"""Which parameters of a family's networks belong to which decision of their space.

A row has three patterns: of decisions, of the names that such a decision may bring or take away, and of those whose
sizes it may change. In the latter two {0} and {1} are what the first one's groups found, {next} the number after {0}.
A decision without a row changes neither.
"""

from __future__ import annotations

from collections.abc import Mapping

Row = tuple[str, str, str]
NOTHING = r"(?!)"
ALL = r"."

_BERT: tuple[Row, ...] = (
    (r"hidden_size", NOTHING, ALL),
    (r"depth", r"encoder\.layers\.", NOTHING),
    (r"operation\.(\d)", r"encoder\.layers\.{0}\.mixing\.", NOTHING),
    (r"heads\.(\d)", NOTHING, r"encoder\.layers\.{0}\.mixing\.(DSC_\d\.weights|SA_WMA\.attention\.query\.1)"),
    (r"ffn_size\.(\d)", NOTHING, r"encoder\.layers\.{0}\.feed_forward\."),
    (r"ffn_layers\.(\d)", r"encoder\.layers\.{0}\.feed_forward\.hidden", NOTHING),
)
# What leads nowhere in a cell of one's own is left out, so a decision may bring others' operations.
_LIVE: tuple[Row, ...] = ((r".*", r"stack\d\.\d\.(edges|vertices)\.", NOTHING),)
_ENDS = r"stage_\w+\.0\.(residual\.shortcut|skip|id)|stage_\w+\.\d\.(skip|id)"

PARTS: Mapping[str, tuple[Row, ...]] = {
    "detector": (
        (r"backbone_width", NOTHING, r"backbone\.|pyramid\.lateral\."),
        (r"backbone_depth\.(\d)", r"backbone\.stages\.{0}\.", NOTHING),
        (r"backbone_block", r"backbone\.stages\.", r"pyramid\.lateral\."),
        (r"pyramid_repeats", r"pyramid\.layers\.", NOTHING),
        (r"pyramid\.(\d)", r"pyramid\.layers\.{0}\.", NOTHING),
        (r"pyramid_width", NOTHING, r"pyramid\.|head\."),
        (r"head", r"head\.(classes|boxes)\.anchor", NOTHING),
        (r"head_depth", r"head\.(classes|boxes)\.layer\d", NOTHING),
        (r"head_kernel\.(\d)", r"head\.(classes|boxes)\.layer{0}\.(dense|depthwise)_k", NOTHING),
        (r"head_conv", r"head\.(classes|boxes)\.layer\d\.(dense|depthwise|pointwise)", NOTHING),
    ),
    "unet": (
        (r"base_width", NOTHING, ALL),
        (r"normalization", r"(en|de)coder\.\d\.\w+\.layers\.norm\d\.", NOTHING),
        (r"downsample", r"shrink\.", NOTHING),
        (r"upsample", r"grow\.", NOTHING),
        (r"depth", r"(encoder|decoder|shrink|grow|join)\.", NOTHING),
        # The bottom, the encoder's last level, has the blocks of the level above it.
        (r"block\.(\d)", r"decoder\.{0}\.|encoder\.({0}|{next})\.", NOTHING),
        (r"convolutions\.(\d)", r"(decoder\.{0}|encoder\.({0}|{next}))\.\w+\.layers\.", NOTHING),
        (r"kernel\.(\d)", r"(decoder\.{0}|encoder\.({0}|{next}))\.\w+\.layers\.(conv|depthwise)", NOTHING),
        (r"skip\.(\d)", r"join\.{0}\.|decoder\.{0}\.\w+\.(layers\.(conv|depthwise)0|shortcut)", NOTHING),
    ),
    "bert-encoder": _BERT,
    "transformer-decoder": (
        (r"n_layer", r"layers\.", NOTHING),
        (r"d_model", NOTHING, ALL),
        (r"d_embed", NOTHING, r"embedding\.clusters\."),
        (r"div_val", r"embedding\.clusters\.([12]\.|0\.scoring\.)", r"embedding\.clusters\."),
        (r"d_inner\.(\d+)", NOTHING, r"layers\.{0}\.feed_forward\."),
    ),
    "seq2seq": (
        (r"encoder_embed", NOTHING, r"source\.|encoder|decoder\.\d\.cross\.(key|value)\."),
        (r"decoder_embed", NOTHING, r"target\.|decoder"),
        (r"(en|de)coder_ffn\.(\d)", NOTHING, r"{0}coder\.{1}\.feed_forward\."),
        (r"decoder_depth", r"decoder\.", NOTHING),
    ),
    "tcn": (
        (r"depth", r"level\d\.", r"output\.|pooling\."),
        (r"width\.(\d)", r"level({0}|{next})\.shortcut\.", r"level({0}|{next})\.|output\.|pooling\."),
        (r"kernel\.(\d)", r"level{0}\.residual\.conv\d\.", NOTHING),
        (r"dilation_base|convolution", r"level\d\.residual\.conv\d\.", NOTHING),
        (r"normalization", r"level\d\.residual\.(norm|conv)\d\.", NOTHING),
        (r"pooling", r"pooling\.", NOTHING),
    ),
    "rnn": (
        (r"convolutions", r"conv\d", r"(one|two)_ways?\.layer0\.\w+\.weight_ih"),
        (r"conv_width\.(\d)", NOTHING, r"conv({0}|{next})|(one|two)_ways?\.layer0\.\w+\.weight_ih"),
        (r"conv_kernel\.(\d)", r"conv{0}\.k", NOTHING),
        (r"cell", r"(one|two)_ways?\.layer\d\.", NOTHING),
        (r"depth", r"(one|two)_ways?\.(layer|norm)\d\.", NOTHING),
        (r"width", NOTHING, r"(one|two)_ways?\."),
        (r"directions", r"(one|two)_ways?\.", NOTHING),
        (r"normalization", r"conv\d_norm\.|(one|two)_ways?\.norm\d\.", NOTHING),
        (r"pooling", r"(one|two)_ways?\.pooling\.", NOTHING),
    ),
    "gnn": (
        (r"links", r"classifier\.weights\.", r"operations\."),
        (r"operation\.(\d)", r"operations\.{next}\.|classifier\.weights\.", r"operations\."),
    ),
    "image-text": (
        (r"image_depth", r"image\.stage\d\.|fusion\.cross_attention\.positions\.", r"fusion\.\w+\.image\."),
        (r"image_width\.(\d)", NOTHING, r"image\.stage({0}|{next})\.|fusion\.\w+\.image\."),
        (r"image_kernel\.(\d)", r"image\.stage{0}\.k", NOTHING),
        (r"text_encoder", r"text\.(gru|positions|layers|norm)\.", NOTHING),
        (r"text_width", NOTHING, r"text\.|fusion\.\w+\.(text|scale|shift)\."),
        (r"text_layers", r"text\.(gru|layers)\.", NOTHING),
        (r"fusion", r"fusion\.", NOTHING),
        (r"fusion_width", NOTHING, r"fusion\.|head\."),
        (r"head_layers", r"head\.layer\d\.", NOTHING),
    ),
    "nasbench201": ((r"(\d-\d)", r"stack\d\.\d\.edges\.{0}\.", NOTHING),),
    "nasbench101": (
        # What feeds the output shares its channels.
        (r"nodes", r"stack\d\.\d\.(operations|projections)\.", r"stack\d\.\d\."),
        (r"operation\.(\d)", r"stack\d\.\d\.operations\.{0}\.", NOTHING),
        (r"input-(\d)", r"stack\d\.\d\.projections\.{0}\.", NOTHING),
        (r"input-output", r"stack\d\.\d\.projections\.6\.", NOTHING),
        (r"\d-(\d|output)", NOTHING, r"stack\d\.\d\."),
    ),
    "darts": (
        (r"normal\.(\d)\..*", r"cells\.0\.graph\.edges\.\d-{0}\.", NOTHING),
        (r"reduction\.(\d)\..*", r"cells\.[12]\.graph\.edges\.\d-{0}\.", NOTHING),
    ),
    "nasbench-macro": ((r"layer\.(\d)", r"layer{0}\.", NOTHING),),
    "mobilenet-ofa": (
        (r"unit(\d)_depth", r"unit{0}\.\d\.", NOTHING),
        (r"unit(\d)_kernel\.(\d)", r"unit{0}\.{1}\.body\.depthwise\.k", NOTHING),
        (r"unit(\d)_expansion\.(\d)", NOTHING, r"unit{0}\.{1}\.body\."),
    ),
    "vit": (
        (r"embed_dim", NOTHING, ALL),
        (r"depth", r"layers\.", NOTHING),
        (r"num_heads\.(\d+)", NOTHING, r"layers\.{0}\.attention\."),
        (r"mlp_ratio\.(\d+)", NOTHING, r"layers\.{0}\.feed_forward\."),
    ),
    "mlp": (
        (r"depth", r"layer\d\.", r"output\."),
        (r"width\.(\d)", r"layer({0}|{next})\.shortcut\.", r"layer({0}|{next})\.|output\."),
        (r"normalization", r"layer\d\.body\.(batch|layer)\.", NOTHING),
        (r"skip", r"layer\d\.shortcut\.", NOTHING),
    ),
    "parameters": (
        (r"hidden", NOTHING, ALL),
        (r"layers", r"layer\d\.", NOTHING),
    ),
    "edges": _LIVE,
    "few edges": _LIVE,
    "a node that nothing reaches": _LIVE,
    "nodes": _LIVE,
    "free edges": _LIVE,
    "several": _LIVE,
    "inputs": ((r"(\d)\..*", r"cells\.\d\.graph\.edges\.\d-{0}\.", NOTHING),),
    "one input": (
        # Of five cells two are reductions, and the others take turns.
        (r"a\.(\d)\..*", r"cells\.[04]\.graph\.edges\.\d-{0}\.", NOTHING),
        (r"b\.(\d)\..*", r"cells\.2\.graph\.edges\.\d-{0}\.", NOTHING),
        (r"reduction\.(\d)\..*", r"cells\.[13]\.graph\.edges\.\d-{0}\.", NOTHING),
    ),
    "stages": (
        (r"resolution", _ENDS, NOTHING),
        (r"(first|second|third)_depth", r"stage_{0}\.\d\.|" + _ENDS, r"stage_\w+\.0\.|output\."),
        (r"first_width", _ENDS, r"stage_\w+\.\d\.|output\."),
        (r"(\w+)_operation\.(\d)", r"stage_{0}\.{1}\.", NOTHING),
        (r"(\w+)_kernel\.(\d)", r"stage_{0}\.{1}\.\w+\.body\.depthwise\.k", NOTHING),
        (r"(\w+)_expansion\.(\d)", r"stage_{0}\.{1}\.\w+\.body\.expand\.", r"stage_{0}\.{1}\."),
    ),
    "plain": (
        (r"a_depth", r"stage_a\.\d\.", NOTHING),
        (r"b_kernel\.(\d)", r"stage_b\.{0}\.residual\.body\.\d\.k", NOTHING),
    ),
}

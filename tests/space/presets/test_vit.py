"""Vision transformers: their costs against a published one."""

from __future__ import annotations

import pytest

from kubenas.space.presets.vit import vit

SPACE = vit()


def test_vit_costs_are_those_of_deit() -> None:
    """DeiT-Ti, whose shape is in the space: 12 layers of 192 with 3 heads and ratio 4 have 5.717 million parameters."""
    layers = {f"num_heads.{layer}": 3 for layer in range(12)} | {f"mlp_ratio.{layer}": 4 for layer in range(12)}
    costs = SPACE.costs(SPACE.parse({"embed_dim": 192, "depth": 12, **layers}))
    assert costs["params"] == 5_717_416
    assert costs["flops"] == pytest.approx(1.25e9, rel=0.02)

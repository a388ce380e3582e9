"""AutoFormer's vision transformers (Chen et al., ICCV 2021, arXiv:2107.00651)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from kubenas.space.base import Value
from kubenas.space.presets.vit import HEAD_SIZE
from kubenas_trial.networks.attention import Positions, TransformerLayer, scaled
from kubenas_trial.networks.base import Family, Images, Skeleton

_SIDES = 8


class ViTSkeleton(Skeleton):
    """Size of the network; `width` 1 and `patch` 16 are the paper's, on images of 224 pixels."""

    width: Annotated[float, Field(gt=0, le=16, description="Factor of the embedding and of each head's size.")] = 0.25
    patch: Annotated[
        int | None, Field(ge=1, le=1024, description="Side of a patch; absent: an eighth of the image, at least 2.")
    ] = None
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout of what each layer adds.")] = 0.0


class VisionTransformer(nn.Module):
    """Patches as vectors, with learned positions, behind a vector that becomes the class.

    The paper's relative positions, an addition to attention, are left out.
    """

    def __init__(self, architecture: Mapping[str, Value], skeleton: ViTSkeleton, images: Images) -> None:
        super().__init__()
        self.patch = skeleton.patch or max(2, min(images.height, images.width) // _SIDES)
        width = scaled(int(architecture["embed_dim"]), skeleton.width, multiple=4)
        head = max(1, round(HEAD_SIZE * skeleton.width))
        self.embedding = nn.Conv2d(images.channels, width, self.patch, stride=self.patch)
        self.start = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        patches = -(-images.height // self.patch) * -(-images.width // self.patch)
        self.positions = Positions(patches + 1, width)
        layers = range(int(architecture["depth"]))
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                heads := int(architecture[f"num_heads.{layer}"]),
                round(width * float(architecture[f"mlp_ratio.{layer}"])),
                inner=heads * head,
                dropout=skeleton.dropout,
            )
            for layer in layers
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, images.classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, classes)."""
        filled = pad(images, (0, -images.shape[3] % self.patch, 0, -images.shape[2] % self.patch))
        vectors = self.embedding(filled).flatten(2).transpose(1, 2)
        vectors = self.positions(torch.cat((self.start.expand(vectors.shape[0], -1, -1), vectors), dim=1))
        for layer in self.layers:
            vectors = layer(vectors)
        logits: Tensor = self.output(self.norm(vectors[:, 0]))
        return logits


def vit(architecture: Mapping[str, Value], skeleton: ViTSkeleton, images: Images) -> VisionTransformer:
    """The transformer of `architecture`."""
    return VisionTransformer(architecture, skeleton, images)


_LAYERS: Final = range(12)
VIT: Final = Family(
    ViTSkeleton,
    vit,
    default={
        "embed_dim": 192,
        "depth": len(_LAYERS),
        **{f"num_heads.{layer}": 3 for layer in _LAYERS},
        **{f"mlp_ratio.{layer}": 4 for layer in _LAYERS},
    },
)

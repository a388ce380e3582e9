"""Networks of an image and a question about it; what each fusion is, the space says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Architecture, Value
from kubenas.space.layers import layer_values
from kubenas.space.presets.image_text import EXPANSION
from kubenas_trial.networks.attention import Attention, Positions, TransformerLayer, padding_mask, scaled
from kubenas_trial.networks.base import Family, ImageText, Skeleton
from kubenas_trial.networks.parts import conv_norm, paired, sequence
from kubenas_trial.networks.recurrent import Recurrent

ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}
_TEXT_HEADS = 4
_FUSION_HEADS = 4


class ImageTextSkeleton(Skeleton):
    """Size of the network."""

    width: Annotated[float, Field(gt=0, le=16, description="Factor of all widths.")] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="Share of values dropped before the output.")] = 0.0


class Words(nn.Module):
    """Vectors of a question's words, read in context, and one vector of the whole.

    `encoder` is bag (vectors as they are), gru (left to right) or transformer. The whole is the last word's vector of a
    gru, else the mean.
    """

    def __init__(self, encoder: str, depth: int, width: int, text: ImageText) -> None:
        super().__init__()
        self.padding = text.padding
        self.vectors = nn.Embedding(text.vocabulary, width, padding_idx=text.padding)
        self.gru = nn.Sequential(*(Recurrent("gru", width, width) for _ in range(depth if encoder == "gru" else 0)))
        self.positions = Positions(text.length, width) if encoder == "transformer" else nn.Identity()
        self.layers = nn.ModuleList(
            TransformerLayer(width, _TEXT_HEADS, EXPANSION * width)
            for _ in range(depth if encoder == "transformer" else 0)
        )
        self.norm = nn.LayerNorm(width) if encoder == "transformer" else nn.Identity()

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, length) to (batch, length, width) and (batch, width)."""
        real = (tokens != self.padding).unsqueeze(2)
        vectors = self.vectors(tokens)
        if len(self.gru):
            states = self.gru(vectors.transpose(1, 2)).transpose(1, 2)
            last = real & ~torch.cat((real[:, 1:], torch.zeros_like(real[:, :1])), dim=1)
            return states, (states * last).sum(1)
        vectors = self.positions(vectors)
        mask = padding_mask(tokens, self.padding)
        for layer in self.layers:
            vectors = layer(vectors, mask)
        vectors = self.norm(vectors)
        return vectors, masked_mean(vectors, real)


class PooledFusion(nn.Module):
    """`concat` or `product` of one vector of the image and one of the question."""

    def __init__(self, fusion: str, image_width: int, text_width: int, width: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.image = nn.Linear(image_width, width)
        self.text = nn.Linear(text_width, width)
        self.activation = activation()
        self.joint = nn.Linear(2 * width, width) if fusion == "concat" else None

    def forward(self, features: Tensor, _words: Tensor, question: Tensor, _tokens: Tensor) -> Tensor:
        """(batch, width), see `FUSIONS`."""
        image, text = self.image(features.mean((2, 3))), self.text(question)
        if self.joint is None:
            return torch.tanh(image) * torch.tanh(text)
        joint: Tensor = self.activation(self.joint(self.activation(paired(image, text))))
        return joint


class FiLM(nn.Module):
    """The question scales and shifts the image's features, followed by max pooling."""

    def __init__(self, image_width: int, text_width: int, width: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.image = nn.Conv2d(image_width, width, 1)
        self.scale = nn.Linear(text_width, width)
        self.shift = nn.Linear(text_width, width)
        self.joint = nn.Conv2d(width, width, 1)
        self.activation = activation()

    def forward(self, features: Tensor, _words: Tensor, question: Tensor, _tokens: Tensor) -> Tensor:
        """(batch, width)."""
        scale, shift = self.scale(question)[:, :, None, None], self.shift(question)[:, :, None, None]
        modulated = self.activation((1 + scale) * self.image(features) + shift)
        joint: Tensor = self.activation(self.joint(modulated))
        return joint.amax((2, 3))


class CrossAttention(nn.Module):
    """Each word attends to the positions of the image; the mean over the words."""

    def __init__(self, image_width: int, text_width: int, width: int, grid: tuple[int, int], padding: int) -> None:
        super().__init__()
        height, breadth = grid
        self.image = nn.Linear(image_width, width)
        # Named by the grid, as positions of another grid are elsewhere in the image.
        self.positions = sequence({f"{height}x{breadth}": Positions(height * breadth, width)})
        self.image_norm = nn.LayerNorm(width)
        self.text = nn.Linear(text_width, width)
        self.attention = Attention(width, _FUSION_HEADS)
        self.norm = nn.LayerNorm(width)
        self.padding = padding

    def forward(self, features: Tensor, words: Tensor, _question: Tensor, tokens: Tensor) -> Tensor:
        """(batch, width)."""
        image = self.image_norm(self.positions(self.image(features.flatten(2).transpose(1, 2))))
        text = self.text(words)
        return masked_mean(self.norm(text + self.attention(text, image)), (tokens != self.padding).unsqueeze(2))


class ImageTextNetwork(nn.Module):
    """Logits of the answers, (batch, classes), for (images, tokens)."""

    def __init__(self, architecture: Mapping[str, Value], skeleton: ImageTextSkeleton, both: ImageText) -> None:
        super().__init__()
        decided = Architecture(architecture)
        activation = ACTIVATIONS[str(architecture["activation"])]
        text_width, width = (scaled(int(architecture[name]), skeleton.width) for name in ("text_width", "fusion_width"))
        before, height, breadth = both.channels, both.height, both.width
        stages: dict[str, nn.Module] = {}
        widths, kernels = layer_values(decided, "image_width"), layer_values(decided, "image_kernel")
        for stage, (decided_width, kernel) in enumerate(zip(widths, kernels, strict=True)):
            after = scaled(int(decided_width), skeleton.width)
            stages |= {
                f"stage{stage}": conv_norm(before, after, int(kernel), stride=2),
                f"activation{stage}": activation(),
            }
            before, height, breadth = after, (height + 1) // 2, (breadth + 1) // 2
        self.image = sequence(stages)
        depth = int(architecture.get("text_layers", 0))
        self.text = Words(str(architecture["text_encoder"]), depth, text_width, both)
        fusion: nn.Module
        self.kind = str(architecture["fusion"])
        match self.kind:
            case "film":
                fusion = FiLM(before, text_width, width, activation)
            case "cross_attention":
                fusion = CrossAttention(before, text_width, width, (height, breadth), both.padding)
            case _:
                fusion = PooledFusion(self.kind, before, text_width, width, activation)
        self.fusion = nn.ModuleDict({self.kind: fusion})
        head: dict[str, nn.Module] = {}
        for layer in range(int(architecture["head_layers"])):
            head |= {f"layer{layer}": nn.Linear(width, width), f"activation{layer}": activation()}
        self.head = sequence(
            {**head, "dropout": nn.Dropout(skeleton.dropout), "output": nn.Linear(width, both.classes)}
        )

    def forward(self, images: Tensor, tokens: Tensor) -> Tensor:
        """(batch, channels, height, width) and (batch, length) to (batch, classes)."""
        words, question = self.text(tokens)
        logits: Tensor = self.head(self.fusion[self.kind](self.image(images), words, question, tokens))
        return logits


def masked_mean(vectors: Tensor, real: Tensor) -> Tensor:
    """(batch, length, width) to (batch, width): the mean where `real`, (batch, length, 1), is true."""
    return (vectors * real).sum(1) / real.sum(1).clamp(min=1)


IMAGE_TEXT: Final = Family(
    ImageTextSkeleton,
    ImageTextNetwork,
    default={
        "image_depth": 3,
        "image_width.0": 16,
        "image_width.1": 32,
        "image_width.2": 64,
        "image_kernel.0": 5,
        "image_kernel.1": 3,
        "image_kernel.2": 3,
        "text_encoder": "gru",
        "text_width": 64,
        "text_layers": 1,
        "fusion": "film",
        "fusion_width": 64,
        "head_layers": 1,
        "activation": "relu",
    },
)

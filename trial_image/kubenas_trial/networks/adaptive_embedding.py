"""Embeddings that are wider for frequent tokens (Baevski and Auli, ICLR 2019, arXiv:1809.10853)."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Final, cast

import torch
from torch import Tensor, nn

# Parts of the vocabulary from frequent to rare, as LiteTransformerSearch cuts WikiText-103's.
SHARES: Final = 0.4, 0.4, 0.2


class Cluster(nn.Module):
    """The tokens from `start` to before `end`: embeddings `narrow` wide, and a matrix from these to `width`.

    Scores have the same weights, or where not `tied` a matrix of their own.
    """

    def __init__(self, start: int, end: int, narrow: int, width: int, *, tied: bool) -> None:
        super().__init__()
        self.start = start
        self.table = nn.Embedding(end - start, narrow)
        self.projection = nn.Linear(narrow, width, bias=False)
        self.scoring = None if tied else nn.Linear(narrow, width, bias=False)
        nn.init.normal_(self.table.weight, std=narrow**-0.5)
        for matrix in filter(None, (self.projection, self.scoring)):
            nn.init.normal_(matrix.weight, std=width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) to (batch, length, width), zero for tokens of other clusters."""
        # All tokens are embedded and the others masked, so that the cost does not depend on the tokens.
        index = (tokens - self.start).clamp(0, self.table.num_embeddings - 1)
        embedded: Tensor = self.projection(self.table(index)) * (index == tokens - self.start)[:, :, None]
        return embedded

    def score(self, vectors: Tensor) -> Tensor:
        """(batch, length, width) to (batch, length, tokens of the cluster)."""
        matrix = self.projection if self.scoring is None else self.scoring
        return (vectors @ matrix.weight) @ self.table.weight.T


class AdaptiveEmbedding(nn.Module):
    """Embeds tokens that are numbered from frequent to rare, and scores them with the same weights.

    The vocabulary is cut in three by `SHARES`; the embeddings of each part are `division` times narrower than those of
    the part before. With a `division` of 1 all have the same width and are one part. The most frequent part of several
    has a matrix of its own for scores, as in Transformer-XL (Dai et al., ACL 2019). Unlike the paper's adaptive
    softmax, which saves time with vocabularies of 10^5 tokens, every token is scored.
    """

    def __init__(self, vocabulary: int, first: int, division: int, width: int) -> None:
        super().__init__()
        ends = [round(share * vocabulary) for share in accumulate(SHARES)] if division > 1 else [vocabulary]
        self.clusters = nn.ModuleList(
            Cluster(start, end, max(1, first // division**number), width, tied=number > 0 or division == 1)
            for number, (start, end) in enumerate(pairwise([0, *ends]))
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) to (batch, length, width)."""
        return torch.stack([cluster(tokens) for cluster in self.clusters]).sum(0)

    def score(self, vectors: Tensor) -> Tensor:
        """(batch, length, width) to the logits (batch, length, vocabulary)."""
        clusters = cast("list[Cluster]", list(self.clusters))
        return torch.cat([cluster.score(vectors) for cluster in clusters], dim=2) + self.bias

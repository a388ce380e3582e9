"""Architectures as rows of numbers for surrogate models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.space.base import Architecture, Space

Matrix: TypeAlias = "NDArray[np.float64]"

# Numbers that are kept; a row has some hundred, or thousands where there are many choices.
KEPT: Final = 3_000_000


class Encoder:
    """Encodes architectures for a model, in blocks that are alike in kind: decisions, paths, costs, given scores.

    Where a space knows encodings that do not depend on how nodes are numbered, they take the place of the plain
    decisions (White, Neiswanger et al., "A Study on Encodings for NAS", NeurIPS 2020, arXiv:2007.04965).

    Args:
        scores: further numbers for architectures by `Space.key`, for example zero-cost proxies; all of one length.
            One without any gets the mean of the others.
    """

    def __init__(self, space: Space, scores: Mapping[str, Sequence[float]] | None = None) -> None:
        self._space = space
        encodings = dict(space.encodings)
        if "paths" in encodings:
            del encodings["one-hot"]
        self._encodings: tuple[Callable[[Architecture], Sequence[float]], ...] = tuple(encodings.values())
        self._scores = scores or {}
        self._mean = np.mean(list(self._scores.values()), axis=0).tolist() if self._scores else []
        if self._scores:
            self._encodings += (self._score,)
        self._rows: dict[Architecture, tuple[Sequence[float], ...]] = {}

    def blocks(self, architectures: Sequence[Architecture]) -> list[Matrix]:
        """One matrix a block, with a row for each architecture."""
        rows = [self._row(architecture) for architecture in architectures]
        return [np.array([row[block] for row in rows], dtype=np.float64) for block in range(len(self._encodings))]

    def _row(self, architecture: Architecture) -> tuple[Sequence[float], ...]:
        row = self._rows.get(architecture)
        if row is None:
            row = tuple(encode(architecture) for encode in self._encodings)
            if len(self._rows) * sum(map(len, row)) >= KEPT:
                self._rows.clear()
            self._rows[architecture] = row
        return row

    def _score(self, architecture: Architecture) -> Sequence[float]:
        return self._scores.get(self._space.key(architecture), self._mean)

"""Architectures as rows of numbers for surrogate models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from scipy.stats import norm

from kubenas.scores.combine import ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.space.base import Architecture, Space

Matrix: TypeAlias = "NDArray[np.float64]"

# Numbers that are kept; a row has some hundred, or thousands where there are many choices.
KEPT: Final = 3_000_000


class Encoder:
    """Encodes architectures for a model, in blocks that are alike in kind: decisions, paths, costs, tables of scores.

    Where a space knows encodings that do not depend on how nodes are numbered, they take the place of the plain
    decisions (White, Neiswanger et al., "A Study on Encodings for NAS", NeurIPS 2020, arXiv:2007.04965).

    Args:
        tables: further numbers for architectures by `Space.key`, for example zero-cost proxies; all of a table of one
            length. A model sees the normal scores of their ranks, 0 for one that is NaN or of an architecture that the
            table lacks, and the share of those that are missing.
    """

    def __init__(self, space: Space, *tables: Mapping[str, Sequence[float]]) -> None:
        self._space = space
        encodings = dict(space.encodings)
        if "paths" in encodings:
            del encodings["one-hot"]
        self._encodings: tuple[Callable[[Architecture], Sequence[float]], ...] = tuple(encodings.values())
        self._encodings += tuple(_lookup(space, table) for table in tables if table)
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


def _lookup(space: Space, table: Mapping[str, Sequence[float]]) -> Callable[[Architecture], Sequence[float]]:
    """The encoding that a table of scores gives."""
    columns = np.array(list(table.values()), dtype=np.float64).T
    missing = np.isnan(columns)
    scores = np.zeros_like(columns)
    for column, lacks, score in zip(columns, missing, scores, strict=True):
        known = column[~lacks]
        score[~lacks] = norm.ppf((ranks(known) - 0.5) / max(1, len(known)))
    rows = dict(zip(table, np.vstack([scores, missing.mean(axis=0)]).T.tolist(), strict=True))
    absent = [0.0] * len(columns) + [1.0]
    return lambda architecture: rows.get(space.key(architecture), absent)

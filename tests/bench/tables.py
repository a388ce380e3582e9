"""Small tables for tests, and where the published ones are."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from kubenas.bench.table import Goal, Source, Table

DATA = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

HEADER = ("code", "quality", "test", "delay", "seconds")


def published(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in {DATA}: set KUBENAS_DATA to the folder of published tables")
    return path


def write(path: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def rows_of(codes: Sequence[str]) -> list[tuple[object, ...]]:
    """The quality is the number of a's but for a trap; the test value tells rows apart; few a's are quick."""
    return [
        (code, code.count("a") - 2 * (code == "aaaa"), 100 + index, 1 + code.count("a"), 1 + code.count("b"))
        for index, code in enumerate(codes)
    ]


ALL = ["".join(letters) for letters in product("abc", repeat=4)]


def small(folder: Path, codes: Sequence[str] = ALL, cost: str | None = None, goals: Sequence[Goal] = ()) -> Table:
    return Table(source(folder, codes, cost, goals))


def source(folder: Path, codes: Sequence[str] = ALL, cost: str | None = None, goals: Sequence[Goal] = ()) -> Source:
    return Source(
        path=write(folder / "small.csv", rows_of(codes)),
        architecture=("code",),
        space="choices",
        goals=tuple(goals) or (Goal("quality", "maximize"),),
        report="test",
        cost=cost,
    )

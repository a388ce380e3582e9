"""The regret of searches as a picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from kubenas.api.errors import SpecError
from kubenas.bench.figures import reported_by_evaluations
from kubenas.bench.run import Run
from kubenas.bench.table import Table

FORMATS: Final = (".png", ".html")


def plot_regret(table: Table, runs: Mapping[str, Sequence[Run]], path: Path, title: str) -> None:
    """Write the mean regret over seeds by evaluations, with its standard error as a band, as PNG or a page with it.

    Regret is how far the reported value is from the table's best reported one.

    Raises:
        SpecError: the file's ending is none of `FORMATS`, or it cannot be written.
    """
    check_path(path)
    drawn = BytesIO()
    _figure(table, runs, title).savefig(drawn, format="png", dpi=150)
    content = drawn.getvalue()
    if path.suffix == ".html":
        picture = base64.b64encode(content).decode()
        page = f'<!doctype html><meta charset="utf-8"><title>{escape(title)}</title>'
        content = f'{page}<img alt="{escape(title)}" src="data:image/png;base64,{picture}" width="900">\n'.encode()
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SpecError("--plot", f"{path} cannot be written: {error.strerror}") from None


def check_path(path: Path) -> None:
    """Raise SpecError where the file's ending is none of `FORMATS`."""
    if path.suffix not in FORMATS:
        raise SpecError("--plot", f"{path} must end in {' or '.join(FORMATS)}")


def _figure(table: Table, runs: Mapping[str, Sequence[Run]], title: str) -> Figure:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    sign = table.goals[0].sign
    best = (sign * table.reported).max()
    for name, of in runs.items():
        curves = [[np.nan if r is None else r for r in reported_by_evaluations(table, run)] for run in of]
        length = max(map(len, curves))
        # A search that has used up its space goes on with what it has.
        told = np.ma.masked_invalid([curve + curve[-1:] * (length - len(curve)) for curve in curves if curve])
        regret = best - sign * told
        evaluations = np.arange(1, length + 1)
        mean = regret.mean(axis=0)
        (line,) = axes.plot(evaluations, mean, label=name)
        error = regret.std(axis=0) / np.sqrt(len(regret))
        axes.fill_between(evaluations, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("regret of the reported value (mean ± standard error)")
    axes.set_title(title)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    return figure

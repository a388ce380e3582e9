"""`kubenas bench`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubenas.cli.failure import fail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubenas.bench.figures import Figures
    from kubenas.bench.run import Run
    from kubenas.bench.runner import Budget
    from kubenas.bench.table import Source, Table


def bench(
    table: Annotated[Path, typer.Argument(help="CSV file: a row for each measured architecture.", show_default=False)],
    architecture: Annotated[str, typer.Option(help="Column of the architecture, or its columns: a,b,…")],
    objective: Annotated[list[str], typer.Option(help="COLUMN:maximize or COLUMN:minimize; the first is primary.")],
    out: Annotated[Path, typer.Option(help="JSON file for the figures.")],
    space: Annotated[
        str, typer.Option(help="Preset that the architectures are of; choices: what occurs at each position.")
    ] = "choices",
    report: Annotated[
        str | None, typer.Option(help="Column told of the best; no search sees it.", show_default="first objective")
    ] = None,
    features: Annotated[str, typer.Option(help="Columns that the predictor may learn from: a,b,…")] = "",
    algorithms: Annotated[
        str, typer.Option(help="Strategies, and peers such as optuna-tpe or syne-tune-asha; an unknown one lists all.")
    ] = "predictor,regularized-evolution,random",
    evaluations: Annotated[str, typer.Option(help="After how many evaluations to report: a,b,…")] = "50,100,300",
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each algorithm.")] = 10,
    workers: Annotated[int, typer.Option(min=1, max=10_000, help="Trials that run at the same time.")] = 1,
    cost: Annotated[
        str | None, typer.Option(help="Column of a trial's seconds on the simulated clock.", show_default="1 each")
    ] = None,
    curve: Annotated[
        str, typer.Option(help="The first objective's columns over epochs: COLUMN:EPOCHS,…; the last is its own.")
    ] = "",
    fidelity: Annotated[str, typer.Option(help="Schedulers that stop trials early, each with each strategy.")] = "none",
    eta: Annotated[
        int | None,
        typer.Option(min=2, max=64, help="Of schedulers and peers with rungs.", show_default="each one's own"),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Of schedulers that train so many to the end.", show_default="each one's own"),
    ] = None,
    target: Annotated[float | None, typer.Option(help="Tell how many epochs a reported value takes.")] = None,
    reach: Annotated[float | None, typer.Option(help="Tell how many evaluations a reported value takes.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the regret: .png or .html.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that search at the same time.", show_default="CPUs")
    ] = None,
) -> None:
    """Compare search algorithms on a table of measured architectures.

    Every search goes through the operator's own loop, on a simulated clock. It sees the objectives only.
    """
    from concurrent.futures.process import BrokenProcessPool

    from kubenas.api.errors import SpecError

    try:
        from kubenas.bench.algorithms import check_algorithm, with_fidelity
        from kubenas.bench.figures import figures
        from kubenas.bench.rows import listed, unique
        from kubenas.bench.runner import Budget
        from kubenas.bench.table import Source, Table, parse_curve, parse_goal
    except ModuleNotFoundError as error:
        fail(f"kubenas bench needs {error.name}, which is not installed: pip install 'kubenas[search,bench]'")
    try:
        names = unique(listed(algorithms), "--algorithms")
        budgets = _budgets(evaluations)
        if plot is not None:
            _check_plot(plot)
        _check_folder(out, "--out")
        source = Source(
            path=table,
            architecture=unique(listed(architecture), "--architecture"),
            space=space,
            goals=tuple(parse_goal(text) for text in objective),
            report=report,
            features=listed(features),
            cost=cost,
            curve=parse_curve(listed(curve)) if curve else (),
        )
        read = Table(source)
        for name in names:
            check_algorithm(name, read)
        searches = with_fidelity(names, unique(listed(fidelity), "--fidelity"), read)
        budget = Budget(evaluations=budgets[-1], workers=workers, seeds=seeds, eta=eta, top=top)
        runs = _run(source, searches, budget, jobs or os.cpu_count() or 1)
        rows = figures(read, runs, budgets, workers, target)
        out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
        _print(read, runs, rows, reach)
        if plot is not None:
            from kubenas.bench.plot import plot_regret

            plot_regret(read, runs, plot, f"{table.stem}: {report or read.goals[0].column}")
    except SpecError as error:
        fail(str(error))
    except BrokenProcessPool:
        fail("a process that searched was killed, perhaps for want of memory: try fewer at the same time by --jobs")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _budgets(text: str) -> list[int]:
    from kubenas.api.errors import SpecError
    from kubenas.bench.rows import listed, unique

    budgets = unique(listed(text), "--evaluations")
    for budget in budgets:
        if not budget.isdecimal() or not 1 <= int(budget) <= 100_000:
            raise SpecError("--evaluations", f"{budget!r:.40} is no whole number from 1 to 100,000")
    return sorted({int(budget) for budget in budgets})


def _check_plot(plot: Path) -> None:
    from importlib.util import find_spec

    from kubenas.api.errors import SpecError

    if find_spec("matplotlib") is None:
        raise SpecError("--plot", "needs matplotlib, which is not installed: pip install 'kubenas[bench]'")
    from kubenas.bench.plot import check_path

    check_path(plot)
    _check_folder(plot, "--plot")


def _check_folder(path: Path, option: str) -> None:
    """Before hours of searching, not after."""
    from kubenas.api.errors import SpecError

    if not path.parent.is_dir():
        raise SpecError(option, f"{path.parent} is no folder")
    if path.is_dir():
        raise SpecError(option, f"{path} is a folder, not a file")


def _run(source: Source, names: Sequence[str], budget: Budget, jobs: int) -> dict[str, list[Run]]:
    """All searches, with a line of progress for each algorithm."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from kubenas.bench.runner import run_all

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("seeds")
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        tasks = {name: progress.add_task(name, total=budget.seeds) for name in names}
        return run_all(source, names, budget, jobs, lambda name: progress.advance(tasks[name]))


def _print(table: Table, runs: Mapping[str, Sequence[Run]], rows: Sequence[Figures], value: float | None) -> None:
    from rich.table import Table as Grid

    from kubenas.bench.figures import reach
    from kubenas.cli.text import log_console, number_text

    heads = ["algorithm", *(["fidelity"] if table.curve else []), "evaluations", "reported", "at the optimum"]
    heads += ["hypervolume"] if len(table.goals) > 1 else []
    heads += [f"evaluations to {number_text(value)}"] if value is not None else []
    heads += ["epochs", "epochs to the target", "seconds to it", "stopped wrongly"] if table.curve else []
    grid = Grid(*heads, "ms a proposal", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        cells = [
            row.algorithm,
            *([row.fidelity] if table.curve else []),
            str(row.evaluations),
            _spread(row),
            f"{row.optimum_share:.0%}",
        ]
        cells += [f"{row.hypervolume:.2%}"] if row.hypervolume is not None else []
        if value is not None:
            search = row.algorithm if row.fidelity == "none" else f"{row.algorithm}/{row.fidelity}"
            needed = reach(table, runs[search], value)
            median = "" if needed.evaluations is None else f"{needed.evaluations:g} "
            cells.append(f"{median}({needed.seeds} of {row.seeds} seeds)")
        if table.curve:
            cells += [_epochs(row.epochs), _to_target(row), _seconds(row), f"{row.stopped_wrongly or 0:.0%}"]
        seconds = row.seconds_per_proposal
        grid.add_row(*cells, "" if seconds is None else f"{seconds * 1000:.2f}")
    console = log_console()
    console.print(grid)
    console.print(f"\nThe table's best: {', '.join(f'{value:.6g}' for value in sorted(table.optimum))}.")
    if table.repeats:
        console.print(f"{table.repeats} rows repeat an earlier row's architecture and were left out.")
    for name, of in runs.items():
        lacking = sum(row is None for run in of for row in run.rows) - sum(len(run.stopped) for run in of)
        if lacking:
            console.print(f"{name}: {lacking} trials failed, as the table lacks their architecture.")


def _epochs(epochs: float | None) -> str:
    return "" if epochs is None else f"{epochs:,.0f}"


def _to_target(row: Figures) -> str:
    share = row.target_share
    return "" if share is None else f"{_epochs(row.epochs_to_target)} ({share:.0%} of seeds)".strip()


def _seconds(row: Figures) -> str:
    return "" if row.seconds_to_target is None else f"{row.seconds_to_target:.4g}"


def _spread(row: Figures) -> str:
    if row.reported_mean is None or row.reported_std is None:
        return ""
    return f"{row.reported_mean:.6g} ± {row.reported_std:.2g}"

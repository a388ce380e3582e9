"""`kubenas-trial score`."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kubenas_trial.cli.failure import as_typed, failures_told
from kubenas_trial.cli.options import SPACE, Device, Form, Seed, Settings
from kubenas_trial.errors import InvalidTrialError, TrialError, told
from kubenas_trial.run import prepare_threads

if TYPE_CHECKING:
    from kubenas.api.space import SearchSpace
    from kubenas_trial.tasks.load import AnyTask

COLUMN: Final = "arch"
NOISE: Final = "noise"
# Between two writes of what is scored.
SECONDS: Final = 2.0


def score(
    space: Annotated[str, typer.Option(help=SPACE)],
    architectures: Annotated[Path, typer.Option(help=f"CSV file with the architectures in its column {COLUMN}.")],
    out: Annotated[Path, typer.Option(help="CSV file for the scores: a column for each proxy.")],
    proxies: Annotated[str, typer.Option(help="Names of proxies, with commas between.")] = "default",
    given: Annotated[
        str, typer.Option("--input", help="noise, or data: a path, or the name of a data set of the task's.")
    ] = NOISE,
    task: Annotated[
        str | None, typer.Option(help="What networks are built for.", show_default="the first with this space")
    ] = None,
    form: Form = None,
    device: Device = "auto",
    seed: Seed = 0,
    setting: Settings = None,
) -> None:
    """Score architectures by proxies, without training them.

    A proxy's column is called as it was asked for, and greater is better. That of `default` and of others with several
    scores is the log-rank sum over the file. Scores are written as they come; one that cannot be had stays empty.

    Exit code: 64 where something asked for is wrong, 65 where the data or the architectures are, 1 where no
    architecture can be scored.
    """
    with failures_told("--input"):
        names = list(dict.fromkeys(name.strip() for name in proxies.split(",") if name.strip()))
        if not names:
            raise InvalidTrialError("--proxies: name one at least, such as default")
        if out.is_dir():
            raise InvalidTrialError(f"--out: {out} is a folder: name a file")
        if not out.absolute().parent.is_dir():
            raise InvalidTrialError(f"--out: the folder {out.absolute().parent} does not exist")
        if out.exists() and architectures.exists() and out.samefile(architectures):
            raise InvalidTrialError(f"--out: {out} has the architectures: name another file")
        _score(space, architectures, out, names, given, task, form, device, seed, setting or [])


def _score(
    space_text: str,
    file: Path,
    out: Path,
    names: Sequence[str],
    given: str,
    task_name: str | None,
    form: str | None,
    device: str,
    seed: int,
    assignments: Sequence[str],
) -> None:
    from kubenas.api.task import Task
    from kubenas.space.load import build_space
    from kubenas_trial.cli.request import read_dataset, read_settings, read_space

    settings = read_settings(assignments)
    spec = read_space(space_text)
    prepare_threads()
    from kubenas_trial.devices import find_device
    from kubenas_trial.evaluation.zero_cost import built, scores_of
    from kubenas_trial.measure.rows import read_architectures
    from kubenas_trial.networks.build import family_of
    from kubenas_trial.proxies.load import load_proxies
    from kubenas_trial.proxies.probe import Probe
    from kubenas_trial.tasks.load import load_task, task_class

    loaded = {name: load_proxies([name]) for name in names}
    rows = read_architectures(file, build_space(spec), COLUMN)
    kind = task_class(task_name) if task_name is not None else _task_of(spec)
    family_of(spec, kind.families, kind.name)
    made = given if given != NOISE else NOISE if NOISE in kind.built_in else None
    dataset = read_dataset(made, form, kind, "--input")
    task = load_task(Task(name=kind.name, dataset=dataset, settings=settings), None, find_device(device))
    probe = Probe.of(task, "noise" if given == NOISE else "data", seed)
    metrics = {name: [metric for proxy in several for metric in proxy.metrics] for name, several in loaded.items()}
    asked = {proxy.name: proxy for several in loaded.values() for proxy in several}
    scores: list[dict[str, float]] = []
    failures: list[TrialError] = []
    written = time.monotonic()
    with _Progress(len(rows)) as progress:
        try:
            for text, architecture in rows:
                try:
                    network = built(task, spec, architecture, seed)
                    scores.append(scores_of(network, [*asked.values()], probe, seed))
                except Exception as error:
                    failures.append(told(error))
                    scores.append({})
                    progress.tell(f"{text}: {as_typed(str(failures[-1]), '--input')}")
                progress.advance()
                if time.monotonic() - written > SECONDS:
                    _write(out, [text for text, _ in rows[: len(scores)]], metrics, scores)
                    written = time.monotonic()
        finally:
            _write(out, [text for text, _ in rows[: len(scores)]], metrics, scores)
    if len(failures) == len(rows):
        raise failures[0]


def _task_of(space: SearchSpace) -> type[AnyTask]:
    """The first task that has networks for `space`."""
    from kubenas_trial.networks.build import kind_of
    from kubenas_trial.tasks.load import TASKS, task_class

    kind = kind_of(space)
    for name in TASKS:
        if kind in (task := task_class(name)).families:
            return task
    raise InvalidTrialError(f"--space: this trainer has no network of {kind}")


def _write(out: Path, texts: Sequence[str], metrics: dict[str, list[str]], scores: Sequence[dict[str, float]]) -> None:
    """Write all scores, at once for every reader."""
    from kubenas.scores.combine import combined

    columns: list[list[float]] = []
    for own in metrics.values():
        several = {name: [each.get(name, float("nan")) for each in scores] for name in own}
        columns.append(next(iter(several.values())) if len(several) == 1 else combined(several, "log-rank-sum"))
    partial = out.with_name(f"{out.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([COLUMN, *metrics])
        for number, text in enumerate(texts):
            values = (column[number] if scores[number] else float("nan") for column in columns)
            writer.writerow([text, *("" if value != value else f"{value:.9g}" for value in values)])  # noqa: PLR0124
    os.replace(partial, out)


class _Progress:
    """A bar on a terminal; a log gets a line for each tenth."""

    def __init__(self, count: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._console = Console(highlight=False, stderr=True)
        self._bars = Progress(console=self._console, disable=not self._console.is_terminal)
        self._bar = self._bars.add_task("scored", total=count)
        self._count = count
        self._done = 0

    def __enter__(self) -> _Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def advance(self) -> None:
        """Count one."""
        self._done += 1
        self._bars.advance(self._bar)
        full = self._done * 10 // self._count > (self._done - 1) * 10 // self._count
        if full and not self._console.is_terminal:
            self.tell(f"{self._done:,} of {self._count:,} are scored")

    def tell(self, text: str) -> None:
        """Print a line above the bar."""
        self._bars.console.print(text, soft_wrap=True, markup=False)

"""`kubenas-trial datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubenas_trial.cli.failure import failures_told

if TYPE_CHECKING:
    from kubenas_trial.errors import Alike
    from kubenas_trial.tasks.load import AnyTask


def datasets(
    check: Annotated[Path, typer.Option(help="Folder or file to look at.", show_default=False)],
    task: Annotated[str | None, typer.Option(help="Look as this task only.", show_default="every task")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="Read as this format.", show_default="all that it looks like")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the task, such as textColumn=2; repeatable."),
    ] = None,
) -> None:
    """Say what lies at a path: which formats it looks like, how much there is, and what is wrong with it.

    Exit code: 0 where some task can read it, 65 where none can, 64 where something asked for is wrong.
    """
    from kubenas_trial.run import prepare_threads

    prepare_threads()
    from kubenas_trial.cli.request import read_settings
    from kubenas_trial.datasets.unread import why_unread
    from kubenas_trial.errors import InvalidDatasetError, InvalidTrialError
    from kubenas_trial.tasks.load import TASKS, task_class

    with failures_told():
        settings = read_settings(setting or [])
        if not check.exists():
            raise InvalidDatasetError(f"--check: {check} does not exist")
        kinds = [task_class(name) for name in ([task] if task else TASKS)]
        if form is not None and not any(form in kind.formats for kind in kinds):
            known = dict.fromkeys(name for kind in kinds for name in kind.formats)
            raise InvalidTrialError(f"--format: {form!r} is unknown; choose of {', '.join(known)}")
        found = [(kind, name) for kind in kinds for name in _looks_like(kind, check, form)]
        if not found:
            known = dict.fromkeys(name for kind in kinds for name in kind.formats)
            unread = f"; it {why}" if (why := why_unread(check)) else ""
            raise InvalidDatasetError(f"--check: {check} looks like none of {', '.join(known)}{unread}")
        codes = {_tell(kind, name, check, settings) for kind, name in found}
        if 0 not in codes:
            raise typer.Exit(max(codes))


def _looks_like(kind: type[AnyTask], path: Path, form: str | None) -> Iterator[str]:
    for name, each in kind.formats.items():
        if name == form or (form is None and each.detect(path)):
            yield name


def _tell(kind: type[AnyTask], form: str, path: Path, settings: dict[str, Any]) -> int:
    """Print what reading gives; the exit code that it would be worth."""
    from kubenas_trial.datasets.data import targets_in
    from kubenas_trial.errors import InvalidDatasetError, TrialError, read

    typer.echo(f"{kind.name}, format {form}: {kind.formats[form].summary}")
    try:
        data = kind.formats[form].read(path, read(kind.settings_model, settings, "--set"))
    except InvalidDatasetError as error:
        _tell_problems(error.problems)
        return error.exit_code
    except TrialError as error:
        typer.echo(f"  problem     {error}")
        return error.exit_code
    for split in ("train", "validation", "test"):
        typer.echo(f"  {split:<10}  {targets_in(getattr(data, split)):,} examples")
    if classes := getattr(data, "classes", ()):
        shown = ", ".join(classes[:10]) + (" …" if len(classes) > 10 else "")
        typer.echo(f"  classes     {len(classes)}: {shown}")
    return 0


def _tell_problems(problems: tuple[Alike, ...]) -> None:
    """Print each kind with its number and first messages; a single problem in one line."""
    total = sum(each.count for each in problems)
    if total == 1:
        typer.echo(f"  problem     {problems[0].shown[0]}")
        return
    typer.echo(f"  problems    {total:,}, of {len(problems)} {'kinds' if len(problems) > 1 else 'kind'}")
    for each in problems:
        typer.echo(f"    {each.kind}: {each.count:,}")
        for message in each.shown:
            typer.echo(f"      {message}")
        if each.count > len(each.shown):
            typer.echo(f"      … and {each.count - len(each.shown):,} more")

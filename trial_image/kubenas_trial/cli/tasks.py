"""`kubenas-trial tasks`."""

from __future__ import annotations

import typer


def tasks() -> None:
    """List what can be learned, on which data, and by which networks."""
    from kubenas_trial.run import prepare_threads

    prepare_threads()
    from kubenas_trial.tasks.load import TASKS, task_class

    for number, name in enumerate(TASKS):
        task = task_class(name)
        if number:
            typer.echo()
        typer.echo(f"{name}: {task.summary}")
        typer.echo(f"  metric    {task.metric}, to {task.goal}")
        presets = [task.preset, *sorted(set(task.families) - {task.preset})]
        typer.echo(f"  spaces    {', '.join(presets)}")
        for title, known in (("data set", task.built_in), ("format", task.formats)):
            for key, each in known.items():
                typer.echo(f"  {title:<8}  {key}: {each.summary}")

"""`kubenas init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubenas.cli.failure import fail


def init(
    task: Annotated[str, typer.Option(help="What is learned, for example image-classification.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File to write; it must not exist yet.", show_default="standard output")
    ] = None,
) -> None:
    """Write a commented experiment for a task, to begin with.

    It runs as it is, on data that the trainer brings along.
    """
    examples = _examples()
    if task not in examples:
        fail(f"--task: {task!r} is unknown; choose of {', '.join(examples)}")
    text = examples[task].read_text(encoding="utf-8")
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        fail(f"--out: {out} is there already: name another file")
    except OSError as error:
        fail(f"--out: {out} cannot be written: {error.strerror}")
    typer.echo(f"{out}: an experiment for {task}. Try it by: kubenas run {out}")


def _examples() -> dict[str, Path]:
    """The example of each task, as installed beside this package, or in its checkout."""
    from kubenas.api.document import read_document

    package = Path(__file__).parents[1]
    folder = next((path for path in (package / "examples", package.parents[1] / "examples") if path.is_dir()), None)
    if folder is None:
        fail("The examples are not installed here: take them from KubeNAS' repository, folder examples")
    found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {
        name: path
        for name, path in found.items()
        if read_document(path.read_text(encoding="utf-8")).value["spec"]["task"]["name"] == name
    }

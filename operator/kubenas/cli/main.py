"""The program `kubenas`, also installed as `kubectl-nas`. Each command imports what it needs when it is called."""

from __future__ import annotations

import typer

from kubenas.cli.bench import bench
from kubenas.cli.init import init
from kubenas.cli.operator import operator
from kubenas.cli.run import run
from kubenas.cli.space import space
from kubenas.cli.status import status
from kubenas.cli.trials import trials
from kubenas.cli.validate import validate
from kubenas.cli.version import version

app = typer.Typer(
    help="Neural architecture search on Kubernetes.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help needs no rich, and is there twice as fast
    # A traceback with local variables could show a credential.
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(init)
app.command()(run)
app.command()(validate)
app.command()(status)
app.command()(trials)
app.add_typer(space, name="space")
app.command()(bench)
app.command()(operator)
app.command()(version)

"""The program `kubenas-trial`: the trainer by hand. Each command imports what it needs when it is called."""

from __future__ import annotations

import warnings

import typer

from kubenas_trial.cli.datasets import datasets
from kubenas_trial.cli.extract import extract
from kubenas_trial.cli.latency import latency
from kubenas_trial.cli.run import run
from kubenas_trial.cli.score import score
from kubenas_trial.cli.tasks import tasks

# Of a library, to its developers.
warnings.filterwarnings("ignore", message="`torch.jit", category=FutureWarning)

app = typer.Typer(
    help="The trainer of KubeNAS: train one architecture, score many, look at data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(score)
app.command()(tasks)
app.command()(datasets)
app.command()(extract)
app.add_typer(latency, name="latency")

if __name__ == "__main__":
    app()

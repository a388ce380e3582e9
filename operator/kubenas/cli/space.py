"""`kubenas space`: what a search space holds."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Final

import typer

from kubenas.cli.failure import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubenas.api.space import SearchSpace
    from kubenas.space.base import Space
    from kubenas.space.decisions import When

space = typer.Typer(help="Look at search spaces.", no_args_is_help=True, rich_markup_mode=None)

SAMPLES: Final = 3


@space.callback()
def _commands() -> None:
    """Keep `describe` a command of its own, though it is the only one."""


@space.command()
def describe(
    file: Annotated[
        Path, typer.Argument(help="YAML file of a NASExperiment, or of a searchSpace only.", show_default=False)
    ],
    seed: Annotated[int, typer.Option(help="Seed of the architectures that are drawn.")] = 0,
) -> None:
    """Show a space: its size, decisions, constraints, encodings, and three architectures.

    Needs no cluster.
    """
    from kubenas.cli.manifest import ManifestError, read_search_space
    from kubenas.space.load import build_space

    try:
        spec = read_search_space(file)
    except ManifestError as error:
        fail(str(error))
    described = build_space(spec)
    for line in _lines(spec, described, Random(seed)):
        typer.echo(line)


def _lines(spec: SearchSpace, described: Space, rng: Random) -> Iterator[str]:
    yield f"size: {_size(described)}"
    yield "decisions:"
    width = max(map(len, described.decisions))
    for name, decision in described.decisions.items():
        condition = f"  where {_condition(described, decision.when)}" if decision.when else ""
        yield f"  {name:<{width}}  {decision.domain}{condition}"
    for constraint in spec.constraints or ():
        yield f"constraint: {constraint}"
    samples = [described.sample(rng) for _ in range(SAMPLES)]
    lengths = (f"{name} ({len(encode(samples[0]))} numbers)" for name, encode in described.encodings.items())
    yield f"encodings: {', '.join(lengths)}"
    for number, architecture in enumerate(samples, start=1):
        yield f"\narchitecture {number}: {described.name(architecture)}"
        yield from (f"  {line}" for line in described.draw(architecture).splitlines())
        if costs := described.costs(architecture):
            yield "  costs: " + ", ".join(f"{name} {cost:.6g}" for name, cost in costs.items())


def _condition(described: Space, when: When) -> str:
    from kubenas.space.text import format_value

    domain = described.decisions[when.decision].domain
    values = [value for place in range(domain.size() or 0) if (value := domain.at(place)) in when.values]
    if len(values) > 2 and all(isinstance(value, int) for value in values):
        return f"{when.decision} is one of {len(values)} from {values[0]} to {values[-1]}"
    return f"{when.decision} is {' or '.join(map(format_value, values))}"


def _size(described: Space) -> str:
    size = described.size()
    if size is not None:
        return f"{size:,}" if size < 10**15 else f"{Decimal(size):.3e}"
    if described.assignments is None:
        return "unbounded"
    return f"more than could be counted, at most {Decimal(described.assignments):.3e}"

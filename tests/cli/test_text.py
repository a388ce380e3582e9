"""How results are shown."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from kubenas.api.objective import Objective
from kubenas.api.status import Best, ExperimentStatus, Measured
from kubenas.cli.text import measured_text, print_best, print_finalists, print_judgements
from kubenas.space.load import build_space
from tests.experiment.builders import CELL, experiment, planned
from tests.experiment.test_seeds import finals, funnel, searched
from tests.experiment.test_usefulness import SNIP_AND_NWOT, scored
from tests.experiment.test_usefulness import funnel as cheap_funnel


def shown(status: ExperimentStatus) -> str:
    out = Console(file=StringIO(), width=200)
    print_finalists(out, status, Objective(metric="accuracy"))
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_a_spread_is_shown_where_there_is_one() -> None:
    assert measured_text(Measured(name="accuracy", value=0.9)) == "0.9"
    assert measured_text(Measured(name="accuracy", value=0.9125, spread=0.0123)) == "0.9125 ± 0.012"


def test_finalists_are_listed_with_what_test_says() -> None:
    status = planned(funnel(), trials=[*searched(), *finals((0.5, 0.9, 0.7), (0.8, 0.8, 0.83))]).status
    assert status is not None
    header, first, second, says = shown(status).strip().splitlines()
    assert header.split() == ["finalist", "accuracy", "test_accuracy", "seeds", "architecture"]
    assert first.split()[:8] == ["nas-5", "0.81", "±", "0.017", "0.8", "±", "0.017", "3"]
    assert second.split()[0] == "nas-2"
    assert says.startswith("Generalizes=")


def test_nothing_is_said_of_finalists_where_there_are_none() -> None:
    assert shown(ExperimentStatus()) == ""


def test_it_is_said_how_cheap_judgements_have_ranked() -> None:
    status = planned(cheap_funnel(SNIP_AND_NWOT), trials=scored(25)).status
    assert status is not None
    out = StringIO()
    print_judgements(Console(file=out, width=80), status)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("ProxyUseful=")
    assert "snip 1.00" in line


def test_the_best_tells_its_seeds() -> None:
    metrics = [Measured(name="accuracy", value=0.9, spread=0.01), Measured(name="test_accuracy", value=0.8)]
    best = Best(trial="nas-3", candidate="0", value=0.9, seeds=3, name="x", architecture=CELL, metrics=metrics)
    out = StringIO()
    print_best(
        Console(file=out, width=200), best, Objective(metric="accuracy"), build_space(experiment().spec.search_space)
    )
    assert "accuracy 0.9 ± 0.01, over 3 seeds, of trial nas-3" in out.getvalue()
    assert "test_accuracy 0.8 (reported only" in out.getvalue()

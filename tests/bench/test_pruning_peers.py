"""Other packages' early stopping on tables with values at several epochs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kubenas.api.errors import SpecError
from kubenas.bench.algorithms import check_algorithm, search
from kubenas.bench.figures import figures
from kubenas.bench.peers import PRUNING, Asked, Peer
from kubenas.bench.replay import replay
from kubenas.bench.table import Goal, Source, Table
from tests.bench.tables import ALL, small
from tests.bench.test_fidelity import EPOCHS, curved

# They fit models, of a tenth of a second and more, for each proposal after the first few.
MODELS = {"syne-tune-asha-bore": 10, "syne-tune-asha-cqr": 10}


def installed(name: str) -> str:
    for package in PRUNING[name].needs:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return name


class Listed(Peer):
    """Asks for trials in a fixed order, and stops those that a set of tokens has; notes what it is told."""

    def __init__(self, asked: Sequence[Asked], stopped: Sequence[Any] = ()) -> None:
        self._asked = list(asked)
        self._stopped = stopped
        self.told: list[tuple[Any, int | None, float | None]] = []

    def ask(self) -> Asked | None:
        return self._asked.pop(0) if self._asked else None

    def report(self, token: Any, epochs: int, value: float) -> bool:
        self.told.append((token, epochs, value))
        return token not in self._stopped

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        self.told.append((token, None, values[0] if values else None))


def test_a_peer_is_told_of_the_curve_and_stops_what_it_wants(tmp_path: Path) -> None:
    table = curved(tmp_path)
    rows = list(table.space.enumerate())
    peer = Listed([Asked("a", rows[5]), Asked("b", rows[7])], stopped=["a"])
    run = replay(table, peer, 10, 1)
    first, second = table.row(rows[5]), table.row(rows[7])
    assert first is not None
    assert second is not None
    value = table.values[second, 0]
    assert peer.told == [
        ("a", 1, first),
        ("b", 1, second),
        ("b", 3, 2 * second),
        ("b", None, value),
    ]
    assert list(run.rows) == [None, second]
    assert run.stopped == {0: first}
    assert list(run.epochs) == [1, 1 + EPOCHS]
    assert list(run.ends) == pytest.approx([10 / EPOCHS, 10 / EPOCHS + 10])


def test_a_trial_that_goes_on_takes_the_epochs_that_it_adds(tmp_path: Path) -> None:
    table = curved(tmp_path)
    architecture = next(iter(table.space.enumerate()))
    row = table.row(architecture)
    peer = Listed([Asked("a", architecture, 0, 3), Asked("b", architecture, 3)])
    run = replay(table, peer, 10, 1)
    assert list(run.rows) == [None, row]
    assert list(run.epochs) == [3, EPOCHS]
    assert run.ends[-1] == pytest.approx(10)
    (line,) = figures(table, {"neps-asha": [run]}, [2], 1, target=-1.0)
    assert (line.stopped_wrongly, line.epochs_to_target) == (0.0, EPOCHS)
    assert line.seconds_to_target == pytest.approx(10)


@pytest.mark.parametrize("name", sorted(PRUNING))
def test_losers_are_stopped_and_the_budget_is_kept(tmp_path: Path, name: str) -> None:
    table = curved(tmp_path)
    evaluations = MODELS.get(name, 40)
    run = search(installed(name), table, 0, evaluations, 4)
    assert len(run.rows) - len(run.continued) == evaluations
    assert len(run.rows) == len(run.proposing) == len(run.epochs) == len(run.ends)
    assert run.stopped
    assert all(run.rows[place] is None for place in run.stopped)
    assert run.epochs[-1] < evaluations * EPOCHS
    assert list(run.ends) == sorted(run.ends)
    whole = [row for row in run.rows if row is not None]
    if name != "neps-hyperband":  # which waits for its first rung to be full
        assert max(whole) > min(run.stopped.values()), "early values tell the order here"


@pytest.mark.parametrize("name", ["optuna-halving", "syne-tune-asha"])
def test_a_larger_eta_stops_more(tmp_path: Path, name: str) -> None:
    table = curved(tmp_path)
    mild, severe = (search(installed(name), table, 0, 60, 1, eta) for eta in (2, 9))
    assert severe.epochs[-1] < mild.epochs[-1]


@pytest.mark.parametrize(
    "name", ["optuna-halving", "optuna-hyperband", "syne-tune-asha", "syne-tune-bohb", "neps-asha"]
)
def test_the_same_seed_searches_alike(tmp_path: Path, name: str) -> None:
    table = curved(tmp_path)
    first, again, other = (search(installed(name), table, seed, 30, 3) for seed in (1, 1, 2))
    assert (first.rows, first.epochs) == (again.rows, again.epochs)
    assert first.rows != other.rows


def test_one_that_stops_trials_needs_a_curve_and_one_objective(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="optuna-halving needs values before the last epoch"):
        check_algorithm("optuna-halving", small(tmp_path))
    table = curved(tmp_path)
    two = (Goal("whole", "maximize"), Goal("seconds", "minimize"))
    both = Table(Source(tmp_path / "t.csv", ("code",), "choices", two, curve=()))
    assert len(both) == len(table) == len(ALL)
    both.curve = table.curve
    with pytest.raises(SpecError, match="optuna-halving stops trials by one objective, and there are 2"):
        check_algorithm("optuna-halving", both)

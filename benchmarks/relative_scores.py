"""What proposals cost after an ending where scores are relative: 20,000 candidates scored without training.

    python -m benchmarks.relative_scores [--algorithms NAME …] [--candidates N]

CPU time, of what the operator does in threads: after a restart, where all results are new to the strategy, and after
each of some trials of 64 candidates, which change the scores of all.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from random import Random
from typing import Final

from kubenas.api.base import MetricValue
from kubenas.api.trial import Candidate, Result, TrialSpec, TrialStatus
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.state import Trial
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from tests.experiment.builders import experiment, stages_of

ALGORITHMS: Final = (
    "random",
    "regularized-evolution",
    "local-search",
    "nsga2",
    "cma-es",
    "reinforce",
    "tpe",
    "predictor",
)
EACH: Final = 64
# Endings that are timed.
ENDINGS: Final = 6


def costs(algorithm: str, candidates: int) -> tuple[float, list[float], float]:
    """Seconds of CPU: of the first proposals, of those after each later ending, and to choose what goes on."""
    stages = [{"name": "score", "evaluation": {"method": "zero-cost"}, "keep": {"top": 9}}, {"name": "train"}]
    of = experiment(
        search={"algorithm": algorithm, "seed": 1}, stages=stages, trials={"max": 1000}, searchSpace={"preset": "darts"}
    )
    space, scoring, rng = build_space(of.spec.search_space), stages_of(of)[0], Random(0)
    strategy, combination = scoring.strategy, scoring.combination
    assert strategy is not None  # noqa: S101 - the specification above is valid
    assert combination is not None  # noqa: S101 - it has no objective of its own
    ledger, taken = Ledger(space, stages_of(of)), list[float]()
    last = candidates // EACH
    for number in range(last):
        ledger.put(ended(number, [space.sample(rng) for _ in range(EACH)], combination.columns, rng))
    for number in range(last, last + 1 + ENDINGS):
        begun = time.process_time()
        history = ledger.history(scoring)
        if work := strategy.preparation(history, EACH):
            strategy.accept(work, work.result())
        proposals = ledger.stage("score").propose(strategy, number, EACH)
        taken.append(time.process_time() - begun)
        ledger.put(ended(number, proposals, combination.columns, rng))
    begun = time.process_time()
    ledger.kept(scoring)
    return taken[0], taken[1:], time.process_time() - begun


def ended(number: int, candidates: Sequence[Architecture], columns: Sequence[str], rng: Random) -> Trial:
    """A trial of `candidates` that has ended with random scores."""
    spec = TrialSpec(
        number=number,
        results_seen=number,
        stage="score",
        candidates=[Candidate(id=str(n), architecture=one.to_json()) for n, one in enumerate(candidates)],
    )
    metrics = [[MetricValue(name=column, value=rng.random()) for column in columns] for _ in candidates]
    results = [Result(candidate=str(n), step=0, metrics=m, source="Pod") for n, m in enumerate(metrics)]
    status = TrialStatus(phase="Succeeded", order=number + 1, results=results)
    return Trial.of(f"nas-{number}", spec, status, uid="", resource_version="1")


def main() -> None:
    """Print the rows of docs/benchmarks.md."""
    parser = ArgumentParser(description="What proposals cost where scores are relative.")
    parser.add_argument("--algorithms", nargs="+", default=ALGORITHMS)
    parser.add_argument("--candidates", type=int, default=20_000)
    asked = parser.parse_args()
    print("| strategy | after a restart | after an ending: median | most | what goes on |\n" + "| --- " * 5 + "|")
    for algorithm in asked.algorithms:
        first, later, kept = costs(algorithm, asked.candidates)
        median, most = sorted(later)[len(later) // 2], max(later)
        print(f"| `{algorithm}` | {first:.2f} s | {median:.2f} s | {most:.2f} s | {kept:.2f} s |", flush=True)


if __name__ == "__main__":
    main()

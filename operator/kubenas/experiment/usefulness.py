"""Whether cheap judgements can be relied on: what conditions say of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from kubenas.api.metric_names import SCORE
from kubenas.experiment.finding import Finding
from kubenas.experiment.rankings import FLOPS, Ranking

if TYPE_CHECKING:
    from kubenas.api.objective import Objective

# Candidates from which on a correlation says something.
FEWEST_SCORED: Final = 20
FEWEST_OF_SUPERNET: Final = 10
# Of a supernet's ranking: seven in ten pairs are in the right order. Among ten candidates chance reaches it in one of
# twenty cases.
RELIABLE: Final = 0.4


def proxy_usefulness(ranking: Ranking, objective: Objective) -> Finding:
    """Whether the score by which candidates were chosen ranks those that were trained, and better than FLOPs do.

    Candidates that were chosen by a score differ little in it, so its correlation among them is smaller than among all.
    """
    if ranking.candidates < FEWEST_SCORED:
        return Finding(None, "TooFewTrained", _too_few(ranking, FEWEST_SCORED, "with proxies"))
    found = ranking.correlations
    if not found:
        return Finding(None, "NotComparable", "The trained candidates have equal scores, or equal results.")
    each = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    numbers = (
        f"Kendall's tau with {objective.metric} over {ranking.candidates} trained candidates"
        f"{_of_stage(ranking)} (± {_error(ranking.candidates):.2f}): {each}."
    )
    score, flops = found.get(SCORE), found.get(FLOPS)
    others = [name for name in found if name != SCORE]
    if score is None:
        return Finding(None, "NotComparable", f"The trained candidates have equal scores. {numbers}")
    if flops is not None and score < flops:
        return Finding(False, "WorseThanFlops", f"{numbers} FLOPs alone rank better than the score.")
    if score <= 0:
        return Finding(False, "NotCorrelated", f"{numbers} The score does not rank these candidates.")
    best = f" Of the proxies {others[0]} ranks best." if others else ""
    return Finding(True, "RanksCandidates", f"{numbers}{best}")


def ranking_reliability(ranking: Ranking, objective: Objective) -> Finding:
    """Whether candidates come in the same order by a supernet's weights as by their own training."""
    if ranking.candidates < FEWEST_OF_SUPERNET:
        return Finding(None, "TooFewTrained", _too_few(ranking, FEWEST_OF_SUPERNET, "judged by the supernet"))
    tau = ranking.correlations.get(objective.metric)
    if tau is None:
        message = f"By the supernet or by training all candidates have the same {objective.metric}."
        return Finding(None, "NotComparable", message)
    trained = "trained from the supernet's weights" if ranking.inherited else "trained"
    numbers = (
        f"Kendall's tau of {objective.metric} by the supernet with that of {ranking.candidates} candidates {trained}"
        f"{_of_stage(ranking)} is {tau:.2f} ± {_error(ranking.candidates):.2f}."
    )
    if tau < RELIABLE:
        return Finding(False, "DifferentOrder", f"{numbers} Below {RELIABLE} the supernet is no judge of candidates.")
    return Finding(True, "SameOrder", numbers)


def _too_few(ranking: Ranking, needed: int, what: str) -> str:
    return f"{ranking.candidates} candidates {what} have been trained; it is told from {needed} on."


def _of_stage(ranking: Ranking) -> str:
    return "" if ranking.stage is None else f" of stage {ranking.stage}"


def _error(count: int) -> float:
    """Standard deviation of the tau of rankings that have nothing to do with each other (Kendall 1938)."""
    return math.sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)))
